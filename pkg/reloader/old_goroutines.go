package reloader

import (
	"cmp"
	"runtime"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/retained"
)

// # Who still runs an old generation
//
// A generation that is not live any more costs nothing but address space, unless
// something of it still runs: a goroutine that it started and that does not mind
// the end of HotStart's context, a call that has not returned, a HotStop that
// hangs. These are found on demand, never watched for.
//
// A goroutine counts for a generation if code of that generation is on its stack:
// if one of the 32 innermost functions that runtime.GoroutineProfile gives has the
// generation's identity in its name. Where the function lies in memory would be the
// wrong question: a dependency that the host lacks is defined by the first artifact
// that brings it, and later generations run that code too. The profile stops the
// process for a moment only, and takes about a microsecond a goroutine beyond that.
//
// State, age and creator are in the text of runtime.Stack alone, and that stops
// the process until all of it is written, at some 20 microseconds a goroutine: so it
// is asked for only where there is somebody to tell of or there are few goroutines
// (fewTexts), and never above mostTexts. What an old generation started and what is
// in other code altogether now shows there alone.
//
// Both are looked at one after the other, while goroutines come and go: the counts
// are those of a moment.

// lookout is this process as that search sees it: a seam.
type lookout struct {
	// mapped tells how much address space came from these files.
	mapped func(files map[pluginGeneration]string) map[string]usage
	// memory is mapped with what is resident.
	memory func(files map[pluginGeneration]string) map[string]usage
	// stacks is that of patching.
	stacks func(visit func(pcs []uintptr)) bool
	// frame tells where a return address is in the source.
	frame func(pc uintptr) runtime.Frame
	// text is what runtime.Stack writes about all goroutines; "" where there are
	// too many.
	text func() string
	// retained finds what the program's variables lead to of old generations.
	retained func([]retained.Generation, retained.Options) (*retained.Look, error)
}

func newLookout() *lookout {
	return &lookout{mapped: mappedBytes, memory: mappedFiles, stacks: stacks, frame: frameAt, text: stackTexts, retained: retained.Find}
}

func frameAt(pc uintptr) runtime.Frame {
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return f
}

// fewTexts is the number of goroutines up to which their text is read though none of
// them is in old code: an old generation may have started them.
const fewTexts = 100

// mostPlaces is how many places status lists for one generation.
const mostPlaces = 16

// leftover is what still runs in one generation.
type leftover struct {
	goroutines int
	onStack    int                 // of these, those that have its code on their stack
	inside     []control.Goroutine // at most mostPlaces, most goroutines first
}

// oldGenerations gives those of all plugins that are not live and were: neither
// they nor a patch of them. Patches of the host have nothing to retire; see
// finishing. The caller holds h.mu.
func (h *Host) oldGenerations() []*generation {
	var old []*generation
	for _, p := range h.plugins {
		if p.self {
			continue
		}
		live := p.serving().root()
		for _, g := range p.gens {
			if g.root() != live && !g.ended.IsZero() {
				old = append(old, g)
			}
		}
	}
	return old
}

// markEnded notes since when g, and what it is a patch of, is not live; the zero
// time stands for one that is, or is about to be. The caller holds h.mu.
func (g *generation) markEnded(when time.Time) {
	if g == nil {
		return
	}
	g.ended = when
	if root := g.root(); root != nil {
		root.ended = when
	}
}

// leftIn looks for goroutines in these generations. It gives false where there are
// too many goroutines to look through.
func (h *Host) leftIn(old []*generation, withText bool) (map[*generation]leftover, bool) {
	if len(old) == 0 {
		return nil, true
	}
	s := newSearch(h.platform.old, old)
	if !h.platform.old.stacks(s.visit) {
		return nil, false
	}
	if withText && (len(s.counts) > 0 || s.visited <= fewTexts) {
		s.read(h.platform.old.text())
	}
	return s.found(), true
}

// search is one look at all goroutines.
type search struct {
	*lookout
	identities map[string]*generation
	known      map[uintptr]place // by return address
	counts     map[*generation]int
	places     map[*generation]map[control.Goroutine]int // without Goroutines
	texts      map[*generation]map[control.Goroutine]int
	visited    int // goroutines
}

// place is where in a generation a return address is.
type place struct {
	g  *generation // nil: in none of them
	at control.Goroutine
}

func newSearch(l *lookout, old []*generation) *search {
	s := &search{
		lookout: l, identities: map[string]*generation{}, known: map[uintptr]place{}, counts: map[*generation]int{},
		places: map[*generation]map[control.Goroutine]int{}, texts: map[*generation]map[control.Goroutine]int{},
	}
	for _, g := range old {
		// The functions of a patch have the names of those that they replace.
		if g.on == nil && len(g.manifest.Key) >= identityDigits {
			s.identities[g.manifest.Key[:identityDigits]] = g
		}
	}
	return s
}

