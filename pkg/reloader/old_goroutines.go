package reloader

import (
	"cmp"
	"runtime"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// # Who still runs an old generation
//
// A generation that is not live any more costs nothing but address space, unless
// something of it still runs: a goroutine that it started and that does not mind
// the end of HotStart's context, a call that has not returned, a HotStop that
// hangs. These are found on demand, never watched for.
//
// A goroutine counts for a generation if code of that generation is on its stack:
// if one of the code addresses that runtime.GoroutineProfile gives (the 32
// innermost frames) lies in the executable part of the artifact's mapping. That
// is exact, takes functions of dependencies that came with the artifact for what
// they are, and stops the process for a moment only, at about a microsecond a
// goroutine beyond that.
//
// State, age and creator are in the text of runtime.Stack alone, and that stops
// the process until all of it is written, at some 15 microseconds a goroutine: so it
// is asked for only where there is somebody to tell of or there are few goroutines
// (fewTexts), and never above mostTexts. The text has no addresses. There a function is a generation's by the
// identity in its name, or because the profile has just seen a function of that
// name in that generation and nowhere else. What an old generation started and
// what is now in other code altogether shows in the text alone.
//
// Both are looked at one after the other, while goroutines come and go: the counts
// are those of a moment.

// lookout is this process as that search sees it: a seam.
type lookout struct {
	// maps tells which code and how much memory came from these files.
	maps func(files map[pluginGeneration]string) map[string]usage
	// memory is maps with what is resident.
	memory func(files map[pluginGeneration]string) map[string]usage
	// stacks is that of patching.
	stacks func(visit func(pcs []uintptr)) bool
	// frame tells where a return address is in the source.
	frame func(pc uintptr) runtime.Frame
	// text is what runtime.Stack writes about all goroutines; "" where there are
	// too many.
	text func() string
}

func newLookout() *lookout {
	return &lookout{maps: mappedCode, memory: mappedFiles, stacks: stacks, frame: frameAt, text: stackTexts}
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
	spans      []codeOf
	identities map[string]*generation
	known      map[uintptr]*generation // nil: of none of them
	counts     map[*generation]int
	places     map[*generation]map[control.Goroutine]int // without Goroutines
	texts      map[*generation]map[control.Goroutine]int
	visited    int // goroutines
}

// codeOf is where a generation's code lies.
type codeOf struct {
	span
	g *generation
}

func newSearch(l *lookout, old []*generation) *search {
	s := &search{
		lookout: l, identities: map[string]*generation{}, known: map[uintptr]*generation{}, counts: map[*generation]int{},
		places: map[*generation]map[control.Goroutine]int{}, texts: map[*generation]map[control.Goroutine]int{},
	}
	files := map[pluginGeneration]string{}
	for _, g := range old {
		files[pluginGeneration{g.plugin, g.number}] = g.path
		if len(g.manifest.Key) >= identityDigits {
			s.identities[g.manifest.Key[:identityDigits]] = g
		}
	}
	mapped := l.maps(files)
	for _, g := range old {
		for _, code := range mapped[g.path].code {
			s.spans = append(s.spans, codeOf{code, g})
		}
	}
	slices.SortFunc(s.spans, func(a, b codeOf) int { return cmp.Compare(a.from, b.from) })
	return s
}

// visit takes one goroutine's code addresses.
func (s *search) visit(pcs []uintptr) {
	s.visited++
	var seen []*generation // mostly none, seldom more than one
	for _, pc := range pcs {
		g, ok := s.known[pc]
		if !ok {
			g = s.generationAt(pc - 1) // it is a return address
			s.known[pc] = g
		}
		if g == nil || slices.Contains(seen, g) {
			continue
		}
		seen = append(seen, g)
		s.counts[g]++
		f := s.frame(pc)
		count(s.places, g, control.Goroutine{Function: shortName(f.Function), File: f.File, Line: f.Line})
	}
}

func count(places map[*generation]map[control.Goroutine]int, g *generation, at control.Goroutine) {
	if places[g] == nil {
		places[g] = map[control.Goroutine]int{}
	}
	places[g][at]++
}

func (s *search) generationAt(pc uintptr) *generation {
	i, exact := slices.BinarySearchFunc(s.spans, pc, func(c codeOf, pc uintptr) int { return cmp.Compare(c.from, pc) })
	if !exact {
		i--
	}
	if i < 0 || pc >= s.spans[i].to {
		return nil
	}
	return s.spans[i].g
}

// read takes the text of all goroutines.
func (s *search) read(text string) {
	names := s.names()
	of := func(function string) *generation {
		if id := identityOf(function); id != "" {
			return s.identities[id]
		}
		return names[function]
	}
	for _, t := range parseStacks(text) {
		at := control.Goroutine{State: t.state, BlockedS: int64(t.minutes) * 60, CreatedBy: shortName(t.creator)}
		var seen []*generation
		for _, f := range t.frames {
			if g := of(f.function); g != nil && !slices.Contains(seen, g) {
				seen = append(seen, g)
				at.Function, at.File, at.Line = shortName(f.function), f.file, f.line
				count(s.texts, g, at)
			}
		}
		if g := of(t.creator); g != nil && !slices.Contains(seen, g) && len(t.frames) > 0 {
			entry := t.frames[len(t.frames)-1]
			at.Function, at.File, at.Line = shortName(entry.function), entry.file, entry.line
			count(s.texts, g, at)
		}
	}
}

// names gives the functions without an identity that were seen in old generations
// and nowhere else: those of dependencies that came with an artifact.
func (s *search) names() map[string]*generation {
	names := map[string]*generation{}
	for pc, g := range s.known {
		if g == nil {
			continue
		}
		if name := s.frame(pc).Function; identityOf(name) == "" {
			if other, ok := names[name]; ok && other != g {
				g = nil
			}
			names[name] = g
		}
	}
	if len(names) == 0 {
		return nil
	}
	for pc, g := range s.known {
		if g == nil {
			delete(names, s.frame(pc).Function)
		}
	}
	return names
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
