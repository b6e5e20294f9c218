// Package choose decides how an edit reaches a running process.
//
// There are two ways. A patch replaces functions where they stand, and everything
// else stays as it is. A swap loads a plugin beside the version that serves, and
// moves the host's handles to it. A plugin that the host was built with, and of
// which nothing was loaded yet, is the host's own code, and a patch of the host
// has its changes; once a generation of it serves, what the host was built with is
// dead, and what is patched is the generation (generation.go).
//
// A patch is preferred, for it keeps state. What it cannot do, a swap may: of a
// plugin everything is new, so layouts and initialisers may be, too. What neither
// can do takes a restart.
//
// All of it is pure: the builder's answers go in, a [Decision] for each host comes
// out. Which generations the builder is to be asked about is decided here as well.
package choose

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Mode is what the user allows.
type Mode string

// The modes.
const (
	Auto  Mode = "auto"
	Patch Mode = "patch" // never swap
	Swap  Mode = "swap"  // never patch
)

// Way is how code reaches a host.
type Way int

// The ways.
const (
	Stay     Way = iota // what runs is right, or the best there is
	ByPatch             // as a patch of the host
	BySwap              // as a new generation of the plugin
	InPlace             // as a patch of the generation that serves
	ToBase              // the generation that serves goes back to the code that it was loaded with
	Original            // the host's own code goes back to what it was built from
	Refused             // not at all; Decision.Refusals says why
)

// Sources is what the builder says of the sources as they are, for one binary.
type Sources struct {
	Mode     Mode
	Plugins  []builder.Plugin // as Snapshot.Plans has them
	Snapshot *builder.Snapshot
	Patch    *builder.PatchPlan // nil where none was asked for, or where there is none
	PatchErr error              // why there is none
	// Generations has patches of what was loaded; see PlanGenerations.
	Generations map[Loaded]GenerationPatch
}

// Host is one process that runs the binary.
type Host struct {
	Package string            // import path of its main package
	Live    map[string]int    // plugin -> generation that serves; 0 is the built-in
	Keys    map[string]string // plugin -> key of that generation
	Bases   map[string]Base   // plugin -> what a patch of it is for
	Bare    map[string]bool   // plugins of which the host binds what it has no built-in for
	Patch   int               // generation of the host's own code; 0 is the binary's
	// Ours says that what serves of the host's own code was patched by the caller,
	// so that the builder has seen the sources before the edit.
	Ours bool
	// Refusal is why the host did not take the patch that is planned, nil where
	// it was not asked, or took it. Refusals has the same of patches of plugins.
	Refusal  *RefusedError
	Refusals map[string]*RefusedError
}

// Decision is how the sources reach one host.
type Decision struct {
	Unit     string                   // what the host's own code is called
	Own      Way                      // how that changes: Stay, ByPatch, Original or Refused
	Plugins  map[string]Way           // Stay, ByPatch (they are part of it), BySwap, InPlace, ToBase or Refused
	Refusals []*RefusedError          // what takes a restart; Unit says of what
	Instead  map[string]*RefusedError // plugin -> why it is swapped, where it might have been patched
	Part     *RefusedError            // what of a patch that is made has no effect before a restart
	Notes    []builder.Finding        // what somebody has to know who relies on the decision
	// Kept is what was edited and has no effect, where no code is to be loaded:
	// variables keep their values. By plugin, or under Unit.
	Kept map[string][]builder.Finding
	// Of plugins of which something was loaded:
	Bases   map[string]Base               // what InPlace and ToBase are about
	Patches map[string]*builder.PatchPlan // where the way is InPlace
	Again   bool                          // the host runs something else than was compared
}

// UnitName is what the own code of a host is called, as a patch of it is.
func UnitName(mainPackage string) string { return path.Base(mainPackage) }

// NeedsPatch says whether there may be something to patch in any of the hosts: a
// plan of a patch has to be made to know more.
func NeedsPatch(src Sources, hosts []Host) bool {
	if src.Mode == Swap {
		return false
	}
	if src.Mode == Patch || len(src.Snapshot.HostChanges) > 0 {
		return true
	}
	if slices.ContainsFunc(hosts, func(h Host) bool { return h.Patch > 0 }) {
		return true // it may be one too many
	}
	for i, p := range src.Plugins {
		plan := src.Snapshot.Plans[i]
		if plan == nil || plan.Builtin {
			continue // of one that does not even load there is nothing to compare
		}
		if slices.ContainsFunc(hosts, func(h Host) bool { return h.Live[p.Name] == 0 }) {
			return true
		}
	}
	return false
}

