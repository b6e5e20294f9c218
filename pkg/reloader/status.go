package reloader

import (
	"cmp"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/typename"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Status tells what this host is and what it runs. It is cheap while nothing
// is loaded; after that it reads the process's memory map, and once there were
// patches or old generations the stacks of its goroutines: about a microsecond
// each, up to a hundred thousand. Where some of at most a thousand goroutines are in
// old code it also stops the process for some 20 microseconds a goroutine, to learn
// what they wait for.
func (h *Host) Status() control.Status { return h.status(true) }

// status is Status; without withText, less is known about old generations and
// nothing stops.
func (h *Host) status(withText bool) control.Status {
	s := control.Status{
		V: control.EventVersion, Name: h.opts.Name, PID: os.Getpid(), Socket: h.Socket(),
		GoVersion: runtime.Version(), GOOS: runtime.GOOS, GOARCH: runtime.GOARCH,
		Flags: map[string]string{}, Started: h.started, Plugins: []control.Plugin{},
		Starting: h.starting.Load(), Stuck: int(h.stuck.Load()),
	}
	s.Executable, _ = os.Executable()
	if info, ok := debug.ReadBuildInfo(); ok {
		s.Package, s.GoVersion = info.Path, info.GoVersion
		for _, f := range info.Settings {
			if !strings.HasPrefix(f.Key, "vcs") {
				s.Flags[f.Key] = f.Value
			}
		}
	}
	if fp, err := h.platform.host(); err == nil {
		s.BuildID = fp.BuildID
	}
	if h.trust != nil {
		s.TrustedKeys = h.trust.ids()
	}
	h.addRestore(&s)
	files, old := h.addPlugins(&s)
	h.addPatches(&s)
	h.addOld(&s, old, withText)
	if withText {
		h.addRetained(&s, old)
	}
	s.Memory.RSSBytes = residentSet()
	if len(files) > 0 {
		addMemory(&s, files, h.platform.old.memory(files))
	}
	h.addLimits(&s)
	return s
}

// addMemory tells what the files of generations cost.
func addMemory(s *control.Status, files map[pluginGeneration]string, usage map[string]usage) {
	for i := range s.Plugins {
		for j := range s.Plugins[i].Generations {
			g := &s.Plugins[i].Generations[j]
			u := usage[files[pluginGeneration{s.Plugins[i].Name, g.Generation}]]
			g.MappedBytes, g.ResidentBytes = u.mapped, u.resident
			s.Memory.MappedBytes += u.mapped
			s.Memory.ResidentBytes += u.resident
		}
	}
}

type pluginGeneration struct {
	plugin     string
	generation int
}

// usage is what one file costs this process, in bytes.
type usage struct{ mapped, resident int64 }

// addPlugins copies the state of all plugins. It gives the files that their
// generations were mapped from, and the old ones at that same moment.
func (h *Host) addPlugins(s *control.Status) (files map[pluginGeneration]string, old []*generation) {
	files = map[pluginGeneration]string{}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	old = h.oldGenerations()
	for _, p := range h.plugins {
		out := control.Plugin{Name: p.name, Live: p.live.Load().generation}
		if p.self {
			out.Kind = control.KindHost
		}
		seen := map[control.Symbol]bool{}
		for _, b := range p.binds {
			sym := control.Symbol{Name: b.symbol, Type: typename.Of(b.typ), Builtin: b.hasBuiltin}
			if !seen[sym] {
				seen[sym] = true
				out.Symbols = append(out.Symbols, sym)
			}
		}
		for _, g := range p.gens {
			files[pluginGeneration{p.name, g.number}] = g.path
			base := 0
			if g.on != nil {
				base = g.on.number()
			}
			counts := g.tally.counts()
			out.Generations = append(out.Generations, control.Generation{
				Generation: g.number, State: g.state, Key: g.manifest.Key, Digest: g.digest,
				Link: g.manifest.Link, LinkReason: g.manifest.Reason, Foreign: g.manifest.Foreign,
				Loaded: g.loaded, ArtifactBytes: g.bytes, Signer: g.signer, Reason: g.reason,
				Restored: g.restored, Proven: g.proven, Patch: g.on != nil, Base: base, Functions: g.replaces, OldS: g.oldFor(now, old),
				Panics: counts.Panics, Calls: counts.Calls, Errors: counts.Errors,
			})
		}
		builtin := p.tally.counts()
		out.Panics, out.Calls, out.Errors = builtin.Panics, builtin.Calls, builtin.Errors
		if p.watch != nil {
			health := p.watch.health
			out.Health = &health
		}
		s.Plugins = append(s.Plugins, out)
	}
	slices.SortFunc(s.Plugins, func(a, b control.Plugin) int { return cmp.Compare(a.Name, b.Name) })
	return files, old
}
