package builder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
)

// hostBase is the code of a scan's host.
func (s *scan) hostBase(p *PatchPlan) *patchBase {
	return &patchBase{
		id: s.target.fp.BuildID, shape: fmt.Sprintf("%d %q %q", s.resident.epoch, s.settings.flags, s.settings.env),
		order: s.dependencyOrder(s.host), main: s.host + "/" + thinElement, compiled: s.compiledPath,
		sources: func(u *source.Unit, sd side) ([]goSource, error) {
			switch changed, _ := s.changedFiles(u); {
			case sd == oldSide && len(changed) > 0:
				return withoutEmbeds(s.baseline.sources(u)), nil
			case sd == oldSide:
				return s.baseline.sources(u), nil
			case len(changed) > 0:
				return s.withAdded(u), nil
			}
			return sourcesOf(u), nil
		},
		learn: func(ctx context.Context, j *patchCompile, paths []string) error { return j.learn(ctx, paths) },
		fails: func(_ side, output string, err error) error { return p.compileError(s.b, output, err) },
		foreign: func(path string) error {
			return errDrift(s.host, Mismatch{
				What: path, Artifact: "uses cgo and imports what changed in a way that it is compiled against", Rule: funcdiff.CodeBeyond,
			})
		},
	}
}

// withAdded gives the Go files of a package as it is now, with the one that lists what is
// new in it: a patch's variables are state, as the host's are.
func (s *scan) withAdded(u *source.Unit) []goSource {
	files := sourcesOf(u)
	if len(u.Package.CgoFiles) > 0 {
		return files // they are only compared
	}
	was, now := map[string][]byte{}, map[string][]byte{}
	for _, f := range s.baseline.sources(u) {
		was[f.name] = f.original()
	}
	for _, f := range files {
		now[f.name] = f.original()
	}
	listed := source.AddedState(u.Package.Name, u.Package.ImportPath, was, now)
	if listed == nil {
		return files
	}
	files = append(files, goSource{name: source.StateFile, data: listed})
	slices.SortFunc(files, func(a, b goSource) int { return strings.Compare(a.name, b.name) })
	return files
}

// compiledPath is the import path that a package's symbols have.
func (s *scan) compiledPath(path string) string {
	if path == s.host {
		return "main"
	}
	return path
}

// learn asks the go command about packages that are new to the compiler: how
// they are compiled, and what the baseline's version of them was in the host's
// own build, which is held against the host before it is trusted.
func (j *patchCompile) learn(ctx context.Context, paths []string) error {
	var wg sync.WaitGroup
	var recorded, verified error
	wg.Go(func() { recorded = j.record(ctx, paths) })
	wg.Go(func() { verified = j.verify(ctx, paths) })
	wg.Wait()
	// What the go command saw may be what an editor was about to replace: a wrong
	// answer, and one that would be kept.
	if path, touched := source.Touched(j.plan.read); touched && ctx.Err() == nil {
		j.c.shape = ""
		return &ChangedError{File: path}
	}
	return cmpErr(recorded, verified)
}

// patchMain is the main package of every patch. It has nothing: what a patch
// brings, the host finds by the manifest.
func patchMain(race bool) []byte {
	return source.Entry("main", "", race, false, nil, nil, nil).File
}

// record has the go command compile packages as they are now and notes how.
func (j *patchCompile) record(ctx context.Context, paths []string) error {
	c, s := j.c, j.s
	for _, d := range []string{recordDir, workDir} {
		if err := os.RemoveAll(filepath.Join(c.dir, d)); err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(c.dir, d), 0o700); err != nil {
			return err
		}
	}
	defer os.RemoveAll(filepath.Join(c.dir, workDir))
	script := filepath.Join(c.dir, "record.sh")
	mainFile := filepath.Join(c.dir, "main.go")
	main := s.host + "/" + thinElement
	err := cmpErr(
		os.WriteFile(script, []byte(recorder), 0o600),
		os.WriteFile(mainFile, append(patchMain(s.settings.race), "\nfunc main() {}\n"...), 0o600),
	)
	if err != nil {
		return err
	}
	// Of a package with other comments alone the host's lines count: they are
	// part of its hash.
	replace, err := j.asBefore("reworded", func(changed, reworded bool) bool { return reworded && !changed })
	if err != nil {
		return err
	}
	replace[filepath.Join(s.graph[s.host].Dir, thinElement, "main.go")] = mainFile
	overlay, err := j.overlay("overlay.json", replace)
	if err != nil {
		return err
	}
	args := []string{"-export", "-deps", "-buildvcs=false", "-work", `-toolexec=/bin/sh "` + script + `"`, "-overlay=" + overlay}
	args = append(args, s.settings.flags...)
	fresh := " -D=" + unique() // see askGo
	for _, path := range paths {
		args = append(args, "-gcflags="+path+"="+forThin(s.settings.gcflags)+fresh, "-asmflags="+path+"="+forThin(s.settings.asmflags))
	}
	args = append(args, "-gcflags="+main+"="+forThin(s.settings.gcflags)+" -p="+main)
	env := []string{"GOTMPDIR=" + filepath.Join(c.dir, workDir), "HOTGO_RECORD=" + filepath.Join(c.dir, recordDir)}
	exports, err := j.b.tool.With(s.settings.env...).With(env...).Exports(ctx, args, append(slices.Clone(paths), main)...)
	if err != nil {
		return j.goError(err)
	}
	commands, err := (&recording{c.dir, &c.seq}).commands(func(string) bool { return true })
	if err != nil {
		return err
	}
	for _, path := range paths {
		cmd := commands[s.compiledPath(path)]
		if cmd == nil {
			return errDrift(s.host, Mismatch{What: path, Artifact: "it is not clear how it is compiled", Rule: ruleThin})
		}
		c.packages[path] = &patchable{path: path, compiled: s.compiledPath(path), command: cmd}
	}
	for _, e := range exports {
		switch {
		case e.ImportPath == main:
			c.main = e.File
		case !slices.Contains(paths, e.ImportPath):
			c.exports[newSide][e.ImportPath] = e.File
		}
	}
	return nil
}

