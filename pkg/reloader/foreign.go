package reloader

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// A foreign artifact is a plugin that somebody built with go build
// -buildmode=plugin. It is loaded as any other: copied, judged, opened, started
// and switched to by the same code. What it lacks is a manifest, and with that
//
//   - a name. It is found by the plugin's directory or its symbols.
//   - types. Which symbols there are shows in the file, of which types they are
//     in the opened plugin only: a misfit costs a generation that never serves.
//   - a digest of its own. Bounds and tables are checked; a byte that changed
//     within its code is not seen.
//   - an identity. go build gives each version of a package the same plugin path,
//     and the runtime opens a path once. The packages below it keep their import
//     paths, too: the first plugin that brings one defines its variables for later
//     ones.

// ruleShared is the catalogue's code for a package that a foreign artifact gets
// from an earlier artifact.
const ruleShared = "HG0095"

// foreign makes up the manifest of a plugin that has none.
func foreign(f io.ReaderAt, size int64, fp *abi.Fingerprint) (artifact.Manifest, string, error) {
	digest, err := artifact.FileDigest(io.NewSectionReader(f, 0, size))
	if err != nil {
		return artifact.Manifest{}, "", err
	}
	m, err := artifact.Foreign(fp, digest)
	return m, digest, err
}

// identify settles which plugin of the host the artifact is, and for a foreign one
// what a builder would have known. Whoever signed a foreign one may have said which
// it is.
func (t *transaction) identify() error {
	m, as := &t.in.manifest, t.req.plugin
	if m.Foreign && as == "" && t.signed != nil {
		as = t.signed.claims.Plugin
	}
	if !m.Foreign {
		if as == "" || as == m.Plugin {
			return nil
		}
		return &control.Error{
			Code: control.CodeRefused, Message: fmt.Sprintf("the artifact was built as plugin %s, not as %.100q", m.Plugin, as),
			Evidence: []control.Evidence{{What: "plugin", Host: shortText(as), Artifact: m.Plugin}},
			Limit:    "hotgo", Next: "hotgo push without --plugin",
		}
	}
	host, err := t.h.platform.host()
	if err != nil {
		return &control.Error{Code: control.CodeInternal, Message: "cannot check artifacts on this host", Err: err}
	}
	// What the host does not have is the plugin's own: no type of it can be bound.
	m.Private = map[string]string{m.PluginPath: m.PluginPath}
	for pkg := range t.in.print.Packages {
		if _, shared := host.Packages[pkg]; !shared {
			m.Private[pkg] = pkg
		}
	}
	if t.req.restore != nil { // nothing is bound yet, and the name is settled
		m.Plugin = t.req.restore.Plugin
		return nil
	}
	m.Plugin, err = t.h.nameForeign(m, t.file.digest, as)
	return err
}

// nameForeign gives the name that the caller said, or the plugin of which the same
// bytes are a generation, or what the file tells.
func (h *Host) nameForeign(m *artifact.Manifest, digest, as string) (string, error) {
	bound, known := map[string][]string{}, ""
	h.mu.Lock()
	for name, p := range h.plugins {
		if p.self {
			continue
		}
		bound[name] = nil
		for _, b := range p.binds {
			bound[name] = append(bound[name], b.symbol)
		}
		if slices.ContainsFunc(p.gens, func(g *generation) bool { return g.digest == digest }) {
			known = name
		}
	}
	h.mu.Unlock()
	switch _, held := bound[as]; {
	case held:
		return as, nil
	case as != "":
		return "", noSuchPlugin(as, slices.Sorted(maps.Keys(bound)))
	case known != "":
		return known, nil
	}
	name, err := m.PluginFor(bound)
	if err != nil {
		return "", unnamed(err)
	}
	return name, nil
}

// noSuchPlugin refuses a name that is nobody's. The runtime opens a file once: under
// a name that was mistyped it would serve nobody, and could not be opened under the
// right one any more.
func noSuchPlugin(as string, held []string) error {
	return &control.Error{
		Code: control.CodeRefused, Message: fmt.Sprintf("this host has no plugin %.100q that the file could be", as),
		Evidence: []control.Evidence{{What: "plugin", Host: shortText(strings.Join(held, ", ")), Artifact: shortText(as)}},
		Limit:    "the host: a foreign file becomes a plugin that it binds", Next: "hotgo status",
	}
}

