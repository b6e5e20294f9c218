package builder

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// learn takes over how the compiler of the plugin's generations compiles its
// packages; where that does not know either, it asks the go command.
func (g *generationPatch) learn(ctx context.Context, j *patchCompile, paths []string) error {
	c := g.b.compilerFor(g.plan)
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.place(g.b, g.plan); err != nil {
		return err
	}
	units := map[string]*source.Unit{}
	for _, u := range g.plan.private {
		units[g.id.Fresh(u.Package.ImportPath)] = u
	}
	if !c.known || c.shape != compileShape(g.plan) || c.foreignChanged(units) {
		dir := filepath.Join(j.c.dir, "run")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if _, err := c.record(ctx, &run{b: g.b, plan: g.plan, dir: dir}); err != nil {
			return err
		}
	}
	j.c.exports = [2]map[string]string{maps.Clone(c.exports), maps.Clone(c.exports)}
	var last *command
	for _, x := range c.packages {
		last = x.command
		u := units[x.path]
		if u == nil {
			continue // the main package
		}
		path := u.Package.ImportPath
		p := j.c.packages[path]
		if p == nil {
			p = &patchable{path: path, compiled: j.base.named(path)}
			j.c.packages[path] = p
		}
		p.command = x.command
		if len(u.Package.Foreign()) > 0 {
			p.command = nil
			if err := j.keep(p, x.archive); err != nil {
				return err
			}
			p.fixedFor = j.inputsBelow(path)
		}
		if p.command == nil && p.fixed == "" {
			return &refusal{ruleThin, path, "it is not clear how " + path + " is compiled"}
		}
		j.c.verified[path] = true
	}
	for _, path := range paths {
		if j.c.packages[path] == nil {
			return &refusal{ruleThin, path, "it is not clear how " + path + " is compiled"}
		}
	}
	return g.compileMain(ctx, j, last)
}

// foreignChanged reports whether a package that only the go command compiles is
// not the one that was compiled.
func (c *compiler) foreignChanged(units map[string]*source.Unit) bool {
	return slices.ContainsFunc(c.packages, func(x *compiled) bool {
		u := units[x.path]
		return u != nil && len(u.Package.Foreign()) > 0 && inputsOf(u) != x.inputs
	})
}

// keep copies the go command's archive of a package: the compiler whose it is
// goes on.
func (j *patchCompile) keep(p *patchable, archive string) error {
	data, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	p.fixed = j.archive()
	return os.WriteFile(p.fixed, data, 0o600)
}

// inputsBelow hashes the files of the packages with versions that a package
// imports, as they are now.
func (j *patchCompile) inputsBelow(path string) [32]byte {
	h := sha256.New()
	for _, imp := range slices.Sorted(maps.Keys(j.s.graph.Reach(path, nil))) {
		if imp == path || !slices.Contains(j.base.order, imp) {
			continue
		}
		if u, err := j.s.unit(imp); err == nil {
			fmt.Fprintf(h, "%s %x\n", imp, inputsOf(u))
		}
	}
	return [32]byte(h.Sum(nil))
}

// compileMain compiles the main package of the plugin's patches, as another main
// package or any package of the plugin is compiled.
func (g *generationPatch) compileMain(ctx context.Context, j *patchCompile, like *command) error {
	if j.c.main != "" {
		return nil
	}
	if like == nil {
		return &refusal{ruleThin, g.plan.Plugin.ImportPath, "it is not clear how " + g.plan.Plugin.ImportPath + " is compiled"}
	}
	dir := filepath.Join(j.c.dir, "main")
	text := append(patchMain(g.s.settings.race), "\nfunc main() {}\n"...)
	if err := layOut(dir, []goSource{{name: source.EntryFile, data: text}}); err != nil {
		return err
	}
	var config strings.Builder
	for path, file := range j.c.exports[newSide] {
		fmt.Fprintf(&config, "packagefile %s=%s\n", path, file)
	}
	c := &command{argv: append(like.withoutFiles(), "-p="+j.base.main, filepath.Join(dir, source.EntryFile))}
	archive := j.archive()
	if output, err := j.compiler(ctx, c, like.dir, archive, []byte(config.String())); err != nil {
		return fmt.Errorf("compile the main package of patches: %w\n%s", err, output)
	}
	j.c.main = archive
	return nil
}