// Decide says how the sources reach a host.
func Decide(src Sources, h Host) Decision {
	d := Decision{
		Unit: UnitName(h.Package), Plugins: map[string]Way{}, Instead: map[string]*RefusedError{},
		Bases: map[string]Base{}, Patches: map[string]*builder.PatchPlan{}, Kept: map[string][]builder.Finding{},
	}
	if src.Mode == Swap {
		for _, p := range src.Plugins {
			d.Plugins[p.Name] = BySwap
		}
		return d
	}
	refusal := refusalOf(src, h)
	own := len(src.Snapshot.HostChanges) > 0 // of the host alone, or shared with plugins
	carried := false                         // by the patch: changes of plugins
	for i, p := range src.Plugins {
		if h.Live[p.Name] > 0 {
			d.loaded(src, h, i)
			continue
		}
		c := pluginCase{
			mode: src.Mode, changed: src.changed(i),
			patched: src.Patch != nil && refusal == nil, broken: isBuildError(src.PatchErr),
			bare: h.Bare[p.Name],
		}
		if plan := src.Snapshot.Plans[i]; plan != nil {
			c.planned, c.builtin = true, plan.Builtin
		}
		way := c.way()
		carried = carried || c.changed
		// Where there is no plan of a patch, nobody knows what changed.
		if way == BySwap && refusal != nil && (c.changed || src.PatchErr != nil) {
			d.Instead[p.Name] = refusal
		}
		if way == Refused {
			d.Refusals = append(d.Refusals, refusal.of(p.Name))
		}
		d.Plugins[p.Name] = way
	}
	switch {
	case isBuildError(src.PatchErr):
	case refusal != nil && (own || src.Mode == Patch && src.PatchErr != nil):
		d.Own = Refused
		d.Refusals = append(d.Refusals, refusal)
	case refusal != nil:
	case (own || carried) && src.Patch != nil && src.Patch.Verdict == builder.CanPatch:
		d.Own = ByPatch
		d.Notes = staleNotes(src, h)
		if changes(src.Patch, isMain) {
			d.Part = neverRuns(src.Patch)
		}
	case h.Patch == 0 && src.Patch != nil && src.Patch.Verdict == builder.NoDifference:
		d.Kept[d.Unit] = src.Patch.Findings
	case h.Patch > 0 && (h.Ours || src.Patch != nil && !src.Patch.Assumed):
		// Where it is not known what the host was built from, the sources that
		// equal it may well be those that were patched in.
		d.Own = Original
	}
	return d
}

// pluginCase is all that decides about one plugin in a host that loaded none of it.
type pluginCase struct {
	mode    Mode
	planned bool // it can be swapped, as far as the sources go
	builtin bool // its sources are known to be what the host was built from
	changed bool // they are known not to be
	patched bool // the patch that is planned can be made, or there is nothing to patch
	bare    bool // the built-in is not all that the host binds
	broken  bool // the host's sources do not compile, this plugin's perhaps
}

// way decides about one plugin.
func (c pluginCase) way() Way {
	switch {
	case c.bare && c.mode == Auto && c.planned:
		return BySwap
	case c.builtin || c.broken:
		return Stay
	case c.changed && c.patched:
		return ByPatch
	case c.mode == Patch && c.changed:
		return Refused
	case c.mode == Patch || !c.planned:
		return Stay
	}
	// Refused as a patch, not in the host at all, or the host may be older than
	// the sources: what it was built from is known only once somebody looked.
	return BySwap
}

// changed says whether a plugin's own packages are among those of the host that
// differ from what it was built from.
func (src Sources) changed(i int) bool {
	if src.Patch == nil {
		return false
	}
	p, plan := src.Plugins[i], src.Snapshot.Plans[i]
	return slices.ContainsFunc(src.Patch.Packages, func(pkg string) bool {
		if plan == nil { // it uses a package that changed in the host, too
			return pkg == p.ImportPath || strings.HasPrefix(pkg, p.ImportPath+"/")
		}
		return slices.Contains(plan.Private, pkg)
	})
}

// staleNotes names the plugins whose generation was compiled against what is
// being patched: what was inlined into them stays as it was.
func staleNotes(src Sources, h Host) []builder.Finding {
	var notes []builder.Finding
	for i, p := range src.Plugins {
		if src.Snapshot.Plans[i] == nil && h.Live[p.Name] > 0 && IsShared(src.Snapshot.Errors[p.Name]) {
			notes = append(notes, builder.Finding{
				Code: RuleShared, Symbol: p.Name,
				Text: p.Name + " was loaded with the old text of a package that it shares with the host; it keeps what was inlined, and takes no new version before a restart",
			})
		}
	}
	return notes
}

// IsShared reports whether a plugin has no plan because of a change in a package
// that it shares with the host.
func IsShared(err error) bool {
	c, ok := errors.AsType[*builder.ConflictError](err)
	return ok && len(c.Evidence) > 0 && c.Evidence[0].Rule == RuleShared
}

func isBuildError(err error) bool {
	_, ok := errors.AsType[*builder.BuildError](err)
	return ok
}

// HostOf gives what is decided upon of a host's status.
func HostOf(st control.Status) Host {
	h := Host{
		Package: st.Package, Live: map[string]int{}, Keys: map[string]string{}, Bases: map[string]Base{}, Bare: map[string]bool{},
	}
	for _, p := range st.Plugins {
		if p.Kind == control.KindHost {
			h.Patch = p.Live
			continue
		}
		h.Live[p.Name] = p.Live
		h.Bare[p.Name] = slices.ContainsFunc(p.Symbols, func(s control.Symbol) bool { return !s.Builtin })
		if p.Live > 0 {
			h.Bases[p.Name] = BasesOf(p)[p.Live]
		}
		for _, g := range p.Generations {
			if g.Generation == p.Live {
				h.Keys[p.Name] = g.Key
			}
		}
	}
	return h
}
