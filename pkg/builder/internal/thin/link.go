package thin

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/internal/noroom"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// job is one link under way, after everything that it needs was found.
type job struct {
	l       *Linker
	in      *Input
	closure *closure
	units   []*unit // private, dependencies first

	config bytes.Buffer    // importcfg of the linker
	shown  map[string]bool // what private packages have that a patch of the artifact refers to
	alone  map[string]bool // what patched packages bring that no later artifact is to find
}

func (j *job) run(ctx context.Context) (*Result, error) {
	main, err := j.archives(ctx)
	if err != nil {
		return nil, err
	}
	if err := j.stub(); err != nil {
		return nil, err
	}
	object, args, err := j.link(ctx, main)
	if err != nil {
		return nil, err
	}
	if err := finish(object, j.visibility); err != nil {
		return nil, err
	}
	if err := j.cc(ctx, args); err != nil {
		return nil, err
	}
	r := &Result{}
	for path, u := range j.closure.units {
		if j.joins(u) {
			r.Joined = append(r.Joined, path)
		}
	}
	slices.Sort(r.Joined)
	return r, nil
}

// archives writes the rewritten objects of the private packages and tells the
// linker where all archives are. It gives the main package's.
func (j *job) archives(ctx context.Context) (main string, err error) {
	w := &goobj.Rewriter{
		Indexed: func(path string, i uint32) (goobj.Definition, error) { return j.l.definition(j.in, path, i) },
		Old:     j.in.Old, New: j.in.New,
	}
	loader, err := j.l.loaderMember(ctx, j.in.Dir)
	if err != nil {
		return "", err
	}
	own := map[string][8]byte{}
	for _, u := range j.units {
		own[u.path] = u.objects[0].Fingerprint
	}
	host := j.l.fingerprints(j.in)
	fingerprint := func(path string) ([8]byte, bool) {
		// The main package is compiled once and says what the plugin's was
		// then. It calls one function of it, which is always the same.
		if f, ok := own[path]; ok {
			return f, true
		}
		return host(path)
	}
	j.shown, j.alone = map[string]bool{}, map[string]bool{}
	for i, u := range j.units {
		main = filepath.Join(j.in.Dir, fmt.Sprintf("p%d.a", i))
		if i == len(j.units)-1 {
			j.importJoined(u.objects[0])
			if err := errors.Join(j.keepPatched(u), j.firstFunction(ctx, u)); err != nil {
				return "", err
			}
			u.archive.Members = append(u.archive.Members, goobj.Member{Name: "hotgo.o", Data: loader})
		}
		data, err := u.rewrite(w, j.closure.types, fingerprint, [8]byte{})
		if err == nil {
			err = os.WriteFile(main, data, 0o600)
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&j.config, "packagefile %s=%s\n", strings.ReplaceAll(u.path, j.in.Old, j.in.New), main)
		for k, d := range u.defs {
			if strings.Contains(k.name, j.in.Old) && funcdiff.Shared(d.symbol, u.declares) {
				j.shown[mangle(strings.ReplaceAll(k.name, j.in.Old, j.in.New))] = true
			}
		}
	}
	for _, u := range j.closure.patched {
		if err := j.archivePatched(u); err != nil {
			return "", err
		}
	}
	n := 0
	for _, path := range slices.Sorted(maps.Keys(j.closure.units)) {
		if j.joins(j.closure.units[path]) {
			joined, err := j.l.joinedPackage(ctx, j.in, path)
			if err != nil {
				return "", err
			}
			n++
			file := filepath.Join(j.in.Dir, fmt.Sprintf("j%d.a", n))
			if err := os.WriteFile(file, joined.data, 0o600); err != nil {
				return "", err
			}
			fmt.Fprintf(&j.config, "packagefile %s=%s\n", path, file)
		}
	}
	return main, nil
}

