package reloader

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/retained"
)

// # What the program keeps of an old generation
//
// Handles move with a swap. What the program has taken out of them does not: a value
// in a registry, a function in a list of callbacks, a pointer to a variable. It goes on
// with the old code, the old types and the old variables, and nothing fails. So it is
// looked for, from the program's variables through the heap (package retained has the
// story), when a generation has retired, and again when the status is asked for.
//
// Looks are in the background, one at a time. They stop nobody, and what one found
// stands until the next one: at most every lookAgain.
//
// What does not count: what the host itself keeps for a rollback; what the live
// generation's own variables lead to, for that is state, of which the event of the swap
// has told (HG0070); what lies on stacks alone, where words stay after their time; and
// what the runtime's books alone lead to, but for timers and what is to run when an object
// of the program's goes.

// lookAgain is how old an answer has to be for the status to ask again.
const lookAgain = 30 * time.Second

// shownRetained is how many things are listed of one generation.
const shownRetained = 10

// retention is what was found last.
type retention struct {
	mu      sync.Mutex
	busy    bool // a look is on its way
	again   bool // it may have begun too early for somebody
	looked  time.Time
	of      map[*generation]*control.Retained // nothing to tell: no entry
	told    map[*generation]bool              // an event has said so
	unknown string                            // why the last look could not be made
}

// lookForRetained looks for everything old, and tells once of each generation of which
// something is found. Where a look is under way, another one follows it.
func (h *Host) lookForRetained() {
	r := &h.retention
	r.mu.Lock()
	r.again = true
	mine := !r.busy
	r.busy = true
	r.mu.Unlock()
	for mine {
		r.mu.Lock()
		mine = r.again && h.ctx.Err() == nil
		r.again, r.busy = false, mine
		r.mu.Unlock()
		if mine {
			h.lookOnce()
		}
	}
}

func (h *Host) lookOnce() {
	r := &h.retention
	roots, wanted, closed := h.retainable()
	var found map[*generation]*control.Retained
	var err error
	switch {
	case len(roots) == 0:
	case h.opts.NoHeapLook:
		err = errors.New("Options.NoHeapLook says not to")
	default:
		var look *retained.Look
		look, err = h.platform.old.retained(wanted, retained.Options{
			Closed: closed, Hidden: ownPackage,
			Pause: func() bool {
				select {
				case <-h.ctx.Done():
					return false
				case <-time.After(lookRest):
					return true
				}
			},
		})
		if err == nil {
			found = tellRetained(roots, look)
		}
	}
	if h.ctx.Err() != nil {
		return // it was cut short
	}
	var news []*generation
	r.mu.Lock()
	r.looked, r.of, r.unknown = time.Now(), found, ""
	if err != nil {
		r.unknown = err.Error()
	}
	for _, g := range roots {
		if f := found[g]; f != nil && len(f.Things) > 0 && !r.told[g] {
			if r.told == nil {
				r.told = map[*generation]bool{}
			}
			r.told[g] = true
			news = append(news, g)
		}
	}
	r.mu.Unlock()
	for _, g := range news {
		h.record(retainedEvent(g, found[g]))
	}
}

// lookRest is how long a look does nothing after each megabyte, which takes it about as
// long: half a processor at most.
const lookRest = time.Millisecond

// ownPackage reports whether a package's variables are the reloader's.
func ownPackage(path string) bool {
	const reloader = "github.com/hotgo/hotgo/pkg/"
	return strings.HasPrefix(path, reloader)
}

// retainable gives the old generations of which something may be kept, without
// patches, what to look for, and the objects of this host that are not looked into.
func (h *Host) retainable() (roots []*generation, wanted []retained.Generation, closed []uintptr) {
	shut := func(p any) { closed = append(closed, reflect.ValueOf(p).Pointer()) }
	h.mu.Lock()
	for _, g := range h.oldGenerations() {
		if root := g.root(); root != nil && g.symbols != nil && !slices.Contains(roots, root) {
			roots = append(roots, root)
		}
	}
	paths := map[*generation][]string{}
	shut(h)
	shut(h.api)
	for _, p := range h.plugins {
		shut(p)
		shut(p.live.Load())
		for _, g := range p.gens {
			shut(g)
			paths[g.root()] = append(paths[g.root()], g.manifest.PluginPath)
		}
		for _, b := range p.binds {
			shut(b)
		}
	}
	h.mu.Unlock()
	for _, g := range roots {
		wanted = append(wanted, retained.Generation{Paths: paths[g], Own: g.owns, Variables: g.variables()})
	}
	return roots, wanted, closed
}

