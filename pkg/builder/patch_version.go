package builder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/digest"
	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// versionTask brings both versions of one package up to date.
type versionTask struct {
	j     *patchCompile
	p     *patchable
	u     *source.Unit
	files [2][]goSource  // by side
	deps  []*versionTask // of packages that either version imports, directly or not
	done  chan struct{}  // closed when p and err are settled
	err   error
}

// read gets the texts and finds out which of the tasks before this one come
// first. Where a package no longer imports another, its old version still does.
func (t *versionTask) read(before map[string]*versionTask) (err error) {
	for _, sd := range []side{oldSide, newSide} {
		if t.files[sd], err = t.j.base.sources(t.u, sd); err != nil {
			return err
		}
	}
	reach := t.j.s.graph.Reach(t.p.path, nil)
	if hashSources(t.files[oldSide]) != hashSources(t.files[newSide]) {
		for _, path := range importsOf(t.files[oldSide]) {
			maps.Copy(reach, t.j.s.graph.Reach(t.u.Package.Resolve(path), nil))
		}
	}
	for _, path := range slices.Sorted(maps.Keys(reach)) {
		if d := before[path]; d != nil {
			t.deps = append(t.deps, d)
		}
	}
	return nil
}

// importsOf gives what Go files import, as they spell it.
func importsOf(files []goSource) []string {
	var paths []string
	for _, f := range files {
		text, err := parser.ParseFile(token.NewFileSet(), f.name, f.original(), parser.ImportsOnly)
		if err != nil {
			continue // the compiler says so
		}
		for _, imp := range text.Imports {
			if path, err := strconv.Unquote(imp.Path.Value); err == nil {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// run compiles the versions that are not there yet.
func (t *versionTask) run(ctx context.Context, slots chan struct{}) error {
	var want [2]*compiledVersion
	for sd := range want {
		v := &compiledVersion{inputs: hashSources(t.files[sd]), files: t.files[sd]}
		h := sha256.New()
		for _, d := range t.deps {
			fmt.Fprintf(h, "%s %x\n", d.p.path, d.p.at(side(sd)).fingerprint)
		}
		v.used = [32]byte(h.Sum(nil))
		want[sd] = v
		for _, known := range []*compiledVersion{t.p.at(side(sd)), t.p.old, t.p.new} {
			if known != nil && known.inputs == v.inputs && known.used == v.used {
				want[sd] = known
				break
			}
		}
	}
	was, now := want[oldSide], want[newSide]
	if was.inputs == now.inputs && was.used == now.used {
		now = was // also where both are there, compiled at different times
	}
	var wg sync.WaitGroup
	var failed [2]error
	for sd, v := range []*compiledVersion{was, now} {
		if sd == int(newSide) && v == was || v.archive != "" {
			continue
		}
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			failed[sd] = t.compile(ctx, v, side(sd))
		})
	}
	wg.Wait()
	if err := cmpErr(failed[newSide], failed[oldSide]); err != nil {
		return err
	}
	t.p.old, t.p.new = was, now
	return nil
}

// goSource is a Go file's text.
type goSource struct {
	name string
	data []byte // for the compiler
	text []byte // as the user has it, where that differs
}

func (f goSource) original() []byte {
	if f.text != nil {
		return f.text
	}
	return f.data
}

func sourcesOf(u *source.Unit) []goSource {
	var list []goSource
	for _, f := range u.Files {
		if slices.Contains(u.Package.GoFiles, f.Name) {
			list = append(list, goSource{name: f.Name, data: f.Data})
		}
	}
	return list
}

// sources gives the Go files of a package as they were; those of now where the
// package is not the user's.
func (bl *baseline) sources(u *source.Unit) []goSource {
	if _, ok := bl.Packages[u.Package.ImportPath]; !ok {
		return sourcesOf(u)
	}
	return bl.goFiles(u.Package.ImportPath, u.Package.EmbedFiles)
}

// goFiles gives the Go files of a package of the baseline, but for embedded ones.
func (bl *baseline) goFiles(path string, embedded []string) []goSource {
	files := bl.Packages[path].Files
	var list []goSource
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".go") && !slices.Contains(embedded, name) {
			list = append(list, goSource{name: name, data: files[name].Text})
		}
	}
	return list
}

func hashSources(files []goSource) [32]byte {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %x\n", f.name, sha256.Sum256(f.data))
	}
	return [32]byte(h.Sum(nil))
}

// hashTokens is hashSources without comments and layout.
func hashTokens(files []goSource) [32]byte {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %x\n", f.name, digest.Tokens(f.data))
	}
	return [32]byte(h.Sum(nil))
}