// joins reports whether a unit is neither the plugin's own nor patched.
func (j *job) joins(u *unit) bool {
	return !slices.Contains(j.units, u) && !slices.ContainsFunc(j.closure.patched, func(p *patchedUnit) bool { return p.unit == u })
}

// importJoined makes the main package import every package that joins: the
// linker loads what objects import, and a linkname needs no import.
func (j *job) importJoined(main *goobj.Object) {
	for _, path := range slices.Sorted(maps.Keys(j.closure.units)) {
		has := func(imp goobj.Import) bool { return imp.Path == path }
		if j.joins(j.closure.units[path]) && !slices.ContainsFunc(main.Imports, has) {
			main.Imports = append(main.Imports, goobj.Import{Path: path})
		}
	}
}

// stub describes to the linker what the host has of what is needed.
func (j *job) stub() error {
	need := j.closure.host
	image := j.l.image(j.in)
	// The linker itself uses these.
	for _, name := range []string{"type:runtime.moduledata", "runtime.lastmoduledatap"} {
		s, ok := image.find(name)
		if !ok {
			return unfit("the host has no %s", name)
		}
		need[nameABI{name, goobj.ABI0}] = s
	}
	if s, ok := image.find("runtime.unreachableMethod"); ok {
		need[nameABI{s.name, goobj.ABIInternal}] = s
	}
	file := filepath.Join(j.in.Dir, stubName)
	paths := map[string]bool{"runtime": true, "runtime/cgo": true}
	if j.l.cfg.Race {
		paths["runtime/race"] = true
	}
	for _, u := range j.closure.units {
		for _, path := range u.imports() {
			paths[path] = true
		}
	}
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if j.closure.units[path] != nil || path == "unsafe" || path == hostMain || path == firstPath || strings.Contains(path, j.in.New) {
			continue
		}
		hash := "go:link.pkghash." + path
		s, ok := image.find(hash)
		if !ok {
			return unfit("the host has no hash of package %s", path)
		}
		need[nameABI{hash, goobj.ABI0}] = s
		fmt.Fprintf(&j.config, "packageshlib %s=%s\n", path, file)
	}
	if j.in.ModInfo != "" {
		fmt.Fprintf(&j.config, "modinfo %s\n", strconv.Quote(j.in.ModInfo))
	}
	return writeStub(image, file, need)
}

// recorder takes the place of the C compiler while the Go linker runs. The
// linker asks it what it can do, one program start each, and in the end to link
// its object. The first are not worth an answer, and the second is done later,
// with the arguments that are kept here.
const recorder = `printf '%s\0' "$@" >"$HOTGO_LINK_ARGS"` + "\n"

// link runs the Go linker. It gives its object and the arguments that it has
// for the C compiler.
func (j *job) link(ctx context.Context, main string) (object string, args []string, err error) {
	config := filepath.Join(j.in.Dir, "importcfg.link")
	script := filepath.Join(j.in.Dir, "extld.sh")
	kept := filepath.Join(j.in.Dir, "extld.args")
	tmp := filepath.Join(j.in.Dir, "link")
	err = errors.Join(
		os.WriteFile(config, j.config.Bytes(), 0o600),
		os.WriteFile(script, []byte(recorder), 0o600),
		os.Mkdir(tmp, 0o700),
	)
	if err != nil {
		return "", nil, err
	}
	argv := []string{
		j.l.tool("link"), "-o", j.in.Out, "-importcfg", config, "-buildmode=plugin", "-linkshared", "-pluginpath", j.in.PluginPath,
		// What is the host's to the linker it does not check, so it would check
		// what joins only, by rules made for whole programs.
		"-checklinkname=0",
		"-w", "-compressdwarf=false", "-buildid=" + j.in.BuildID, "-tmpdir", tmp, "-extld=/bin/sh " + quote(script),
	}
	if j.l.cfg.Race {
		argv = append(argv, "-race")
	}
	argv = append(argv, main)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// A collection takes longer than the memory is worth that it would save.
	cmd.Env = append(slices.Clone(j.l.cfg.Env), "GOGC=off", "HOTGO_LINK_ARGS="+kept)
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return "", nil, context.Cause(ctx)
		}
		return "", nil, refused("the Go linker", argv, out, err)
	}
	data, err := os.ReadFile(kept)
	if err != nil {
		return "", nil, unfit("the Go linker did not call the C compiler: %w", err)
	}
	args = strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
	return filepath.Join(tmp, "go.o"), args, nil
}

