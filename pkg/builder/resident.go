package builder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// # The resident graph
//
// A builder that lives on, in watch and run, keeps the answers of the go
// command: `go env`, and for each question that snapshots ask (plugins, host
// package, flags) the package graph of `go list -deps`. The next snapshot takes
// stamps and, after an edit that changed no more than what files hold, reads
// those files and nothing else (see source.Ledger, which decides that). What
// follows from the graph alone is kept with it (see derived).
//
// Nothing is written to disk and no goroutine stays: a builder that is used
// once pays for some stamps, and one that is dropped leaves nothing behind.

// maxResidents bounds the graphs that a builder keeps. One question a host is
// the rule, and a host restarted with other flags asks another.
const maxResidents = 4

// resident is a package graph with what it was made from.
type resident struct {
	turn chan struct{} // holds one token: snapshots of one graph take turns
	used uint64        // when it was used last, by Builder.clock

	// Guarded by Builder.mu.
	waiting int    // for the turn
	give    func() // has who has the turn give it up, where that can be

	epoch   uint64 // grows whenever the go command was asked
	pkgs    []*gotool.Package
	graph   source.Graph
	ledger  *source.Ledger // nil: the go command has to be asked
	derived map[*abi.Fingerprint]*derived
}

// question is what the go command is asked for a graph.
type question struct {
	env      *gotool.Environment
	settings *settings
	patterns []string
	host     string // the pattern of the host's main package, "" if none
}

// key tells questions apart. It holds all that changes the answer and lies in
// no file.
func (q *question) key() string {
	return fmt.Sprintf("%q %q %q %q %q", q.env.All, q.settings.list, q.settings.env, q.patterns, q.host)
}

// enter gives the graph that answers a question, with the turn to use it. The
// caller has to call leave.
//
// Errors: those of the go command; that of ctx.
func (b *Builder) enter(ctx context.Context, q *question) (r *resident, leave func(), err error) {
	key := q.key()
	b.mu.Lock()
	r = b.residents[key]
	if r == nil {
		r = &resident{turn: make(chan struct{}, 1)}
		r.turn <- struct{}{}
		b.residents[key] = r
	}
	b.clock++
	r.used = b.clock
	if r.waiting++; r.give != nil {
		r.give()
	}
	b.evict()
	b.mu.Unlock()

	select {
	case <-r.turn:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	b.mu.Lock()
	r.waiting--
	b.mu.Unlock()
	if err != nil {
		return nil, nil, err
	}
	leave = func() { r.turn <- struct{}{} }
	if err := b.refresh(ctx, r, q); err != nil {
		leave()
		return nil, nil, err
	}
	return r, leave, nil
}

// evict forgets the graph that was not used for longest, where there are too
// many. Who uses it may go on. b.mu is held.
func (b *Builder) evict() {
	for len(b.residents) > maxResidents {
		oldest := ""
		for key, r := range b.residents {
			if oldest == "" || r.used < b.residents[oldest].used {
				oldest = key
			}
		}
		delete(b.residents, oldest)
	}
}

// refresh asks the go command, unless what it said still stands.
func (b *Builder) refresh(ctx context.Context, r *resident, q *question) error {
	if r.ledger != nil {
		why, newest := r.ledger.Verify()
		if why == "" {
			return nil
		}
		b.log.Debug("ask the go command for packages", "because", why)
		if err := settle(ctx, newest); err != nil {
			return err
		}
	}
	old := r.ledger
	r.ledger = nil
	asked := time.Now()
	pkgs, err := b.tool.With(q.settings.env...).List(ctx, append([]string{"-deps"}, q.settings.list...), q.patterns...)
	if err != nil {
		return goError(strings.Join(q.patterns, " "), err)
	}
	b.mu.Lock()
	b.epochs++
	r.epoch = b.epochs
	b.mu.Unlock()
	r.pkgs, r.graph, r.derived = pkgs, source.NewGraph(pkgs), map[*abi.Fingerprint]*derived{}
	r.ledger = source.NewLedger(source.Listing{
		Graph: r.graph, Cache: q.env.GOMODCACHE, Asked: asked,
		Choosing: choosing(q.env, b.opts.WorkDir, pkgs), Foreign: outside(q.host, pkgs),
	}, old)
	return nil
}

// settle waits until a change is old enough for its stamp to prove that
// nothing changed after it. Asked at once, the go command would have to be
// asked again next time, and that takes longer.
func settle(ctx context.Context, changed time.Time) error {
	const enough = 20 * time.Millisecond
	wait := enough - time.Since(changed)
	if wait <= 0 || wait > enough {
		return nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// outside gives the host's main package where it is known to lie in a module
// that this one does not see: that it has an error is then how things are, and
// only another go.mod changes it.
func outside(host string, pkgs []*gotool.Package) string {
	if host == "" || strings.HasPrefix(host, ".") || filepath.IsAbs(host) {
		return ""
	}
	for _, p := range pkgs {
		if m := p.Module; m != nil && m.Dir != "" && (m.Main || m.Replace != nil) &&
			(host == m.Path || strings.HasPrefix(host, m.Path+"/")) {
			return ""
		}
	}
	return host
}

// choosing lists the files that decide, beside the packages themselves, which
// packages there are.
func choosing(env *gotool.Environment, workDir string, pkgs []*gotool.Package) []string {
	files := map[string]bool{}
	mod := func(path string) {
		files[path] = true
		files[strings.TrimSuffix(path, ".mod")+".sum"] = true
	}
	replaced := func(dir string, rs []*modfile.Replace) {
		for _, r := range rs {
			if r.New.Version != "" {
				continue
			}
			path := filepath.FromSlash(r.New.Path)
			if !filepath.IsAbs(path) {
				path = filepath.Join(dir, path)
			}
			mod(filepath.Join(path, "go.mod"))
		}
	}
	main := func(path string) {
		mod(path)
		files[filepath.Join(filepath.Dir(path), "vendor", "modules.txt")] = true
		if data, err := os.ReadFile(path); err == nil {
			if f, err := modfile.Parse(path, data, nil); err == nil {
				replaced(filepath.Dir(path), f.Replace)
			}
		}
	}
	if env.GOMOD != "" && env.GOMOD != os.DevNull {
		main(env.GOMOD)
	}
	for _, f := range strings.Fields(env.GOFLAGS) {
		if v, ok := strings.CutPrefix(strings.TrimLeft(f, "-"), "modfile="); ok {
			if !filepath.IsAbs(v) {
				v = filepath.Join(workDir, v)
			}
			main(v)
		}
	}
	if env.GOWORK != "" && env.GOWORK != "off" {
		dir := filepath.Dir(env.GOWORK)
		files[env.GOWORK], files[env.GOWORK+".sum"] = true, true
		files[filepath.Join(dir, "vendor", "modules.txt")] = true
		if data, err := os.ReadFile(env.GOWORK); err == nil {
			if f, err := modfile.ParseWork(env.GOWORK, data, nil); err == nil {
				replaced(dir, f.Replace)
				for _, u := range f.Use {
					path := filepath.FromSlash(u.Path)
					if !filepath.IsAbs(path) {
						path = filepath.Join(dir, path)
					}
					main(filepath.Join(path, "go.mod"))
				}
			}
		}
	}
	for _, p := range pkgs {
		if m := p.Module; m != nil && m.GoMod != "" && (m.Main || m.Replace != nil && m.Replace.Version == "") {
			mod(m.GoMod)
		}
	}
	var list []string
	for f := range files {
		list = append(list, f)
	}
	slices.Sort(list)
	return list
}
