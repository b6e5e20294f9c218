package reloader

import (
	"maps"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/symname"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// # What patches bring is state of the built-in
//
// A patch of the host may bring variables, functions and types of a plugin that the host
// was built with. For each package in which something is new it has a generated function
// that lists it, like those that artifacts list the built-in with. Nothing calls it: it
// is among the functions of the manifest, which were held against the process when the
// patch was loaded, and called at its address.
//
// What the patch that serves has counts. Where an earlier one had brought a variable,
// that one's memory is what both mean by the name; a variable that the patch which serves
// no longer declares is gone.
//
// Patches of a loaded generation need nothing of the kind. They replace the function
// that lists the generation's state.

// addPatched adds to the state of a plugin's built-in what the host's patch has of its
// packages.
func (h *Host) addPatched(k *carry.Generation) {
	for _, list := range h.patchLists(k) {
		added := stateOf(list, nil)
		k.Variables = append(k.Variables, added.Variables...)
		maps.Copy(k.Types, added.Types)
		maps.Copy(k.Functions, added.Functions)
	}
}

// patchLists gives the lists of the packages of k that the patch of the host has, which
// serves.
func (h *Host) patchLists(k *carry.Generation) (lists []stateFunc) {
	g := h.servingPatch()
	if g == nil {
		return nil
	}
	for _, f := range g.manifest.Patch.Functions {
		if !artifact.Generated(f.Name) || f.Old != 0 {
			continue
		}
		path, ok := symname.Unescape(symname.Package(f.Name))
		if _, own := k.Packages[path]; ok && own {
			lists = append(lists, livepatch.Callable[stateFunc](g.bias+uintptr(f.New)))
		}
	}
	return lists
}

// patchedIn gives the variables that the host's patch brought, as the linker spells them,
// sorted.
func (h *Host) patchedIn() (names []string) {
	g := h.servingPatch()
	if g == nil {
		return nil
	}
	for _, v := range g.manifest.Patch.Variables {
		names = append(names, v.Name)
	}
	slices.Sort(names)
	return names
}

// servingPatch gives the patch of the host's own code that serves, nil where there is none.
func (h *Host) servingPatch() *generation {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.plugins {
		if g := p.serving(); p.self && g != nil && g.manifest.Patch != nil {
			return g
		}
	}
	return nil
}

// unlistedOf gives, of variables that patches brought, as the linker spells them, those
// that are of the packages of k and that k does not list, as the user spells them.
func unlistedOf(k *carry.Generation, names []string) (unlisted []string) {
	listed := map[string]bool{}
	for _, v := range k.Variables {
		listed[v.Name] = true
	}
	for _, name := range names {
		escaped := symname.Package(name)
		path, ok := symname.Unescape(escaped)
		user, own := k.Packages[path]
		if spelled := user + strings.TrimPrefix(name, escaped); ok && own && !listed[spelled] {
			unlisted = append(unlisted, spelled)
		}
	}
	return unlisted
}