// quote makes a path one field of a flag that the linker splits
// (cmd/internal/quoted, Go 1.26 and 1.27).
func quote(path string) string {
	if strings.Contains(path, `"`) {
		return "'" + path + "'"
	}
	return `"` + path + `"`
}

// refused is for a linker that failed: *Unfit where that is about what it was given,
// which another attempt would only show again. A linker that had no room for its output,
// or was killed for want of memory, has said nothing about that.
func refused(who string, argv []string, out []byte, err error) error {
	described := describe(argv, out, err)
	exit, ok := errors.AsType[*exec.ExitError](err)
	killed := ok && exit.ExitCode() < 0 || strings.Contains(strings.ToLower(string(out)), "terminated with signal") // as collect2 says
	if killed || noroom.Says(string(out)) {
		return described
	}
	return &Unfit{Reason: who + ": " + firstLine(string(out)), Err: described}
}

func firstLine(s string) string {
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return "no message"
}

// cc links the finished object: the one run of a real linker.
func (j *job) cc(ctx context.Context, args []string) error {
	argv := slices.Clone(j.l.cfg.CC)
	for _, a := range args {
		switch {
		case a == "-lhost", a == "-L"+j.in.Dir+"/", strings.HasPrefix(a, "-Wl,-rpath="): // the stub's
		default:
			argv = append(argv, a)
		}
	}
	// Code in pages of its own would cost an artifact of a few pages several
	// more, on disk and in memory.
	argv = append(argv, "-Wl,--build-id=none", "-Wl,-z,noseparate-code")
	// Before version 2.39 of the GNU linker programs could have copies of a
	// library's protected variables, and the library looked them up.
	argv = append(argv, "-Wl,-z,noextern-protected-data")
	if !slices.ContainsFunc(slices.Collect(maps.Values(j.closure.units)), (*unit).foreign) {
		argv = append(argv, "-nostdlib") // no C in it: the host has what its symbols need
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(slices.Clone(j.l.cfg.Env), "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return refused("the C compiler", argv, out, err)
	}
	return nil
}

// visibility says who may use a symbol that the artifact defines, and whether
// somebody else's may take its place. What others may have too must stay as it
// is, or a program would have two of it: types, variables and functions of
// packages that the host lacks. What bears the artifact's identity nobody else
// has, so that the artifact needs no lookup for it:
//
//   - Functions, variables, types and interface tables are found by patches of
//     the artifact, which go by their names.
//   - What the compiler names by counter is hidden: a patch has its own.
//
// The symbols of the main package and the linker's own are looked up by name.
func (j *job) visibility(name string) elf.SymVis {
	switch {
	case j.shown[strings.TrimSuffix(name, ".abi0")], strings.HasPrefix(name, "go:itab.") && strings.Contains(name, j.in.New):
		return elf.STV_PROTECTED
	case j.alone[name]:
		return elf.STV_HIDDEN
	case strings.HasPrefix(name, "type:"):
		return elf.STV_DEFAULT
	case name == "runtime.addmoduledata", name == "go:link.abihash."+stubName:
		return elf.STV_HIDDEN
	case strings.HasPrefix(name, "go:link."), strings.HasPrefix(name, symname.Escape(j.in.PluginPath)+"."):
		return elf.STV_DEFAULT
	case strings.Contains(name, j.in.New), !strings.ContainsAny(name, ".:"):
		// Functions that cgo exports bear no package: C code of this artifact
		// is to call those of this artifact.
		return elf.STV_HIDDEN
	}
	return elf.STV_DEFAULT
}
