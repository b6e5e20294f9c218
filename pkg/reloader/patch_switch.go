package reloader

import (
	"errors"
	"fmt"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// # Patches as generations
//
// A patch replaces functions of code that runs already: of the host itself, or
// of a plugin's generation. That is its base. It is a generation like others:
// numbered, listed, and live again by a rollback. Those of the host are the
// generations of a plugin that stands for the host, and whose generation 0 is
// the code that it was built with.
//
// What a patch lists is all that differs from its base, so one patch at most is
// in force for each base, and another takes its place instead of adding to it.
// A base stays as it was left: the patch that was live last stays in force after
// a swap to another generation, for goroutines and HotStop of the one that
// retires are to run what ran before. It ends when the base itself, or another
// patch of it, becomes live.
//
// The hooks of a patch are those of its base. From one patch of it to the next
// nothing starts or stops, since nothing but the code of functions changes.

// patchBase is code that is patched. Host.mu guards current and patches, and
// only who holds the host's queue changes them.
type patchBase struct {
	gen     *generation // nil: the host itself
	bias    uintptr     // how far its code is from where its file has it
	current *generation // the patch in force; nil: its own code
	patches []*generation
}

// number is the base's own generation.
func (b *patchBase) number() int {
	if b.gen == nil {
		return 0
	}
	return b.gen.number
}

// root gives the generation whose code, variables and hooks g is about: for a
// patch its base. It is nil for the built-in and for the host itself.
func (g *generation) root() *generation {
	if g == nil || g.on == nil {
		return g
	}
	return g.on.gen
}

// target is what a switch makes of a base.
type target struct {
	base  *patchBase
	patch *generation // nil: the base's own code
}

// patchOf gives what becoming live means for code that is patched: nothing
// (a nil base) for a generation that no patch was ever made for. g is nil for
// the built-in.
func (h *Host) patchOf(p *pluginState, g *generation) target {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case g != nil && g.on != nil:
		return target{g.on, g}
	case g != nil:
		return target{h.bases[g.manifest.Key], nil}
	case p.self:
		return target{h.bases[""], nil}
	}
	return target{}
}

// redirect makes a patch, or the base's own code, the one in force. Everything
// changes at once, or nothing does. undo puts back what was.
func (h *Host) redirect(to target, phases *control.Phases) (undo func() error, err error) {
	none := func() error { return nil }
	if to.base == nil || to.base.current == to.patch {
		return none, nil
	}
	if to.patch != nil {
		if err := h.notMisled(&to.patch.manifest); err != nil {
			return nil, err
		}
	}
	before := to.base.current
	if err := h.setPatch(to, phases); err != nil {
		return nil, err
	}
	return func() error { return h.setPatch(target{to.base, before}, phases) }, nil
}

func (h *Host) setPatch(to target, phases *control.Phases) error {
	h.mu.Lock()
	var set []livepatch.Redirect
	for _, b := range h.bases {
		current := b.current
		if b == to.base {
			current = to.patch
		}
		set = append(set, redirects(b, current)...)
	}
	h.mu.Unlock()
	start := time.Now()
	report, err := h.platform.patches.set(h, set)
	phases.Switch += milliseconds(time.Since(start))
	if err != nil {
		return patchError(err)
	}
	phases.Pause += milliseconds(report.Pause)
	h.metrics.paused(report.Pause)
	if report.Unsealed != nil {
		h.opts.Logger.Error("pages of code stay writable", "err", report.Unsealed)
	}
	h.mu.Lock()
	to.base.current = to.patch
	h.mu.Unlock()
	return nil
}

// redirects lists what has to lead elsewhere while current is in force for b:
// the functions of b that it replaces, and those that other patches were first
// to bring, to which goroutines, function values and types may still lead. The
// latter only where callers can rely on the same. The caller holds h.mu.
func redirects(b *patchBase, current *generation) []livepatch.Redirect {
	if current == nil {
		return nil
	}
	var set []livepatch.Redirect
	now := map[string]artifact.PatchedFunction{}
	for _, f := range current.manifest.Patch.Functions {
		now[f.Name] = f
		if f.Old != 0 {
			set = append(set, livepatch.Redirect{From: b.bias + uintptr(f.Old), To: current.bias + uintptr(f.New)})
		}
	}
	for _, g := range b.patches {
		if g == current {
			continue
		}
		for _, f := range g.manifest.Patch.Functions {
			if n, ok := now[f.Name]; ok && f.Old == 0 && n.Contract == f.Contract && !isClosure(f.Name) {
				set = append(set, livepatch.Redirect{From: g.bias + uintptr(f.New), To: current.bias + uintptr(n.New)})
			}
		}
	}
	return set
}

// notMisled refuses a patch while an artifact is mapped that was compiled for
// other functions than it has.
func (h *Host) notMisled(m *artifact.Manifest) error {
	function, by := h.platform.patches.ledger.misled(m)
	if function == "" {
		return nil
	}
	return misledError(fmt.Sprintf("%s keeps other arguments than before, and %s was compiled to call the one before", shortName(function), by))
}

// meetsPatches refuses an artifact that would call a function which a patch in
// force has replaced by one that keeps other arguments.
func (h *Host) meetsPatches(in *inspection) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, b := range h.bases {
		if b.current == nil || in.manifest.Patch != nil && in.manifest.Patch.Base == key {
			continue // such a patch takes the place of the one in force
		}
		for _, f := range b.current.manifest.Patch.Functions {
			if f.Unlike && refersTo(in.refers, f.Name) {
				return misledError(fmt.Sprintf("%s calls %s, which keeps other arguments since it was patched", in.manifest.Plugin, shortName(f.Name)))
			}
		}
	}
	return nil
}

func misledError(message string) error {
	return &control.Error{
		Code: control.CodeIncompatible, Rule: ruleArguments, Message: message,
		Limit: "a running program: callers are compiled for what a function keeps", Next: "restart the host with a new build (hotgo run does it)",
	}
}

// undone joins an error with that of taking back what came before it.
func undone(err, undoErr error) error {
	if undoErr == nil {
		return err
	}
	return &control.Error{
		Code: control.CodeInternal, Message: "the new code is not live, but its functions could not be taken back",
		Next: "roll back again, or restart the host", Err: errors.Join(err, undoErr),
	}
}