// of gives the generation that a function is of, nil where it is none of them.
func (s *search) of(function string) *generation {
	if id := identityOf(function); id != "" {
		return s.identities[id]
	}
	return nil
}

// visit takes one goroutine's return addresses.
func (s *search) visit(pcs []uintptr) {
	s.visited++
	var seen []*generation // mostly none, seldom more than one
	for _, pc := range pcs {
		p, ok := s.known[pc]
		if !ok {
			f := s.frame(pc)
			p = place{s.of(f.Function), control.Goroutine{Function: shortName(f.Function), File: f.File, Line: f.Line}}
			s.known[pc] = p
		}
		if p.g != nil && !slices.Contains(seen, p.g) {
			seen = append(seen, p.g)
			s.counts[p.g]++
			count(s.places, p.g, p.at)
		}
	}
}

func count(places map[*generation]map[control.Goroutine]int, g *generation, at control.Goroutine) {
	if places[g] == nil {
		places[g] = map[control.Goroutine]int{}
	}
	places[g][at]++
}

// read takes the text of all goroutines.
func (s *search) read(text string) {
	for _, t := range parseStacks(text) {
		at := control.Goroutine{State: t.state, BlockedS: int64(t.minutes) * 60, CreatedBy: shortName(t.creator)}
		var seen []*generation
		for _, f := range t.frames {
			if g := s.of(f.function); g != nil && !slices.Contains(seen, g) {
				seen = append(seen, g)
				at.Function, at.File, at.Line = shortName(f.function), f.file, f.line
				count(s.texts, g, at)
			}
		}
		if g := s.of(t.creator); g != nil && !slices.Contains(seen, g) && len(t.frames) > 0 {
			entry := t.frames[len(t.frames)-1]
			at.Function, at.File, at.Line = shortName(entry.function), entry.file, entry.line
			count(s.texts, g, at)
		}
	}
}

func (s *search) found() map[*generation]leftover {
	out := map[*generation]leftover{}
	for g, places := range s.places {
		out[g] = leftover{s.counts[g], s.counts[g], listed(places)}
	}
	for g, places := range s.texts {
		total := 0
		for _, n := range places {
			total += n
		}
		out[g] = leftover{max(total, s.counts[g]), s.counts[g], listed(places)}
	}
	return out
}

// listed gives the places with most goroutines.
func listed(places map[control.Goroutine]int) []control.Goroutine {
	list := make([]control.Goroutine, 0, len(places))
	for at, n := range places {
		at.Goroutines = n
		list = append(list, at)
	}
	slices.SortFunc(list, func(a, b control.Goroutine) int {
		return cmp.Or(
			-cmp.Compare(a.Goroutines, b.Goroutines), cmp.Compare(a.Function, b.Function), cmp.Compare(a.Line, b.Line),
			-cmp.Compare(a.BlockedS, b.BlockedS), cmp.Compare(a.State, b.State), cmp.Compare(a.CreatedBy, b.CreatedBy), cmp.Compare(a.File, b.File),
		)
	})
	return list[:min(len(list), mostPlaces)]
}

// inUse gives the generations that have code on the stack of a goroutine, with the
// number of these. A patch counts for the generation that it was made for.
func inUse(left map[*generation]leftover) map[*generation]int {
	used := map[*generation]int{}
	for g, l := range left {
		if l.onStack > 0 {
			used[g.root()] += l.onStack
		}
	}
	return used
}

// oldFor gives the seconds since g was live, if it is one of old. The caller holds
// h.mu.
func (g *generation) oldFor(now time.Time, old []*generation) int64 {
	if !slices.Contains(old, g) {
		return 0
	}
	return int64(now.Sub(g.ended) / time.Second)
}

// addOld tells what still runs in old generations.
func (h *Host) addOld(s *control.Status, old []*generation, withText bool) {
	left, ok := h.leftIn(old, withText)
	s.TooManyGoroutines, s.OldGenerations = !ok, len(inUse(left))
	by := map[pluginGeneration]leftover{}
	for g, l := range left {
		by[pluginGeneration{g.plugin, g.number}] = l
	}
	for i := range s.Plugins {
		for j := range s.Plugins[i].Generations {
			g := &s.Plugins[i].Generations[j]
			l := by[pluginGeneration{s.Plugins[i].Name, g.Generation}]
			g.Goroutines, g.Inside = l.goroutines, l.inside
		}
	}
}
