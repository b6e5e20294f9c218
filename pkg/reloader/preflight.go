package reloader

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/typename"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/goplugin"
)

// shownEvidence is how many mismatches an error lists.
const shownEvidence = 12

// preflight checks the copy against this process, before anything of it is
// mapped. It gives the generation that the artifact already is, if it was
// opened before; nil means that it can be opened.
func (t *transaction) preflight() (earlier *generation, err error) {
	if err := t.trusted(); err != nil {
		return nil, err
	}
	if err := t.inspect(); err != nil {
		return nil, err
	}
	h, m := t.h, &t.in.manifest
	t.event.Key, t.event.Link, t.event.LinkReason, t.event.Foreign = m.Key, m.Link, m.Reason, m.Foreign
	err = t.identify()
	t.event.Plugin = m.Plugin
	if err != nil {
		return nil, err
	}
	if err := consistent(t.in); err != nil {
		return nil, err
	}
	if err := t.listOrCode(); err != nil {
		return nil, err
	}
	if err := t.claimed(); err != nil {
		return nil, err
	}

	h.mu.Lock()
	t.plugin = h.plugins[m.Plugin]
	h.mu.Unlock()
	if t.plugin == nil {
		// Neither bound nor loaded; it is entered when something is mapped.
		t.plugin = h.newPlugin(m.Plugin)
	}
	if m.Patch != nil {
		if err := soundPatch(m.Patch); err != nil {
			return nil, err
		}
		t.event.Functions = shownNames(shortNames(m.Patch))
	}
	if g := t.plugin.find(t.file.digest, m.Key); g != nil {
		return t.reuse(g)
	}
	if t.listed = h.findList(m.Plugin, t.file.digest, m.Key); t.listed != nil {
		return nil, t.listed.useless()
	}
	if err := t.linkedForUs(); err != nil {
		return nil, err
	}
	if err := t.meets(); err != nil {
		return nil, err
	}
	// What fits is asked before whether the types do: where the toolchain
	// differs, types are the lesser news.
	found, err := h.platform.judge(t.in)
	if err != nil {
		return nil, &control.Error{Code: control.CodeInternal, Message: "cannot check artifacts on this host", Err: err}
	}
	if len(found) > 0 {
		return nil, t.incompatible(found)
	}
	if m.Patch != nil || m.List {
		return nil, nil // what its base exports stays as it is; a list exports nothing
	}
	t.notes = t.sharedNotes()
	h.mu.Lock()
	defer h.mu.Unlock()
	err = t.wanted()
	adviseMisfit(err, m, false)
	return nil, err
}

// inspect reads the copy.
func (t *transaction) inspect() error {
	f, err := os.Open(t.file.path)
	if err != nil {
		return diskError(err)
	}
	defer f.Close()
	t.in, err = t.h.platform.inspect(f, t.file.size)
	var ae *abi.Error
	switch {
	case err == nil:
	case errors.As(err, &ae):
		return &control.Error{
			Code: control.CodeNotArtifact, Message: "this file " + strings.TrimPrefix(ae.Error(), "file "),
			Next: "hotgo build", Limit: "the Go runtime",
		}
	default:
		return &control.Error{Code: control.CodeNotArtifact, Message: "this is no artifact that can be trusted", Err: err, Next: "hotgo build"}
	}
	return nil
}

// consistent holds the manifest against the file it is in: a manifest
// explains, the file is what runs.
func consistent(in *inspection) error {
	m, fp := &in.manifest, in.print
	var lies []control.Evidence
	differ := func(what, file, manifest string) {
		if file != manifest {
			lies = append(lies, control.Evidence{What: what, Host: "file: " + file, Artifact: "manifest: " + manifest})
		}
	}
	differ("plugin path", fp.PluginPath, m.PluginPath)
	differ("go version", fp.GoVersion, m.GoVersion)
	differ("machine", fp.Machine, m.GOARCH)
	for pkg, want := range m.Packages {
		if hash, ok := fp.Packages[pkg]; ok {
			differ("hash of "+pkg, hash.String(), want)
		}
	}
	if len(lies) > 0 {
		slices.SortFunc(lies, func(a, b control.Evidence) int { return cmp.Compare(a.What, b.What) })
		return &control.Error{
			Code: control.CodeNotArtifact, Message: "the artifact's manifest does not describe its file",
			Evidence: lies[:min(len(lies), shownEvidence)], Next: "hotgo build",
		}
	}
	if !m.Foreign && fp.Symbols[goplugin.Entry] != abi.Func {
		return &control.Error{
			Code: control.CodeNotArtifact, Message: "the artifact exports no function " + goplugin.Entry + ", by which a host asks for its symbols",
			Limit: "hotgo", Next: "hotgo build",
		}
	}
	return nil
}