func (j *patchCompile) goError(err error) error {
	text := err.Error()
	return j.plan.compileError(j.b, text, err)
}

func (j *patchCompile) overlay(name string, replace map[string]string) (string, error) {
	data, err := json.Marshal(struct{ Replace map[string]string }{replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(j.c.dir, name)
	return file, os.WriteFile(file, data, 0o600)
}

// asBefore lays out the baseline's files of packages, below a directory of this
// name, for an overlay.
func (j *patchCompile) asBefore(name string, which func(changed, reworded bool) bool) (map[string]string, error) {
	s := j.s
	replace := map[string]string{}
	for i, path := range j.base.order {
		was, ok := s.baseline.Packages[path]
		if !ok || s.graph[path] == nil {
			continue
		}
		u, err := s.unit(path)
		if err != nil {
			return nil, err
		}
		if changed, reworded := s.changedFiles(u); !which(len(changed) > 0, reworded) {
			continue
		}
		dir := filepath.Join(j.c.dir, name, fmt.Sprint(i))
		files := s.baseline.sources(u)
		for _, name := range slices.Sorted(maps.Keys(was.Files)) {
			if !strings.HasSuffix(name, ".go") && !isForeign(name) {
				files = append(files, goSource{name: name, data: was.Files[name].Text})
			}
		}
		if err := layOut(dir, files); err != nil {
			return nil, err
		}
		for _, f := range files {
			replace[filepath.Join(was.Dir, f.name)] = filepath.Join(dir, f.name)
		}
		for _, f := range sourcesOf(u) {
			if _, ok := was.Files[f.name]; !ok {
				replace[filepath.Join(was.Dir, f.name)] = "" // it is new
			}
		}
	}
	return replace, nil
}

// baselineOverlay is the file by which the go command sees the baseline.
const baselineOverlay = "baseline.json"

// verify has the go command compile the baseline of packages as the host has
// them, and compares export data and code with the binary. Where the sources
// were not the ones that the host was built from, that shows here.
func (j *patchCompile) verify(ctx context.Context, paths []string) error {
	s, c := j.s, j.c
	replace, err := j.asBefore("base", func(changed, reworded bool) bool { return changed || reworded })
	if err != nil {
		return err
	}
	overlay, err := j.overlay(baselineOverlay, replace)
	if err != nil {
		return err
	}
	args := []string{"-export", "-deps", "-buildvcs=false", "-overlay=" + overlay}
	args = append(args, s.settings.flags...)
	if s.target.fp.Settings["-buildmode"] == "pie" {
		args = append(args, "-buildmode=pie")
	}
	exports, err := j.b.tool.With(s.settings.env...).Exports(ctx, args, paths...)
	if err != nil {
		return errDrift(s.host, Mismatch{What: s.host, Artifact: "its sources as they were do not compile: " + firstLine(err.Error()), Rule: ruleDrift})
	}
	image, err := j.b.image(j.plan)
	if err != nil {
		return err
	}
	for _, e := range exports {
		if !slices.Contains(paths, e.ImportPath) {
			c.exports[oldSide][e.ImportPath] = e.File
			continue
		}
		if err := j.held(image, e.ImportPath, e.File); err != nil {
			return err
		}
		c.verified[e.ImportPath] = true
	}
	return nil
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return line
		}
	}
	return s
}

