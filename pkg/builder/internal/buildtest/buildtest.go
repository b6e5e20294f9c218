// Package buildtest has builders work in modules of hosttest, for tests of packages other
// than builder. Builder's own cannot import it, and have the same in fixture_test.go.
//
// Its functions fail the module's test where they cannot do what they are asked to.
package buildtest

import (
	"path/filepath"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// New gives a builder that works in a module, with a store of its own where opts has none.
// Whoever has it be resident closes it.
func New(m *hosttest.Module, opts builder.Options) *builder.Builder {
	m.T.Helper()
	opts.WorkDir, opts.Env = m.Work, m.Env
	if opts.Dir == "" {
		opts.Dir = filepath.Join(m.T.TempDir(), "store")
	}
	b, err := builder.New(opts)
	if err != nil {
		m.T.Fatal(err)
	}
	return b
}

// Plan plans the one plugin that a pattern of packages gives, for the module's host.
func Plan(m *hosttest.Module, b *builder.Builder, pattern string) (*builder.Plan, error) {
	m.T.Helper()
	plugins, err := b.Find(m.T.Context(), pattern)
	if err != nil {
		return nil, err
	}
	if len(plugins) != 1 {
		m.T.Fatalf("%s gives %d plugins: %v", pattern, len(plugins), plugins)
	}
	snap, err := b.Snapshot(m.T.Context(), builder.Host{Binary: m.Host}, plugins)
	if err != nil {
		return nil, err
	}
	return snap.Plans[0], snap.Errors[plugins[0].Name]
}

// Build plans the plugin and gives its artifact.
func Build(m *hosttest.Module, b *builder.Builder, pattern string) *builder.Artifact {
	m.T.Helper()
	p, err := Plan(m, b, pattern)
	if err != nil {
		m.T.Fatalf("plan %s: %v", pattern, err)
	}
	a, err := b.Build(m.T.Context(), p)
	if err != nil {
		m.T.Fatalf("build %s: %v", pattern, err)
	}
	return a
}