// owns reports whether a package is one of this generation alone, by the import path
// that it has there.
func (g *generation) owns(path string) bool {
	if path == g.manifest.PluginPath || identityOf(path+".") != "" && identityOf(path+".") == identityOf("/hotgo_"+g.manifest.Key+".") {
		return true
	}
	for _, fresh := range g.manifest.Private {
		if fresh == path {
			return true
		}
	}
	return false
}

// variables gives those of a generation, as far as its artifact lists them.
func (g *generation) variables() (all []retained.Variable) {
	k := g.kept()
	if k == nil {
		return nil
	}
	for _, v := range k.Variables {
		all = append(all, retained.Variable{Name: v.Name, Address: v.Pointer.Pointer(), Size: v.Pointer.Type().Elem().Size()})
	}
	return all
}

var retainedKinds = map[retained.Kind]control.RetainedKind{
	retained.Value: control.RetainedValue, retained.Func: control.RetainedFunction, retained.Memory: control.RetainedVariable,
}

// tellRetained sorts what was found by generation.
func tellRetained(roots []*generation, look *retained.Look) map[*generation]*control.Retained {
	of := map[*generation]*control.Retained{}
	for _, f := range look.Found {
		g := roots[f.Generation]
		r := of[g]
		if r == nil {
			r = &control.Retained{Part: look.Part}
			of[g] = r
		}
		if len(r.Things) == shownRetained {
			r.More++
			continue
		}
		thing := control.RetainedThing{
			Path: shortText(shortName(f.Root) + strings.TrimPrefix(f.Path, f.Root)), Kind: retainedKinds[f.Kind], Name: f.Name, Places: f.Count,
		}
		if f.Kind != retained.Value {
			thing.Name = shortName(f.Name)
		}
		thing.Name = shortText(thing.Name)
		r.Things = append(r.Things, thing)
	}
	if look.Part {
		for _, g := range roots {
			if of[g] == nil {
				of[g] = &control.Retained{Part: true}
			}
		}
	}
	return of
}

// retainedEvent tells of it.
func retainedEvent(g *generation, r *control.Retained) control.Event {
	ev := control.Event{
		Event: control.KindNote, Plugin: g.plugin, Generation: g.number, Key: g.manifest.Key, Digest: g.digest, Code: rulePrivateType,
		Reason: "the host keeps something of it: " + r.Things[0].String() + "; it goes on with old code",
	}
	for _, t := range r.Things[:min(len(r.Things), shownEvidence)] {
		ev.Notes = append(ev.Notes, control.Finding{Code: rulePrivateType, Symbol: t.Name, Text: t.String()})
	}
	if rest := len(r.Things) + r.More - 1; rest > 0 {
		ev.Reason += fmt.Sprintf(", as do %d more", rest)
	}
	return ev
}

// addRetained enters what was found last, and has another look made where that was
// long ago.
func (h *Host) addRetained(s *control.Status, old []*generation) {
	r := &h.retention
	r.mu.Lock()
	due := len(old) > 0 && !r.busy && time.Since(r.looked) > lookAgain
	by := map[pluginGeneration]*control.Retained{}
	for _, g := range old {
		switch f := r.of[g]; {
		case f != nil:
			by[pluginGeneration{g.plugin, g.number}] = f
		case r.unknown != "" && g.on == nil:
			by[pluginGeneration{g.plugin, g.number}] = &control.Retained{Unknown: r.unknown}
		}
	}
	r.mu.Unlock()
	for i := range s.Plugins {
		for j := range s.Plugins[i].Generations {
			g := &s.Plugins[i].Generations[j]
			g.Retained = by[pluginGeneration{s.Plugins[i].Name, g.Generation}]
		}
	}
	if due {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.ctx.Err() == nil { // Close waits for what began before it
			h.background.Go(h.lookForRetained)
		}
	}
}
