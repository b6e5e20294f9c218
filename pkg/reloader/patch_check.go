package reloader

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// A manifest explains and proves nothing. What a patch says of the code that it
// replaces is held against the code itself and against the runtime's own table
// of functions, before anything of it is mapped; what it says of its own
// functions is as soon as they are there. Neither needs to be trusted: a patch
// that lies is refused, and one that is not made for this process is told so.

// Limits of what is looked at. They keep a manifest from costing more than the
// artifact around it.
const (
	mostFunctions = 1 << 16
	longestName   = 1 << 10
	wasBytes      = 16 // what a manifest has of a replaced function
)

// distrusted is the error for a patch whose manifest cannot be right.
func distrusted(format string, args ...any) error {
	return &control.Error{
		Code: control.CodeNotArtifact, Message: "the artifact's manifest cannot be right: " + fmt.Sprintf(format, args...), Next: "hotgo build --mode patch",
	}
}

// soundPatch checks what needs no process to be checked against.
func soundPatch(p *artifact.Patch) error {
	if n := len(p.Functions); n == 0 || n > mostFunctions {
		return distrusted("a patch of %d functions", n)
	}
	old, fresh, last := map[uint64]bool{}, map[uint64]bool{}, ""
	for _, f := range p.Functions {
		switch {
		case f.Name == "" || len(f.Name) > longestName:
			return distrusted("a function's name has %d bytes", len(f.Name))
		case f.Name <= last:
			return distrusted("%s is listed twice, or after %s", shortText(f.Name), shortText(last))
		case fresh[f.New] || f.New == 0:
			return distrusted("%s is at %#x, as another is, or nowhere", f.Name, f.New)
		}
		fresh[f.New], last = true, f.Name
		if f.Old == 0 {
			continue
		}
		was, err := hex.DecodeString(f.Was)
		switch {
		case old[f.Old]:
			return distrusted("%s replaces what is at %#x, as another does", f.Name, f.Old)
		case isClosure(f.Name):
			return distrusted("%s is a function literal: what one has captured is nothing to another", f.Name)
		case err != nil || f.Size == 0 || uint64(len(was)) != min(f.Size, wasBytes):
			return distrusted("%s has %d bytes and begins with %q", f.Name, f.Size, shortText(f.Was))
		}
		old[f.Old] = true
	}
	return nil
}

// replaceable holds the functions that a patch replaces against the code of this
// process; bias is how far that is from where the file has it.
func (x *patching) replaceable(p *artifact.Patch, bias uintptr) error {
	var drifted []control.Evidence
	for _, f := range p.Functions {
		if f.Old == 0 {
			continue
		}
		entry := bias + uintptr(f.Old)
		if name := x.name(entry); name != printedName(f.Name) {
			drifted = append(drifted, control.Evidence{What: shortName(f.Name), Host: fmt.Sprintf("at %#x there is %s", f.Old, orNothing(name)), Artifact: fmt.Sprintf("at %#x", f.Old)})
			continue
		}
		if x.of(entry+uintptr(f.Size)-1) != entry {
			drifted = append(drifted, control.Evidence{What: shortName(f.Name), Host: "shorter", Artifact: fmt.Sprintf("%d bytes", f.Size)})
			continue
		}
		was, _ := hex.DecodeString(f.Was)
		err := x.check(entry, was)
		var le *livepatch.Error
		switch {
		case err == nil:
		case errors.As(err, &le) && le.Reason == livepatch.Changed:
			drifted = append(drifted, control.Evidence{What: shortName(f.Name), Host: hex.EncodeToString(le.Have), Artifact: f.Was})
		default:
			return patchError(err)
		}
	}
	if len(drifted) == 0 {
		return nil
	}
	return &control.Error{
		Code: control.CodeIncompatible, Rule: ruleDrifted,
		Message:  fmt.Sprintf("the patch was made for other code than what runs here: %d of its %d functions differ", len(drifted), len(p.Functions)),
		Evidence: drifted[:min(len(drifted), shownEvidence)], Limit: "hotgo: a patch fits the code it was compared with",
		Next: "restart the host with a new build (hotgo run does it)",
	}
}

func orNothing(name string) string {
	if name == "" {
		return "no function"
	}
	return name
}

// brought checks that a patch's functions are where its manifest says. One of
// them may be without a name: livepatch.FunctionAt.
func (x *patching) brought(p *artifact.Patch, bias uintptr) error {
	for _, f := range p.Functions {
		entry := bias + uintptr(f.New)
		if name := x.name(entry); x.of(entry) != entry || name != printedName(f.Name) && name != "" {
			return distrusted("it has %s at %#x, where there is %s", f.Name, f.New, orNothing(name))
		}
	}
	return nil
}

// patchError turns a refusal of package livepatch into one of the protocol.
func patchError(err error) error {
	var le *livepatch.Error
	if !errors.As(err, &le) {
		return &control.Error{Code: control.CodeInternal, Message: "the functions cannot be replaced", Err: err}
	}
	e := &control.Error{Code: control.CodeRefused, Message: le.Error(), Limit: "hotgo", Next: "restart the host with the new code (hotgo run does it)"}
	if le.Function != "" {
		e.Message = shortName(le.Function) + strings.TrimPrefix(e.Message, le.Function)
	}
	switch le.Reason {
	case livepatch.Unsupported:
		e.Code, e.Message = control.CodeUnsupported, "this host cannot be patched: "+e.Message
	case livepatch.Denied:
		e.Code, e.Message, e.Limit = control.CodeUnsupported, "this host cannot be patched: "+e.Message, "the system"
		e.Next = "allow it (SELinux: execmod; systemd: MemoryDenyWriteExecute=no), or restart the host with the new code"
	case livepatch.Changed:
		e.Code, e.Rule = control.CodeIncompatible, ruleDrifted
	case livepatch.Unfit:
		e.Code, e.Rule, e.Message = control.CodeIncompatible, ruleNotReplaced, "a function cannot be replaced: "+e.Message
	case livepatch.Busy:
		e.Message, e.Limit, e.Next = "a function cannot be replaced now: "+e.Message, "a running program: where it is going on, the code has to stay", "push again when it is less busy"
	case livepatch.NoMemory:
		e.Code, e.Limit = control.CodeInternal, "the system"
	}
	return e
}
