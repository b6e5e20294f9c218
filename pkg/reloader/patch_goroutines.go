package reloader

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// tell completes the event of a change that was made: what became of state, and of a
// patch what the builder had to say about it, and who still runs what was replaced.
func (h *Host) tell(ev *control.Event, c change) {
	ev.Notes = append(ev.Notes, c.notes...)
	base := c.patch.base
	if base == nil {
		return
	}
	if c.to != nil && c.to.on != nil {
		for _, n := range c.to.manifest.Patch.Notes[:min(len(c.to.manifest.Patch.Notes), shownEvidence)] {
			ev.Notes = append(ev.Notes, control.Finding{Code: shortText(n.Code), Symbol: shortText(n.Symbol), Text: shortText(n.Text)})
		}
	}
	found, ok := h.finishing(base)
	if !ok {
		ev.Notes = append(ev.Notes, control.Finding{Code: noteStillInside, Text: "there are too many goroutines to tell which of them finish on the old code"})
	}
	for _, f := range found[:min(len(found), shownEvidence)] {
		text := fmt.Sprintf("%d goroutines finish %s on the old code", f.Goroutines, f.Function)
		if f.Goroutines == 1 {
			text = fmt.Sprintf("1 goroutine finishes %s on the old code", f.Function)
		}
		ev.Notes = append(ev.Notes, control.Finding{Code: noteStillInside, Symbol: f.Function, Text: text})
	}
}

// finishing counts the goroutines that are inside of code of bases which is not
// that of the patch in force: of functions that it replaces, and of other
// patches. It gives false where there are too many to look through.
func (h *Host) finishing(bases ...*patchBase) (found []control.Finishing, ok bool) {
	h.mu.Lock()
	old := map[uintptr]string{} // entry -> function
	for _, b := range bases {
		b.old(old)
	}
	h.mu.Unlock()
	if len(old) == 0 {
		return nil, true
	}
	x := h.platform.patches
	counts, entries := map[string]int{}, map[uintptr]uintptr{}
	ok = x.stacks(func(pcs []uintptr) {
		seen := map[string]bool{}
		for _, pc := range pcs {
			entry, known := entries[pc]
			if !known {
				entry = x.of(pc - 1) // it is a return address
				entries[pc] = entry
			}
			if name, ok := old[entry]; ok && !seen[name] {
				seen[name] = true
				counts[name]++
			}
		}
	})
	for name, n := range counts {
		found = append(found, control.Finishing{Function: name, Goroutines: n})
	}
	slices.SortFunc(found, func(a, b control.Finishing) int { return cmp.Compare(a.Function, b.Function) })
	return found, ok
}

// old enters the functions of b whose code is not the one in force.
func (b *patchBase) old(entries map[uintptr]string) {
	if b.current != nil {
		for _, f := range b.current.manifest.Patch.Functions {
			if f.Old != 0 {
				entries[b.bias+uintptr(f.Old)] = shortName(f.Name)
			}
		}
	}
	for _, g := range b.patches {
		if g == b.current {
			continue
		}
		for _, f := range g.manifest.Patch.Functions {
			entries[g.bias+uintptr(f.New)] = shortName(f.Name)
		}
	}
}

// addPatches tells, for what was patched, which functions run which code.
func (h *Host) addPatches(s *control.Status) {
	h.mu.Lock()
	bases := map[string][]*patchBase{} // by plugin
	replaced := map[string][]control.Replaced{}
	for _, b := range h.bases {
		if len(b.patches) == 0 {
			continue
		}
		name := b.patches[0].plugin
		bases[name] = append(bases[name], b)
		if b.current == nil {
			continue
		}
		for _, f := range b.current.manifest.Patch.Functions {
			if f.Old != 0 {
				replaced[name] = append(replaced[name], control.Replaced{Function: shortName(f.Name), Generation: b.current.number, Base: b.number()})
			}
		}
	}
	h.mu.Unlock()
	for i := range s.Plugins {
		p := &s.Plugins[i]
		if len(bases[p.Name]) == 0 {
			continue
		}
		p.Replaced = replaced[p.Name]
		slices.SortFunc(p.Replaced, func(a, b control.Replaced) int {
			return cmp.Or(cmp.Compare(a.Base, b.Base), cmp.Compare(a.Function, b.Function))
		})
		p.Replaced = slices.Compact(p.Replaced)
		p.Finishing, _ = h.finishing(bases[p.Name]...)
	}
}