// linkedForUs refuses a thin artifact that was linked against another build of
// the host. It contains what that one lacked, and takes for granted what that
// one had; the linker of another build may have kept other functions. The
// dynamic loader would refuse most of them with the name of a symbol that says
// nothing to anybody.
func (t *transaction) linkedForUs() error {
	m := &t.in.manifest
	if m.Link != "thin" {
		return nil
	}
	fp, err := t.h.platform.host()
	if err != nil {
		return &control.Error{Code: control.CodeInternal, Message: "cannot check artifacts on this host", Err: err}
	}
	other := abi.OtherBuild(fp, m.HostBuild)
	if other == nil {
		return nil
	}
	return &control.Error{
		Code: control.CodeIncompatible, Rule: other.Rule,
		Message:  m.Plugin + " is a thin artifact for another build of this host",
		Evidence: []control.Evidence{{What: other.What, Host: other.Host, Artifact: other.Artifact}},
		Limit:    other.Limit,
		Next:     "hotgo push " + m.Plugin,
	}
}

// reuse decides about an artifact that was opened before: its code cannot be
// opened twice, and need not be.
func (t *transaction) reuse(g *generation) (*generation, error) {
	if g.manifest.PluginPath != t.in.manifest.PluginPath {
		return nil, &control.Error{
			Code: control.CodeNotArtifact, Message: fmt.Sprintf("the artifact claims the key of generation %d and is another plugin", g.number),
			Evidence: []control.Evidence{{What: "plugin path", Host: g.manifest.PluginPath, Artifact: t.in.manifest.PluginPath}},
		}
	}
	if g.symbols == nil {
		return nil, &control.Error{
			Code:    control.CodeRefused,
			Message: fmt.Sprintf("this version was opened as generation %d and failed: %s", g.number, g.reason),
			Limit:   "the Go runtime, which opens a plugin once", Next: "change the source and push again, or restart the host",
		}
	}
	t.event.Generation = g.number
	return g, nil
}