// compile compiles one version.
func (t *versionTask) compile(ctx context.Context, v *compiledVersion, sd side) error {
	j, p := t.j, t.p
	if p.command == nil {
		return t.take(v)
	}
	at := sha256.Sum256([]byte(p.path))
	dir := filepath.Join(j.c.dir, [2]string{"old", "new"}[sd], hex.EncodeToString(at[:6]))
	if err := layOut(dir, v.files); err != nil {
		return err
	}
	archive := j.archive()
	output, err := j.compiler(ctx, p.command.over(dir, t.u.Package.Dir, v.files), p.command.dir, archive, t.importcfg(sd))
	output = strings.ReplaceAll(output, dir+string(filepath.Separator), t.u.Package.Dir+string(filepath.Separator))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		output = withoutRemarks(output)
		return j.base.fails(sd, output, &gotool.ExitError{Args: []string{"tool", "compile"}, Stderr: output, Err: err})
	}
	if v.fingerprint, err = readFingerprint(archive); err != nil {
		return err
	}
	v.archive, v.output = archive, output
	return nil
}

// withoutRemarks leaves out of a compiler's output what -m has it say.
func withoutRemarks(output string) string {
	var b strings.Builder
	for line := range strings.Lines(output) {
		_, message, ok := strings.Cut(line, ": ")
		remark := ok && slices.ContainsFunc([]string{
			"can inline ", "inlining call to ", "leaking param", "mutates param", "calls param", "moved to heap: ",
			"ignoring self-assignment", "zero-copy ", "devirtualizing ", "escape analysis",
		}, func(p string) bool { return strings.HasPrefix(message, p) })
		if !remark && !strings.HasSuffix(message, " escapes to heap\n") && !strings.HasSuffix(message, " does not escape\n") && !strings.HasSuffix(message, " escapes to heap:\n") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// take makes the go command's archive both versions of a package, where nothing
// changed that it was compiled from.
func (t *versionTask) take(v *compiledVersion) (err error) {
	same := hashSources(t.files[oldSide]) == hashSources(t.files[newSide])
	for _, d := range t.deps {
		same = same && d.p.old.fingerprint == d.p.new.fingerprint
	}
	if !same || t.p.fixed == "" || t.p.fixedFor != t.j.inputsBelow(t.p.path) {
		return t.j.base.foreign(t.p.path)
	}
	v.archive = t.p.fixed
	v.fingerprint, err = readFingerprint(v.archive)
	return err
}

// archive gives a name for one more archive.
func (j *patchCompile) archive() string {
	j.b.mu.Lock()
	defer j.b.mu.Unlock()
	j.c.seq++
	return filepath.Join(j.c.dir, fmt.Sprintf("o%d.a", j.c.seq))
}

// compiler runs the compiler and gives what it printed.
func (j *patchCompile) compiler(ctx context.Context, c *command, dir, archive string, importcfg []byte) (string, error) {
	config := archive + ".cfg"
	if err := os.WriteFile(config, importcfg, 0o600); err != nil {
		return "", err
	}
	defer os.Remove(config)
	argv := c.with(archive, config)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(slices.Clone(j.b.tool.With(j.s.settings.env...).Env), "PWD="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// layOut makes a directory hold these files and no others.
func layOut(dir string, files []goSource) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, f := range files {
		file := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, f.data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// importcfg tells the compiler where the export data is.
func (t *versionTask) importcfg(sd side) []byte {
	var b bytes.Buffer
	for _, line := range t.p.command.imports {
		if strings.HasPrefix(line, "importmap ") {
			b.WriteString(line + "\n")
		}
	}
	versions := map[string]bool{t.j.base.compiled(t.p.path): true}
	for _, d := range t.deps {
		path := t.j.base.compiled(d.p.path)
		versions[path] = true
		fmt.Fprintf(&b, "packagefile %s=%s\n", path, d.p.at(sd).archive)
	}
	for path, file := range t.j.c.exports[sd] {
		if !versions[path] {
			fmt.Fprintf(&b, "packagefile %s=%s\n", path, file)
		}
	}
	return b.Bytes()
}

// over gives the command for files in another directory, under the names that
// they have in their own, with the compiler telling what functions keep.
func (c *command) over(dir, own string, files []goSource) *command {
	argv := c.withoutFiles()
	named := own
	for i := 0; i+1 < len(argv); i++ {
		if argv[i] != "-trimpath" {
			continue
		}
		for rule := range strings.SplitSeq(argv[i+1], ";") {
			if from, to, ok := strings.Cut(rule, "=>"); ok && from == own {
				named = to
			}
		}
		argv[i+1] = dir + "=>" + named + ";" + argv[i+1]
	}
	argv = slices.Insert(argv, 1, funcdiff.LeakFlags...)
	for _, f := range files {
		argv = append(argv, filepath.Join(dir, f.name))
	}
	return &command{argv: argv}
}

// withoutFiles gives the arguments but for the Go files, which come last.
func (c *command) withoutFiles() []string {
	argv := slices.Clone(c.argv)
	for len(argv) > 0 && strings.HasSuffix(argv[len(argv)-1], ".go") {
		argv = argv[:len(argv)-1]
	}
	return argv
}
