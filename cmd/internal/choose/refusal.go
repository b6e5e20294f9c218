package choose

import (
	"errors"
	"slices"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// The rules of the catalogue that are applied here.
const (
	RuleShared       = "HG0090" // a package shared with the host changed
	RuleDrift        = "HG0094" // what the host was built from is not known
	ruleInitialiser  = "HG0031" // initialiser of an existing variable
	ruleNeverReturns = "HG0081" // a function that runs since the program started
	ruleEmbed        = "HG0093" // embedded file
)

// RefusedError says that an edit does not reach a host, or not by patch. Nothing
// was changed.
type RefusedError struct {
	Unit     string // the host's own code, or a plugin
	Message  string
	Findings []builder.Finding // entries of the catalogue; the first is the reason
	Evidence []control.Evidence
	Limit    string // who sets the limit
	Next     string // the command to run
	Err      error  // of builder or host
}

// Error gives the message.
func (e *RefusedError) Error() string { return e.Message }

// Unwrap gives the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Code gives the first reason's code in the catalogue; "" where it has none.
func (e *RefusedError) Code() string {
	if len(e.Findings) > 0 {
		return e.Findings[0].Code
	}
	if c, ok := errors.AsType[*builder.ConflictError](e.Err); ok && len(c.Evidence) > 0 {
		return c.Evidence[0].Rule
	}
	if c, ok := errors.AsType[*control.Error](e.Err); ok {
		return c.Rule
	}
	return ""
}

// Reason gives the first reason in a sentence.
func (e *RefusedError) Reason() string {
	if len(e.Findings) > 0 {
		return e.Findings[0].Text
	}
	return e.Message
}

// refusalOf says why the changes of a host's own code cannot be patched; nil where
// they can, or where there is nothing to know.
func refusalOf(src Sources, h Host) *RefusedError {
	unit := UnitName(h.Package)
	switch c, conflict := errors.AsType[*builder.ConflictError](src.PatchErr); {
	case conflict:
		return fromConflict(unit, c)
	case src.PatchErr != nil || src.Patch == nil:
		return nil
	case src.Patch.Verdict == builder.MustRestart:
		return FromPlan(src.Patch)
	case src.Patch.Verdict == builder.CanPatch && src.Mode == Auto && changes(src.Patch, isMain) && !changes(src.Patch, isOther):
		return neverRuns(src.Patch)
	}
	return h.Refusal
}

// FromPlan gives a plan's own refusal.
func FromPlan(p *builder.PatchPlan) *RefusedError {
	e := &RefusedError{Unit: p.Name, Message: p.Name + " cannot be patched", Err: p.Err()}
	if c, ok := errors.AsType[*builder.ConflictError](e.Err); ok {
		e.Limit, e.Next = c.Limit, c.Next
	}
	for _, f := range p.Findings {
		if f.Refuse {
			e.Findings = append(e.Findings, f)
		}
	}
	return e
}

// A patch that replaces main.main replaces nothing there: it has been entered for
// good.
func isMain(function string) bool  { return function == "main.main" }
func isOther(function string) bool { return !isMain(function) }

func changes(p *builder.PatchPlan, which func(string) bool) bool {
	return slices.ContainsFunc(p.Functions, func(f builder.FunctionChange) bool { return f.Change == "changed" && which(f.Name) })
}

func neverRuns(p *builder.PatchPlan) *RefusedError {
	return &RefusedError{
		Unit: p.Name, Message: "a patch of " + p.Name + " would have no effect",
		Findings: []builder.Finding{{
			Code: ruleNeverReturns, Symbol: "main.main",
			Text: "main.main runs since the program started and keeps the code that it has", Refuse: true,
		}},
		Limit: "a running function finishes on the code that it began with",
		Next:  "move what changes into a function that main calls, or restart the host",
	}
}

// of gives the refusal of a plugin that the patch was to bring.
func (e *RefusedError) of(plugin string) *RefusedError {
	r := *e
	r.Unit = plugin
	return &r
}

// FromError makes a refusal of what the builder or a host says to a patch of unit. It
// gives nil for what is no refusal but a failure, which may not happen again.
func FromError(unit string, err error) *RefusedError {
	if c, ok := errors.AsType[*builder.ConflictError](err); ok {
		return fromConflict(unit, c)
	}
	c, ok := errors.AsType[*control.Error](err)
	if !ok || c.Rule == control.RuleQuarantined { // a swap would bring the same code
		return nil
	}
	switch c.Code {
	case control.CodeIncompatible, control.CodeUnsupported, control.CodeRefused:
		return &RefusedError{
			Unit: unit, Message: c.Error(), Evidence: c.Evidence, Limit: c.Limit, Next: c.Next, Err: c,
		}
	}
	return nil
}

func fromConflict(unit string, c *builder.ConflictError) *RefusedError {
	e := &RefusedError{Unit: unit, Message: c.Message, Limit: c.Limit, Next: c.Next, Err: c}
	for _, m := range c.Evidence {
		e.Evidence = append(e.Evidence, control.Evidence{What: m.What, Host: m.Host, Artifact: m.Artifact})
	}
	return e
}

// Finding gives one of the builder's findings as events have it.
func Finding(f builder.Finding) control.Finding {
	return control.Finding{Code: f.Code, Symbol: f.Symbol, Text: f.Text}
}

// Findings gives all of them so, nil for none.
func Findings(all []builder.Finding) []control.Finding {
	var out []control.Finding
	for _, f := range all {
		out = append(out, Finding(f))
	}
	return out
}