// held holds a package of the host's own build against the host.
func (j *patchCompile) held(image *thin.Image, path, archive string) error {
	h := &holding{host: j.s.target.fp, name: j.s.host, goVersion: j.s.env.GOVERSION, image: image}
	_, err := h.compare(path, j.s.compiledPath(path), archive)
	return err
}

// operands says what notAsLinked compares beside instructions.
type operands int

const (
	noOperands        operands = iota
	constantOperands           // constants, by their content
	operandsByAddress          // and what has a name: of a file whose calls go straight to it
)

// notAsLinked compares the functions of a package with those that a linked file
// has, and gives the names of those that are not the same. Functions that the file
// lacks are none of them, nor are those that several packages may bring.
func notAsLinked(image *thin.Image, objects []*goobj.Object, types goobj.Types, also operands) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, o := range objects {
			l := &linkedObject{image: image, o: o, types: types, known: map[placed]bool{}}
			if also == operandsByAddress {
				l.names = refNames(o)
			}
			for _, table := range [][]goobj.Symbol{o.Defs, o.NonPkgDefs} {
				for i := range table {
					s := &table[i]
					if !s.IsText() || s.ABI != goobj.ABIInternal || s.Flag&goobj.FlagDupOK != 0 {
						continue
					}
					at, code, ok := image.Function(s.Name)
					same := !ok || sameCode(s, code, types) &&
						(also == noOperands || l.sameOperands(s, at, code))
					if !same && !yield(s.Name) {
						return
					}
				}
			}
		}
	}
}

// sameCode compares a compiled function with what a linker made of it: the same
// bytes, except where it put addresses. Next to thread-local addresses and those
// of a table of addresses, linkers also change instructions.
func sameCode(s *goobj.Symbol, code []byte, types goobj.Types) bool {
	if len(code) != len(s.Data) {
		return false
	}
	own, host := bytes.Clone(s.Data), bytes.Clone(code)
	for _, r := range s.Relocs {
		from, to := int(r.Off), int(r.Off)+int(r.Size)
		switch r.Type &^ goobj.RelocWeak {
		case types.TLSLE, types.TLSIE, types.GOTPCRel:
			from -= 3
		}
		if from = max(from, 0); to > len(own) || from > to {
			return false
		}
		clear(own[from:to])
		clear(host[from:to])
	}
	return bytes.Equal(own, host)
}

// readObjects parses the Go objects of an archive.
func readObjects(archive string) ([]*goobj.Object, error) {
	data, err := os.ReadFile(archive)
	if err != nil {
		return nil, err
	}
	a, err := goobj.ReadArchive(data)
	if err != nil {
		return nil, err
	}
	var objects []*goobj.Object
	for _, i := range a.Objects() {
		o, err := goobj.Parse(a.Members[i].Data)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// read parses a version for comparison, once.
func (j *patchCompile) read(p *patchable, v *compiledVersion, indexed func(string, uint32) (goobj.Definition, error)) error {
	if v.build != nil {
		return nil
	}
	objects, err := readObjects(v.linked())
	if err != nil {
		return err
	}
	var sources []funcdiff.Source
	for _, f := range v.files {
		sources = append(sources, funcdiff.Source{Name: f.name, Data: f.original()})
	}
	declared, err := funcdiff.Declare(p.compiled, sources)
	if err != nil {
		return err
	}
	v.build = &funcdiff.Build{Objects: objects, Declared: declared, Leaks: declared.ParseLeaks(v.output), Indexed: indexed}
	return nil
}

// indexed names what objects refer to by position; the first of the maps that
// knows a package's archive counts.
func (c *patchCompiler) indexed(archives ...map[string]string) func(path string, i uint32) (goobj.Definition, error) {
	return func(path string, i uint32) (goobj.Definition, error) {
		file := ""
		for _, m := range archives {
			if file == "" {
				file = m[path]
			}
		}
		defs, err := c.definitions(file)
		if err == nil && int(i) >= len(defs) {
			err = fmt.Errorf("it has %d", len(defs))
		}
		if err != nil {
			return goobj.Definition{}, fmt.Errorf("symbol %d of %s is not in its export data: %w", i, path, err)
		}
		return defs[i], nil
	}
}

// definitions reads what positions in an archive are called, once.
func (c *patchCompiler) definitions(file string) ([]goobj.Definition, error) {
	if defs, ok := c.names[file]; ok {
		return defs, nil
	}
	compiled, err := readCompiled(file)
	if err != nil {
		return nil, err
	}
	defs, err := goobj.Definitions(compiled)
	if err == nil {
		c.names[file] = defs
	}
	return defs, err
}
