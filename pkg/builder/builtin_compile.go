package builder

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// builtinList is the list of a built-in's state, compiled. It is the same for every
// edit, and kept: in memory, and by name in the store, where the archives are the go
// command's, in its cache.
type builtinList struct {
	Listed   []string          `json:"listed"`   // packages with variables, sorted
	Archives map[string]string `json:"archives"` // of these, by import path
	Exports  map[string]string `json:"exports"`  // of what they import

	Why *unlisted `json:"why,omitempty"` // why there is none
}

// usable reports whether all of it is still there: the go command trims its cache.
func (l *builtinList) usable() bool {
	for _, files := range []map[string]string{l.Archives, l.Exports} {
		for _, file := range files {
			if _, err := os.Stat(file); err != nil {
				return false
			}
		}
	}
	return true
}

// unlisted says why there is no list of a built-in.
type unlisted struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`

	lasting bool // whoever asks again gets the same answer
}

func (e *unlisted) Error() string { return e.Reason }

// builtinCompile is the making of a list, in two steps: what it lists is known at
// once, and the rest may take the go command a second.
type builtinCompile struct {
	b     *Builder
	p     *Plan
	key   string
	image *thin.Image
	list  *builtinList
	held  string // overlay with the sources as they were
	with  string // the same with the lists
}

// startBuiltin gives the list for a plan's built-in, or begins to make it with files
// below dir. It is nil where the plan has none.
//
// Errors: *unlisted, which no build fails of; others of files.
func (b *Builder) startBuiltin(p *Plan, dir string) (*builtinCompile, error) {
	if !p.builtin.lists() {
		return nil, nil
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%s %s %s %s %q %q", builtinLayout, p.host.BuildID, p.env.GOVERSION, p.builtin.hash, p.settings.flags, p.settings.env))
	c := &builtinCompile{b: b, p: p, key: "builtin-" + hex.EncodeToString(h[:])}
	b.mu.Lock()
	c.list = b.builtins[c.key]
	b.mu.Unlock()
	if c.list == nil {
		l := new(builtinList)
		if data, err := b.store.Recall(c.key); err == nil && json.Unmarshal(data, l) == nil {
			c.list = l
		}
	}
	switch {
	case c.list == nil, !c.list.usable():
		return c, c.prepare(filepath.Join(dir, "builtin"))
	case c.list.Why != nil:
		return nil, c.list.Why
	}
	return c, nil
}

// prepare writes the lists.
func (c *builtinCompile) prepare(dir string) error {
	linker, err := c.b.linker(c.p)
	if err != nil {
		return err
	}
	c.image = linker.Image()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tree := source.NewTree(dir)
	for path, text := range c.p.builtin.before {
		if text == nil {
			tree.Remove(path)
		} else if err := tree.Replace(path, text); err != nil {
			return err
		}
	}
	if c.held, err = tree.Overlay(); err != nil {
		return err
	}
	c.list = &builtinList{Archives: map[string]string{}, Exports: map[string]string{}}
	for _, pkg := range c.p.builtin.packages {
		state, err := pkg.state(c.image.Has)
		if err != nil {
			return &unlisted{Code: ruleThin, Reason: err.Error()}
		}
		if state == nil {
			continue
		}
		c.list.Listed = append(c.list.Listed, pkg.path)
		if err := tree.Replace(filepath.Join(pkg.dir, source.StateFile), state); err != nil {
			return err
		}
	}
	c.with, err = tree.OverlayAs("listing.json")
	return err
}

// listed gives the packages that the list is about.
func (c *builtinCompile) listed() []string {
	if c == nil {
		return nil
	}
	return c.list.Listed
}

// finish compiles what is not there yet, and holds the sources against the host.
//
// Errors: *unlisted; *ChangedError where the go command may have seen other sources
// than the plan did, for then neither a list nor the lack of one is worth keeping;
// those of ctx, and of files.
func (c *builtinCompile) finish(ctx context.Context) (*builtinList, error) {
	if c == nil {
		return nil, nil
	}
	l := c.list
	if c.with != "" && len(l.Listed) > 0 {
		var wg sync.WaitGroup
		var compiled, verified error
		wg.Go(func() { compiled = c.compile(ctx, l, c.with) })
		wg.Go(func() { verified = c.verify(ctx, c.held) })
		wg.Wait()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if path, touched := source.Touched(c.p.builtin.read); touched {
			return nil, &ChangedError{File: path}
		}
		err := cmpErr(verified, compiled)
		if why, ok := errors.AsType[*unlisted](err); ok && why.lasting {
			c.remember(&builtinList{Why: why})
		}
		if err != nil {
			return nil, err
		}
		c.remember(l)
	}
	c.keep(l)
	return l, nil
}

// keep keeps the list, or why there is none, for the builder's life: with the same
// host and the same sources the next attempt would end alike.
func (c *builtinCompile) keep(l *builtinList) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	c.b.builtins[c.key] = l
}

// remember keeps it for others, too.
func (c *builtinCompile) remember(l *builtinList) {
	data, err := json.Marshal(l)
	if err == nil {
		err = c.b.store.Remember(c.key, data)
	}
	if err != nil {
		c.b.log.Warn("keep the list of a built-in's variables", "plugin", c.p.Plugin.Name, "err", err)
	}
}

// compile compiles the packages with their lists, the way an artifact is linked.
func (c *builtinCompile) compile(ctx context.Context, l *builtinList, overlay string) error {
	st := c.p.settings
	args := append([]string{"-export", "-deps", "-buildvcs=false", "-overlay=" + overlay}, st.flags...)
	for _, path := range l.Listed {
		args = append(args, "-gcflags="+path+"="+forThin(st.gcflags), "-asmflags="+path+"="+forThin(st.asmflags))
	}
	exports, err := c.b.tool.With(st.env...).Exports(ctx, args, l.Listed...)
	if err != nil {
		return &unlisted{Code: ruleThin, Reason: "the list of its variables does not compile: " + firstLine(err.Error())}
	}
	for _, e := range exports {
		if slices.Contains(l.Listed, e.ImportPath) {
			l.Archives[e.ImportPath] = e.File
			continue
		}
		l.Exports[e.ImportPath] = e.File
	}
	return nil
}

// verify holds what the host is taken to be built from against the host.
func (c *builtinCompile) verify(ctx context.Context, overlay string) error {
	st := c.p.settings
	args := append([]string{"-export", "-buildvcs=false", "-overlay=" + overlay}, st.flags...)
	if c.p.host.Settings["-buildmode"] == "pie" {
		args = append(args, "-buildmode=pie")
	}
	var paths []string
	for _, pkg := range c.p.builtin.packages {
		paths = append(paths, pkg.path)
	}
	exports, err := c.b.tool.With(st.env...).Exports(ctx, args, paths...)
	if err != nil {
		return &unlisted{Code: ruleDrift, Reason: "its sources as they were do not compile: " + firstLine(err.Error())}
	}
	h := &holding{host: c.p.host, name: c.p.host.Package, goVersion: c.p.env.GOVERSION, image: c.image}
	for _, e := range exports {
		objects, err := h.compare(e.ImportPath, e.ImportPath, e.File)
		if err == nil {
			err = h.compareData(e.ImportPath, objects)
		}
		if drift, ok := errors.AsType[*ConflictError](err); ok {
			return &unlisted{
				Code: ruleDrift, Reason: "what the host was built from is not known exactly: " + drift.Evidence[0].What + " differs",
				lasting: true,
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// add adds the list to a link.
func (l *builtinList) add(in *thin.Input, host *abi.Fingerprint) {
	if l == nil || len(l.Listed) == 0 {
		return
	}
	in.Compiled, in.Hashes = l.Archives, map[string][8]byte{}
	exports := maps.Clone(l.Exports)
	maps.Copy(exports, in.Exports)
	in.Exports = exports
	for _, path := range l.Listed {
		in.Hashes[path] = host.Packages[path]
		in.Patched = append(in.Patched, thin.Patched{Path: path, File: l.Archives[path], Listed: listSymbol(path)})
	}
}
