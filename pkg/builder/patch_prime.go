package builder

import (
	"context"
	"slices"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// maxPrimed is how many packages PrimePatch gets ready. In programs with more of
// them the first edit of a package takes about a second longer.
const maxPrimed = 16

// PrimePatch has a resident builder find out how the host's packages of main modules
// are compiled, before there is anything to patch, so that the first edit is as fast
// as the next. It does nothing for other builders. Modules that a replace directive
// points at a directory are edited too, but seldom: their packages can wait.
//
// Errors: those of PlanPatch. They may be ignored: PlanPatch comes upon them
// again.
func (b *Builder) PrimePatch(ctx context.Context, host Host, plugins []Plugin) error {
	if !b.opts.Resident {
		return nil
	}
	s, p, leave, err := b.patchScan(ctx, host, plugins)
	if err != nil {
		return err
	}
	defer leave()
	base := s.hostBase(p)
	var units []*source.Unit
	for _, pkgPath := range slices.Backward(base.order) { // the main package first
		pkg := s.graph[pkgPath]
		if _, known := s.baseline.Packages[pkgPath]; !known || !source.Own(pkg) || !pkg.Module.Main || len(pkg.CgoFiles) > 0 || len(units) == maxPrimed {
			continue
		}
		u, err := s.unit(pkgPath)
		if err != nil {
			return err
		}
		units = append(units, u)
	}
	return b.compilePatch(ctx, s, p, base, units)
}