// unnamed explains why a foreign file has no name.
func unnamed(err error) error {
	e := &control.Error{Code: control.CodeRefused, Limit: "hotgo: a file that it did not build does not say its name", Next: "hotgo status"}
	var ne *artifact.NameError
	if !errors.As(err, &ne) {
		e.Err = err
		return e
	}
	e.Message = ne.Error()
	var nearest *artifact.Candidate
	for i := range ne.Candidates {
		c := &ne.Candidates[i]
		ev := control.Evidence{What: c.Plugin, Host: "binds " + strings.Join(c.Bound, ", "), Artifact: "exports all of it"}
		if len(c.Missing) > 0 {
			ev.Artifact = "lacks " + strings.Join(c.Missing, ", ")
		}
		if len(e.Evidence) < shownEvidence {
			e.Evidence = append(e.Evidence, ev)
		}
		if nearest == nil || len(c.Missing) < len(nearest.Missing) {
			nearest = c
		}
	}
	switch {
	case nearest == nil:
	case len(nearest.Missing) == 0:
		e.Next = "hotgo push --plugin " + nearest.Plugin + " FILE"
	default:
		e.Next = fmt.Sprintf("export %s for %s, build it again, and hotgo push FILE", strings.Join(nearest.Missing, ", "), nearest.Plugin)
	}
	return e
}

// adviseForeign puts what helps with a foreign artifact into the error for one
// that does not fit: mostly to let hotgo build it.
func (t *transaction) adviseForeign(e *control.Error, found []abi.Mismatch) {
	m, first := &t.in.manifest, found[0]
	if !m.Foreign || first.Kind == abi.MismatchHost || first.Kind == abi.MismatchPoisoned {
		return
	}
	host, err := t.h.platform.host()
	if err != nil {
		return // judge has said so
	}
	_, theirs := host.Packages[first.What]
	if first.Kind == abi.MismatchPackage && first.Rule == "HG0090" && theirs {
		return // the sources are newer than the host: no build of them fits
	}
	e.Next = "hotgo push " + m.Plugin
	switch {
	case slices.ContainsFunc(found, func(m abi.Mismatch) bool { return m.Kind == abi.MismatchPath }):
		e.Rule = ""
		e.Message = m.Plugin + " has a plugin path that this process has loaded before: go build gives every version of a package the same one, hotgo gives each its own"
	case first.Kind == abi.MismatchPackage && !theirs:
		e.Message = fmt.Sprintf("%s does not fit this process: an earlier plugin brought another version of %s, and a process keeps the first", m.Plugin, first.What)
	}
}

// adviseMisfit puts what helps into the error for a foreign artifact with a symbol
// that does not fit, if err is one. Once it was opened its plugin path is taken.
func adviseMisfit(err error, m *artifact.Manifest, opened bool) {
	var e *control.Error
	if !m.Foreign || !errors.As(err, &e) || len(e.Evidence) == 0 {
		return
	}
	push := "build it again, and hotgo push FILE"
	if opened {
		push = "hotgo push " + m.Plugin
	}
	switch symbol := e.Evidence[0].What; e.Rule {
	case ruleSymbolGone:
		e.Next = fmt.Sprintf("export %s, %s", symbol, push)
	case ruleSignature:
		e.Next = fmt.Sprintf("give %s the type that the host has, %s", symbol, push)
	case rulePrivateType:
		e.Next = fmt.Sprintf("give %s a type of a package that the host uses otherwise too, %s", symbol, push)
	}
}

// adviseOpened explains the runtime's refusal of a foreign artifact that is in the
// process although no load has brought it (runtime/plugin.go, Go 1.26: "plugin
// already loaded").
func (t *transaction) adviseOpened(e *control.Error) {
	if t.in.manifest.Foreign && strings.Contains(e.Err.Error(), "plugin already loaded") {
		e.Message += ", which the program has opened by itself"
		e.Next = "hotgo push " + t.plugin.name
	}
}

// sharedNotes says which packages a foreign artifact has in part from an earlier
// one. An artifact of hotgo's has its own copy of what the user may edit.
func (t *transaction) sharedNotes() []control.Finding {
	if !t.in.manifest.Foreign {
		return nil
	}
	var notes []control.Finding
	for _, s := range t.h.platform.shared(t.in) {
		if len(notes) == shownEvidence {
			break
		}
		notes = append(notes, control.Finding{
			Code: ruleShared, Symbol: shortText(s.Package),
			Text: fmt.Sprintf("%s has the variables that %s brought, initialised as they were then, and its code behind interfaces and function values; direct calls run this file's. hotgo push %s gives every version its own",
				shortText(s.Package), s.By, t.in.manifest.Plugin),
		})
	}
	return notes
}

// ownTypeError turns the error of a symbol that does not fit into the one for a
// type of the plugin's own, if that is why.
func ownTypeError(g *generation, err error) error {
	var misfit *misfitError
	if !errors.As(err, &misfit) || misfit.rule != ruleSignature {
		return err
	}
	own := ownType(&g.manifest, misfit.artifact)
	if own == "" {
		return err
	}
	told := *misfit
	told.rule, told.private = rulePrivateType, own
	return &told
}
