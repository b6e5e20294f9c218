package builder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// # Replacing functions by themselves
//
// The strongest test of patches is one that changes nothing: while the tests of
// a package run, all of its functions are replaced by recompiled copies, again
// and again, and every test has to pass as it does without. What goes wrong when
// functions are replaced - a variable bound to a second copy, a stack map that
// does not fit, a goroutine caught in an entry - shows there.
//
// The package's test binary is built with a driver that loads the patches
// (stressDriver) and made patchable by the import of the reloader, both through
// an overlay. Packages of the standard library can import no module, so there
// the reloader becomes a part of the library, under another import path.

// StressTest is a package's test binary with patches that change nothing.
type StressTest struct {
	Binary    string
	Dir       string   // where the tests run
	Patches   []string // artifacts
	Functions int      // that each of them replaces
}

// What the driver reads: the artifacts, separated by colons, and a file to which
// it adds a line for each switch.
const (
	stressEnv   = "HOTGO_STRESS"
	stressCount = "HOTGO_STRESS_COUNT"
)

// Run runs the tests with flags of the test binary, such as -test.short, writes
// what they print to out, and gives how often everything was replaced meanwhile.
// Without patched it only runs them.
//
// Errors: *exec.ExitError where tests fail; the exit code is 99 where a patch
// was refused.
func (st *StressTest) Run(ctx context.Context, patched bool, out io.Writer, flags ...string) (switches int, err error) {
	count := st.Binary + ".count"
	cmd := exec.CommandContext(ctx, st.Binary, flags...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = st.Dir, out, out
	cmd.Env = append(os.Environ(), "PWD="+st.Dir)
	if patched {
		cmd.Env = append(cmd.Env, stressEnv+"="+strings.Join(st.Patches, ":"), stressCount+"="+count)
	}
	if err := cmd.Run(); err != nil || !patched {
		return 0, err
	}
	data, err := os.ReadFile(count)
	return bytes.Count(data, []byte("\n")), err
}

// Stress builds the tests of a package, and n patches of it, into dir, which
// must exist. The module of the builder's directory must require hotgo's.
//
// Errors: *BuildError; *ConflictError where the package cannot be patched.
func (b *Builder) Stress(ctx context.Context, pkg, dir string, n int) (*StressTest, error) {
	env, err := b.environ(ctx)
	if err != nil {
		return nil, err
	}
	pkgs, err := b.tool.List(ctx, nil, relative(b.opts.WorkDir, pkg))
	if err != nil {
		return nil, goError(pkg, err)
	}
	if len(pkgs) != 1 || pkgs[0].Dir == "" {
		return nil, &NotFoundError{What: "package " + pkg}
	}
	j := &stress{b: b, env: env, pkg: pkgs[0], dir: dir, recording: recording{dir: dir, seq: new(int)}}
	if err := j.outOfCache(ctx); err != nil {
		return nil, err
	}
	if err := j.build(ctx); err != nil {
		return nil, err
	}
	st := &StressTest{Binary: j.binary(), Dir: j.pkg.Dir}
	for i := range n {
		artifact, functions, err := j.patch(ctx, i)
		if err != nil {
			return nil, err
		}
		st.Patches, st.Functions = append(st.Patches, artifact), functions
	}
	return st, nil
}

// stress is one package under test.
type stress struct {
	b   *Builder
	env *gotool.Environment
	pkg *gotool.Package
	dir string
	recording

	settings *settings
	host     *abi.Fingerprint
	exports  map[string]string
	compiled *patchedPackages
	diff     *funcdiff.Diff
	flags    []string // of every run of the go command
}

func (j *stress) binary() string { return filepath.Join(j.dir, "stress.test") }

// outOfCache copies a module of the module cache, in which the go command takes
// no overlay, and has the copy stand for it.
func (j *stress) outOfCache(ctx context.Context) error {
	m := j.pkg.Module
	if m == nil || m.Dir == "" || !strings.HasPrefix(m.Dir, j.env.GOMODCACHE+string(filepath.Separator)) {
		return nil
	}
	moved := filepath.Join(j.dir, "module")
	if err := os.CopyFS(moved, os.DirFS(m.Dir)); err != nil {
		return err
	}
	data, err := os.ReadFile(j.env.GOMOD)
	if err != nil {
		return err
	}
	mod, err := modfile.Parse(j.env.GOMOD, data, nil)
	if err != nil {
		return err
	}
	for _, r := range mod.Replace { // relative to where go.mod is
		if r.New.Version == "" && !filepath.IsAbs(r.New.Path) {
			if err := mod.AddReplace(r.Old.Path, r.Old.Version, filepath.Join(filepath.Dir(j.env.GOMOD), r.New.Path), ""); err != nil {
				return err
			}
		}
	}
	if err := mod.AddReplace(m.Path, "", moved, ""); err != nil {
		return err
	}
	if data, err = mod.Format(); err != nil {
		return err
	}
	file := filepath.Join(j.dir, "stress.mod")
	sum, err := os.ReadFile(strings.TrimSuffix(j.env.GOMOD, ".mod") + ".sum")
	if err != nil {
		return err
	}
	if err := cmpErr(os.WriteFile(file, data, 0o600), os.WriteFile(filepath.Join(j.dir, "stress.sum"), sum, 0o600)); err != nil {
		return err
	}
	j.flags = []string{"-modfile=" + file}
	pkgs, err := j.b.tool.List(ctx, j.flags, j.pkg.ImportPath)
	if err != nil {
		return goError(j.pkg.ImportPath, err)
	}
	j.pkg = pkgs[0]
	return nil
}

// stressDriver becomes a test file. It replaces everything for as long as the
// tests run.
const stressDriver = `package %s_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"%s/reloader"
)

func init() {
	artifacts := os.Getenv(%q)
	if artifacts == "" {
		return
	}
	h, err := reloader.New(reloader.Options{Name: "stress", NoSocket: true})
	if err != nil {
		panic(err)
	}
	count, err := os.Create(os.Getenv(%q))
	if err != nil {
		panic(err)
	}
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "hotgo stress:", err)
		os.Exit(99)
	}
	list := strings.Split(artifacts, ":")
	// testing.AllocsPerRun counts what all goroutines allocate, and sets
	// GOMAXPROCS to 1 for as long.
	if runtime.GOMAXPROCS(0) == 1 {
		runtime.GOMAXPROCS(2)
	}
	loaded := make(chan bool)
	go func() {
		for _, path := range list {
			if _, err := h.Load(context.Background(), path); err != nil {
				fail(err)
			}
		}
		close(loaded)
		for i := 0; ; i++ {
			for runtime.GOMAXPROCS(0) == 1 {
				runtime.Gosched()
			}
			// A test may keep a goroutine in a small function all the time: then
			// the patch is refused, and the next round tries another.
			if _, err := h.Rollback(context.Background(), %q, i%%(len(list)+1)); err != nil && !strings.Contains(err.Error(), "in the middle of it") {
				fail(err)
			} else if err != nil {
				continue
			}
			fmt.Fprintln(count, i)
			if i%%16 == 0 {
				runtime.GC()
			}
			runtime.Gosched()
		}
	}()
	<-loaded
}
`

// reloaderModule is the import path of hotgo's packages.
const reloaderModule = "github.com/hotgo/hotgo/pkg"

// build builds the test binary and notes how.
func (j *stress) build(ctx context.Context) error {
	for _, d := range []string{recordDir, workDir, "overlay"} {
		if err := os.MkdirAll(filepath.Join(j.dir, d), 0o700); err != nil {
			return err
		}
	}
	module := reloaderModule
	replace := map[string]string{}
	if j.pkg.Standard {
		module = "hotgostress"
		if err := j.intoStandard(ctx, module, replace); err != nil {
			return err
		}
	}
	add := func(path, text string) error {
		at := sha256.Sum256([]byte(path))
		file := filepath.Join(j.dir, "overlay", hex.EncodeToString(at[:6])+".go")
		replace[path] = file
		return os.WriteFile(file, []byte(text), 0o600)
	}
	err := cmpErr(
		add(filepath.Join(j.pkg.Dir, "hotgo_stress_test.go"), fmt.Sprintf(stressDriver, j.pkg.Name, module, stressEnv, stressCount, j.pkg.Name)),
		add(filepath.Join(j.b.opts.WorkDir, thinElement, "main.go"), string(patchMain(false))+"\nfunc main() {}\n"),
	)
	if err != nil {
		return err
	}
	data, err := json.Marshal(struct{ Replace map[string]string }{replace})
	if err != nil {
		return err
	}
	overlay := filepath.Join(j.dir, "overlay.json")
	script := filepath.Join(j.dir, "record.sh")
	err = cmpErr(os.WriteFile(overlay, data, 0o600), os.WriteFile(script, []byte(recorder), 0o600))
	if err != nil {
		return err
	}
	tool := j.b.tool.With("CGO_ENABLED=1", "GOTMPDIR="+filepath.Join(j.dir, workDir), "HOTGO_RECORD="+filepath.Join(j.dir, recordDir))
	// -D makes the package one that is not in the cache, and so its command
	// known; see askGo.
	out, err := tool.Test(ctx, append([]string{
		"-c", "-vet=off", "-buildvcs=false", "-work", "-overlay=" + overlay, `-toolexec=/bin/sh "` + script + `"`,
		"-gcflags=" + j.pkg.ImportPath + "=-D=" + unique(), "-o", j.binary(),
	}, append(slices.Clone(j.flags), j.pkg.ImportPath)...)...)
	if err != nil {
		return &BuildError{Plugin: j.pkg.ImportPath, Output: out, Err: err}
	}
	return j.learn(ctx, overlay)
}

// intoStandard makes the reloader a part of the standard library.
func (j *stress) intoStandard(ctx context.Context, prefix string, replace map[string]string) error {
	pkgs, err := j.b.tool.With("CGO_ENABLED=1").List(ctx, []string{"-deps"}, reloaderModule+"/reloader")
	if err != nil {
		return goError(reloaderModule, err)
	}
	for _, p := range pkgs {
		rest, ok := strings.CutPrefix(p.ImportPath, reloaderModule)
		if !ok {
			continue
		}
		for _, name := range slices.Concat(p.GoFiles, p.CgoFiles) {
			data, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				return err
			}
			path := filepath.Join(j.env.GOROOT, "src", prefix, filepath.FromSlash(rest), name)
			at := sha256.Sum256([]byte(path))
			file := filepath.Join(j.dir, "overlay", hex.EncodeToString(at[:6])+".go")
			replace[path] = file
			if err := os.WriteFile(file, bytes.ReplaceAll(data, []byte(reloaderModule), []byte(prefix)), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// learn finds out how the package was compiled and what the binary was linked
// from, and compiles the package the way a patch is linked.
func (j *stress) learn(ctx context.Context, overlay string) error {
	var err error
	if j.host, err = abi.ReadFile(j.binary()); err != nil {
		return err
	}
	if j.settings, err = followHost(j.b.opts, j.env, j.host, ""); err != nil {
		return err
	}
	commands, err := j.commands(func(path string) bool { return path == j.pkg.ImportPath })
	if err != nil {
		return err
	}
	cmd := commands[j.pkg.ImportPath]
	if cmd == nil {
		return errDrift(j.pkg.ImportPath, Mismatch{What: j.pkg.ImportPath, Artifact: "it is not clear how it is compiled", Rule: ruleThin})
	}
	if j.exports, err = j.linked(); err != nil {
		return err
	}
	archive, config := filepath.Join(j.dir, "patched.a"), filepath.Join(j.dir, "patched.cfg")
	if err := os.WriteFile(config, []byte(strings.Join(cmd.imports, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	argv := slices.Insert(cmd.with(archive, config), 1, "-dynlink", "-linkshared")
	run := exec.CommandContext(ctx, argv[0], argv[1:]...)
	run.Dir, run.Env = cmd.dir, append(slices.Clone(j.b.tool.With(j.settings.env...).Env), "PWD="+cmd.dir)
	if out, err := run.CombinedOutput(); err != nil {
		return &BuildError{Plugin: j.pkg.ImportPath, Output: string(out), Err: err}
	}
	main, err := j.b.tool.With(j.settings.env...).Exports(ctx, append([]string{
		"-export", "-buildvcs=false", "-overlay=" + overlay, "-gcflags=-dynlink -linkshared -p=" + thinElement,
	}, j.flags...), "./"+thinElement)
	if err != nil {
		return goError(thinElement, err)
	}
	return j.compare(archive, cmd, main[len(main)-1].File)
}

// linked reads what the linker was given: import path -> archive. Those that
// were compiled for the test alone are in the go command's work directory.
func (j *stress) linked() (map[string]string, error) {
	entries, err := os.ReadDir(filepath.Join(j.dir, recordDir))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(j.dir, recordDir, e.Name()))
		if err != nil {
			return nil, err
		}
		argv := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
		at := slices.Index(argv, "-importcfg")
		if at < 0 || filepath.Base(argv[1]) != "link" {
			continue
		}
		config, err := os.ReadFile(argv[at+1])
		if err != nil {
			return nil, err
		}
		exports := map[string]string{}
		for line := range strings.Lines(string(config)) {
			if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "packagefile "); ok {
				path, file, _ := strings.Cut(rest, "=")
				exports[path] = file
			}
		}
		return exports, nil
	}
	return nil, fmt.Errorf("the tests of %s were not linked", j.pkg.ImportPath)
}

// compare makes the diff that replaces everything.
func (j *stress) compare(archive string, cmd *command, main string) error {
	objects, err := readObjects(archive)
	if err != nil {
		return err
	}
	var sources []funcdiff.Source
	for _, arg := range cmd.argv {
		if strings.HasSuffix(arg, ".go") && !strings.HasPrefix(arg, "-") {
			file := arg
			if !filepath.IsAbs(file) {
				file = filepath.Join(cmd.dir, file)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			sources = append(sources, funcdiff.Source{Name: filepath.Base(file), Data: data})
		}
	}
	path := j.pkg.ImportPath
	declared, err := funcdiff.Declare(path, sources)
	if err != nil {
		return err
	}
	c := &patchCompiler{names: map[string][]goobj.Definition{}}
	build := &funcdiff.Build{Objects: objects, Declared: declared, Indexed: c.indexed(j.exports)}
	v := &compiledVersion{archive: archive, build: build}
	j.compiled = &patchedPackages{
		packages: []*patchable{{path: path, compiled: path, old: v, new: v}},
		exports:  j.exports, compiled: map[string]string{path: archive}, main: main, mainPath: thinElement,
	}
	l, err := j.b.linkerFor(j.binary(), j.host, j.settings, j.env)
	if err != nil {
		return err
	}
	j.diff, err = j.compiled.diff(l.Image(), toolchain(j.env.GOVERSION), true)
	if err == nil && len(j.diff.Functions) == 0 {
		return errUnpatchable(path, "its tests have no function of it that is there by itself: all are generic or inlined")
	}
	return err
}

// patch links the patch number i.
func (j *stress) patch(ctx context.Context, i int) (file string, functions int, err error) {
	key := sha256.Sum256(fmt.Appendf(nil, "stress %s %s %d", j.host.BuildID, unique(), i))
	p := &PatchPlan{
		Host: Host{Binary: j.binary()}, Name: j.pkg.Name, Verdict: CanPatch, Key: hex.EncodeToString(key[:]),
		settings: j.settings, env: j.env, host: j.host, deps: nil, main: j.pkg.ImportPath, diff: j.diff, compiled: j.compiled,
	}
	dir := filepath.Join(j.dir, fmt.Sprintf("patch%d", i))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", 0, err
	}
	r := &patchLink{b: j.b, plan: p, dir: dir, out: filepath.Join(j.dir, fmt.Sprintf("patch%d.so", i))}
	if err := r.link(ctx); err != nil {
		return "", 0, err
	}
	if err := r.describe(); err != nil {
		return "", 0, err
	}
	return r.out, len(j.diff.Functions), nil
}
