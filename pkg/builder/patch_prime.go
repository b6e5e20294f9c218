package builder

import (
	"context"
	"slices"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// maxPrimed is how many packages PrimePatch gets ready. In programs with more of
// them the first edit of a package takes about a second longer.
const maxPrimed = 16

// atOnce is how many of them it gets ready at a time. Less would take longer in all,
// more would be in the way of edits for longer.
const atOnce = 4

// afterWay is how long it rests when it has given way to an edit, for one seldom comes
// alone; often is how often it does that before it gives up.
const (
	afterWay = 2 * time.Second
	often    = 5
)

// PrimePatch has a resident builder find out how the host's packages of main modules
// are compiled, before there is anything to patch, so that the first edit is as fast
// as the next: those of plugins first, then the main package and what is near to it. It
// does nothing for other builders. Modules that a replace directive points at a directory
// are edited too, but seldom: their packages can wait. So can priming: it gives way to
// whoever else plans for the host.
//
// Errors: those of PlanPatch. They may be ignored: PlanPatch comes upon them
// again.
func (b *Builder) PrimePatch(ctx context.Context, host Host, plugins []Plugin) error {
	if !b.opts.Resident {
		return nil
	}
	ready := map[string]bool{}
	for ways := 0; ways < often; {
		more, gaveWay, err := b.primeSome(ctx, host, plugins, ready)
		switch {
		case err != nil:
			return err
		case gaveWay:
			ways++
			rest := time.NewTimer(afterWay)
			select {
			case <-rest.C:
			case <-ctx.Done():
				rest.Stop()
				return context.Cause(ctx)
			}
		case !more:
			return nil
		}
	}
	return nil
}

// primeSome gets the next few packages ready that are not, and enters them.
func (b *Builder) primeSome(ctx context.Context, host Host, plugins []Plugin, ready map[string]bool) (more, gaveWay bool, err error) {
	s, p, leave, err := b.patchScan(ctx, host, plugins)
	if err != nil {
		return false, false, err
	}
	defer leave()
	base := s.hostBase(p)
	var units []*source.Unit
	for _, path := range s.primed(base) {
		if ready[path] {
			continue
		}
		u, err := s.unit(path)
		if err != nil {
			return false, false, err
		}
		if units = append(units, u); len(units) == atOnce {
			break
		}
	}
	if len(units) == 0 {
		return false, false, nil
	}
	primes, done := b.givesWay(ctx, s.resident)
	err = b.compilePatch(primes, s, p, base, units)
	if done(); err != nil {
		gaveWay = primes.Err() != nil && ctx.Err() == nil
		if gaveWay {
			err = nil
		}
		return true, gaveWay, err
	}
	for _, u := range units {
		ready[u.Package.ImportPath] = true
	}
	return true, false, nil
}

// primed gives the packages that PrimePatch gets ready, in this order.
func (s *scan) primed(base *patchBase) (paths []string) {
	order := slices.Clone(s.pluginPaths)
	for _, path := range slices.Backward(base.order) { // the main package first
		order = append(order, path)
	}
	for _, path := range order {
		pkg := s.graph[path]
		_, known := s.baseline.Packages[path]
		if known && pkg != nil && source.Own(pkg) && pkg.Module.Main && len(pkg.CgoFiles) == 0 && slices.Contains(base.order, path) && !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	return paths[:min(len(paths), maxPrimed)]
}

// givesWay gives a context for work with a graph's turn that can wait: it ends as soon as
// somebody else wants the turn. done ends that; afterwards the context tells whether
// somebody did.
func (b *Builder) givesWay(ctx context.Context, r *resident) (work context.Context, done func()) {
	work, give := context.WithCancel(ctx)
	b.mu.Lock()
	if r.give = give; r.waiting > 0 {
		give()
	}
	b.mu.Unlock()
	return work, func() {
		b.mu.Lock()
		r.give = nil
		b.mu.Unlock()
	}
}