// wanted checks the manifest for every symbol that is bound, and for hooks of
// the wrong type. What a manifest cannot tell, as the types of a foreign file, is
// left to the check after opening. The caller holds h.mu.
func (t *transaction) wanted() error {
	m := &t.in.manifest
	if m.Untyped && !m.Foreign {
		return nil
	}
	symbols := map[string]artifact.Symbol{}
	for _, s := range m.Symbols {
		symbols[s.Name] = s
	}
	for _, b := range t.plugin.binds {
		s, ok := symbols[b.symbol]
		if !ok {
			return refusal(&misfitError{rule: ruleSymbolGone, symbol: b.symbol, host: typename.Of(b.typ), artifact: "no such symbol"})
		}
		if b.typ.Kind() == reflect.Interface {
			continue // what implements it shows in the opened plugin only
		}
		bad := &misfitError{rule: ruleSignature, symbol: s.Name, host: typename.Of(b.typ), artifact: s.Type}
		if m.Untyped {
			if s.Kind == "func" && b.typ.Kind() != reflect.Func {
				bad.artifact = "a function"
				return refusal(bad)
			}
			continue
		}
		if own := ownType(m, s.Type); own != "" {
			bad.rule, bad.private = rulePrivateType, own
			return refusal(bad)
		}
		if !fits(b.typ, s) {
			return refusal(bad)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(hookTypes)) {
		if s, ok := symbols[name]; ok && !m.Untyped && s.Type != hookTypes[name] {
			return refusal(&misfitError{rule: ruleSignature, symbol: name, host: hookTypes[name], artifact: s.Type})
		}
	}
	return nil
}

// ownType gives the first type in a canonical string that the plugin itself
// defines, under the user's import path. Its main package counts under the name
// that reflect gives it, too.
func ownType(m *artifact.Manifest, typ string) string {
	for _, name := range typename.Mentions(typ) {
		pkg := typename.PackageOf(name)
		if _, private := m.Private[pkg]; private || pkg == "main" {
			return name
		}
	}
	return ""
}

// fits reports whether t can hold the symbol, as far as the manifest tells:
// where one side is a named type whose underlying type might be the other's,
// the answer is yes and the check after opening decides.
func fits(t reflect.Type, s artifact.Symbol) bool {
	if s.Kind != "var" {
		return t.Kind() == reflect.Func && typename.Of(signatureOf(t)) == s.Type
	}
	if t.Kind() == reflect.Pointer && t.Name() == "" && typename.Of(t.Elem()) == s.Type {
		return true
	}
	composite := t.Kind() > reflect.Complex128 && t.Kind() != reflect.String
	return typename.Of(t) == s.Type || composite && (t.Name() != "") != typename.IsNamed(s.Type)
}

// signatureOf is the unnamed type of a function type: a named one holds any
// function with its signature.
func signatureOf(t reflect.Type) reflect.Type {
	in, out := make([]reflect.Type, t.NumIn()), make([]reflect.Type, t.NumOut())
	for i := range in {
		in[i] = t.In(i)
	}
	for i := range out {
		out[i] = t.Out(i)
	}
	return reflect.FuncOf(in, out, t.IsVariadic())
}

// incompatible is the error for a file that the runtime would refuse, or that
// would end the process.
func (t *transaction) incompatible(found []abi.Mismatch) error {
	first := found[0]
	e := &control.Error{
		Code: control.CodeIncompatible, Rule: first.Rule, Limit: first.Limit,
		Message: fmt.Sprintf("%s does not fit this host", t.in.manifest.Plugin),
		Next:    abi.Next(found, hostBinary(), t.in.manifest.Package),
	}
	if first.Rule == "HG0090" {
		e.Message += ": " + first.What + " is shared with it and has changed"
	}
	for _, m := range abi.Headline(found, shownEvidence) {
		e.Evidence = append(e.Evidence, control.Evidence{What: m.What, Host: m.Host, Artifact: m.Artifact})
	}
	if first.Cause != "" {
		e.Message += " (" + first.Cause + ")"
	}
	t.adviseForeign(e, found)
	return e
}

func hostBinary() string {
	exe, err := os.Executable()
	if err != nil {
		return "BINARY"
	}
	return exe
}

// refusal turns what a plugin's symbols or hooks did into a *control.Error.
func refusal(err error) *control.Error {
	e := &control.Error{Code: control.CodeRefused, Message: err.Error()}
	var misfit *misfitError
	var hook *hookError
	switch {
	case errors.As(err, &misfit):
		e.Rule = misfit.rule
		e.Evidence = []control.Evidence{{What: misfit.symbol, Host: misfit.host, Artifact: misfit.artifact}}
		e.Limit = "the Go type system"
		e.Next = "restart the host with a build that binds the new type"
		if misfit.rule == rulePrivateType {
			e.Limit = "Go's identity of types"
			e.Next = fmt.Sprintf("move %s to a package that the host uses otherwise too, or apply the change by patch: hotgo push --mode patch", misfit.private)
		}
	case errors.As(err, &hook):
		e.Limit = "the plugin"
		if hook.hook == hookHealth {
			e.Code = control.CodeUnhealthy
		}
		if errors.Is(err, errHung) || errors.Is(err, context.DeadlineExceeded) {
			e.Limit = "the host's Options.HookTimeout"
		}
	}
	e.Err = nil
	return e
}

// asControlError makes every error of a load one that the protocol can carry.
func asControlError(err error) *control.Error {
	var e *control.Error
	if errors.As(err, &e) {
		return shortened(e)
	}
	return shortened(&control.Error{Code: control.CodeInternal, Message: "the load failed", Err: err})
}

// shownBytes is how much of one text an error shows. The texts of manifests and
// panics come from outside, and the journal keeps a thousand events in memory.
const shownBytes = 4 << 10

// shortened gives e with texts of at most shownBytes.
func shortened(e *control.Error) *control.Error {
	short := *e
	if whole := e.Error(); len(whole) > shownBytes {
		short.Message, short.Err = shortText(whole), nil
	}
	short.Next = shortText(e.Next)
	short.Evidence = slices.Clone(e.Evidence)
	for i, ev := range e.Evidence {
		short.Evidence[i] = control.Evidence{What: shortText(ev.What), Host: shortText(ev.Host), Artifact: shortText(ev.Artifact)}
	}
	return &short
}

func shortText(s string) string {
	if len(s) <= shownBytes {
		return s
	}
	return strings.ToValidUTF8(s[:shownBytes], "") + "…"
}
