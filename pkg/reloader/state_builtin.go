package reloader

import (
	"go/token"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/symname"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry"
)

// # The built-in is generation 0
//
// Its variables are the host's own, and artifacts that were linked against the host
// list them, each for itself: the list of any is as good as that of another. On the
// way back to the built-in its variables are written to while code of the host that
// has them may run. So that is done before the world goes on.

// builtinEntry is the name under which an artifact's entry adds a stateFunc for what
// the host has of the plugin.
const builtinEntry = "hotgo:state0"

// builtin gives the state of a plugin's built-in, nil where no artifact lists it and where
// it has none. first is asked first.
func (h *Host) builtin(first *generation) *carry.Generation {
	k := h.builtinState(h.builtinLister(first.plugin, first))
	if k != nil && len(k.Variables) == 0 {
		return nil
	}
	return k
}

// builtinLister finds who lists the built-in of a plugin, nil where nobody does. first
// is asked first, and may be nil.
func (h *Host) builtinLister(plugin string, first *generation) (stateFunc, *artifact.Manifest) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var gens []*generation
	if first != nil {
		gens = append(gens, first)
	}
	if p := h.plugins[plugin]; p != nil {
		gens = append(gens, p.gens...)
	}
	for _, g := range gens {
		switch b := g.manifest.Builtin; {
		case g.builtin != nil:
			return g.builtin, &g.manifest
		case b != nil && b.Reason == "" && len(b.Packages) == 0 && g.symbols != nil:
			return listsNothing, &g.manifest // it has no variable, but patches may bring some
		}
	}
	for _, l := range h.lists[plugin] {
		if l.list != nil {
			return l.list, &l.manifest
		}
	}
	return nil, nil
}

func listsNothing(func(path string) bool, func(kind, path, name string, value any)) {}

// builtinState asks such a list, which may be nil, and the patch that serves. m is the
// manifest of the artifact that brought the list.
func (h *Host) builtinState(list stateFunc, m *artifact.Manifest) *carry.Generation {
	if list == nil {
		return nil
	}
	k := stateOf(list, nil)
	for _, v := range k.Variables {
		path := v.Name[:strings.LastIndexByte(v.Name, '.')]
		k.Packages[path] = path
	}
	// Packages without variables have types of the plugin as well.
	for path := range m.Private {
		k.Packages[path] = path
	}
	if m.Builtin != nil {
		for _, path := range m.Builtin.Own {
			k.Packages[path] = path
		}
	}
	h.addPatched(k)
	return k
}

// builtinCode gives what there is of the code of the built-in: packages of the program,
// as symbol names have them, and functions of patches of the program.
func (h *Host) builtinCode(k *carry.Generation) (packages []string, functions []uintptr) {
	for path := range k.Packages {
		packages = append(packages, symname.Escape(path))
	}
	slices.Sort(packages)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.plugins {
		for _, g := range p.gens {
			if !p.self || g.manifest.Patch == nil {
				continue
			}
			for _, f := range g.manifest.Patch.Functions {
				if slices.Contains(packages, symname.Package(f.Name)) {
					functions = append(functions, g.bias+uintptr(f.New))
				}
			}
		}
	}
	return packages, functions
}

// builtinVariables gives pointers to the variables of the built-in, as oldVariables
// does for a generation. It is nil where they are not known.
func (h *Host) builtinVariables(next *generation) map[string]any {
	k := h.builtin(next)
	if k == nil {
		return nil
	}
	vars := map[string]any{}
	for _, v := range k.Variables {
		vars[v.Name] = v.Pointer.Interface()
		if name, ok := strings.CutPrefix(v.Name, next.manifest.Package+"."); ok && token.IsExported(name) {
			vars[name] = v.Pointer.Interface()
		}
	}
	return vars
}

// builtinNotes says what of the built-in's variables, k, does not become the next
// generation's. other is the generation that is not the built-in.
func (h *Host) builtinNotes(c change, k, other *carry.Generation) []control.Finding {
	g := c.to.root()
	if g == nil {
		g = c.from.root()
	}
	if k == nil {
		b := g.manifest.Builtin
		keeps := func(v carry.Variable) bool { return !v.Fresh }
		if b == nil || b.Reason == "" || other == nil || !slices.ContainsFunc(other.Variables, keeps) {
			return nil
		}
		text := "package variables start anew: " + b.Reason
		if c.to == nil {
			text = "the built-in goes on with its own package variables: " + b.Reason
		}
		return []control.Finding{{Code: b.Code, Text: shortText(text)}}
	}
	if c.to == nil {
		return nil
	}
	var notes []control.Finding
	for _, name := range unlistedOf(k, h.patchedIn()) {
		notes = append(notes, control.Finding{
			Code: carry.CodeDropped, Symbol: shortText(name),
			Text: shortText(name + ": a patch of the host brought it, and it starts anew"),
		})
	}
	return notes
}
