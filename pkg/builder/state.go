package builder

import (
	"context"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	goversion "go/version"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/statediff"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// # State, before it moves
//
// A swap carries the variables of what serves over to the new generation, and what
// becomes of each follows from the sources of both as far as it follows from types
// (package statediff). Those of a generation are known by its key (generation.go),
// those of the built-in are the host's baseline (builtin.go). Where a process would not
// carry state at all, or the sources are not known, the plan says that instead.

// StateOutcome says what becomes of a variable.
type StateOutcome = statediff.Outcome

// The outcomes.
const (
	StateCarried   = statediff.Carried   // it keeps its value
	StateConverted = statediff.Converted // it keeps its value, in a type of another definition
	StateReset     = statediff.Reset     // it starts as the new code's initialiser leaves it
	StateAdded     = statediff.Added     // what serves has no such variable
	StateLost      = statediff.Lost      // the new code has none
	StateRefused   = statediff.Refused   // its type cannot be converted, and the process refuses the swap
)

// StateOutcomes lists all of them, as they are told.
func StateOutcomes() []StateOutcome { return slices.Clone(statediff.Outcomes) }

// StateVariable is a package variable of a plugin's own packages, in what serves or in
// the new code, and what a swap would make of it.
type StateVariable struct {
	Package string // import path
	Name    string
	Outcome StateOutcome
	Old     string // types, in the grammar of the manifest's symbols; "" where there is none
	New     string
	Code    string   // of the catalogue of edits, "" where nothing of it applies
	Text    string   // what is converted, or why it is refused or starts anew
	If      []string // what its values have to be for this: otherwise the swap is refused
	Notes   []string // what else becomes of its values
}

// StatePlan says what a swap would make of a plugin's package variables. It follows
// from sources alone: what depends on values is a condition.
type StatePlan struct {
	Variables []StateVariable // sorted by package and name
	// Reason says why there are no Variables though the packages may have some: the
	// process would not carry them, or it is not known here what it would do. Code is of
	// the catalogue of edits, "" where nothing of it applies.
	Code, Reason string
}

// Count gives how many variables have an outcome.
func (p *StatePlan) Count(o StateOutcome) (n int) {
	for i := range p.Variables {
		if p.Variables[i].Outcome == o {
			n++
		}
	}
	return n
}

// Err gives what is refused as a *ConflictError, nil where nothing is: the process would
// refuse the swap.
func (p *StatePlan) Err() error {
	e := &ConflictError{
		Limit: "hotgo: state is carried whole and without loss, or not at all",
		Next:  "give the plugin a HotMigrate, mark the variable //hotgo:fresh, or restart the host",
	}
	for _, v := range p.Variables {
		if v.Outcome == StateRefused {
			e.Evidence = append(e.Evidence, Mismatch{What: v.Package + "." + v.Name, Host: v.Old, Artifact: v.New, Rule: v.Code})
		}
	}
	switch n := len(e.Evidence); n {
	case 0:
		return nil
	case 1:
		e.Message = fmt.Sprintf("state cannot be carried over: %s cannot be converted", e.Evidence[0].What)
	default:
		e.Message = fmt.Sprintf("state cannot be carried over: %s and %d more cannot be converted", e.Evidence[0].What, n-1)
	}
	return e
}

// PlanState says what would become of a plugin's variables if a host of the given
// binary loaded the sources as a new generation. key is that of the generation that
// serves, or that what serves is a patch of; "" is the built-in. plugins are as for
// PlanPatch. No process is asked, and nothing is linked. What the built-in is taken to
// be built from is compiled and held against the binary, once for each binary; else only
// packages that the plugin imports are compiled, which the go command mostly has in its
// cache.
//
// Errors: those of a Plan in Snapshot.Errors, of ctx, and of files. What keeps the answer
// from being known is no error but StatePlan.Reason.
func (b *Builder) PlanState(ctx context.Context, host Host, plugin Plugin, plugins []Plugin, key string) (*StatePlan, error) {
	s, leave, err := b.scan(ctx, host, plugins)
	if err != nil {
		return nil, err
	}
	defer leave()
	if _, err := s.hostChanges(); err != nil { // takes the baseline where there is none
		return nil, err
	}
	plan, err := s.plan(ctx, plugin)
	if err != nil {
		return nil, err
	}
	f := &forecast{b: b, s: s, plan: plan}
	why, err := f.versions(ctx, key)
	if why != nil || err != nil {
		return why, err
	}
	list, err := f.compare(ctx)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && goversion.Compare(goversion.Lang(toolchain(s.env.GOVERSION)), goversion.Lang(runtime.Version())) > 0:
		// Export data belongs to the Go release that wrote it (see symbols.Read).
		return notForetold(ruleThin, "this hotgo was built with "+runtime.Version()+", and does not read what "+s.env.GOVERSION+" compiles"), nil
	case err != nil:
		return notForetold(ruleThin, firstLine(err.Error())), nil
	}
	p := &StatePlan{}
	for _, v := range list {
		p.Variables = append(p.Variables, StateVariable(v))
	}
	return p, nil
}

// startsAnew is the plan of a process that would carry nothing.
func startsAnew(code, reason string) *StatePlan {
	return &StatePlan{Code: code, Reason: "package variables start anew: " + reason}
}

// notForetold is the plan where it is not known what a process would do.
func notForetold(code, reason string) *StatePlan {
	return &StatePlan{Code: code, Reason: "what becomes of package variables is not known: " + reason}
}

// forecast is one PlanState under way.
type forecast struct {
	b        *Builder
	s        *scan
	plan     *Plan
	old, new []statediff.Package
}

// versions finds the sources of both sides. It gives the answer where there is nothing
// to compare.
func (f *forecast) versions(ctx context.Context, key string) (why *StatePlan, err error) {
	p, s := f.plan, f.s
	switch ok, reason := thin.Supported(toolchain(s.env.GOVERSION), s.env.GOOS, s.env.GOARCH); {
	case !ok:
		return startsAnew(ruleThin, strings.ReplaceAll(reason, "thin artifacts are", "state is carried")), nil
	case p.settings.race:
		return startsAnew(ruleThin, "the host was built with -race"), nil
	case key == "":
		why, err = f.builtin(ctx)
	default:
		why = f.generation(key)
	}
	if why != nil || err != nil {
		return why, err
	}
	for _, u := range p.private {
		if len(u.Package.CgoFiles) > 0 {
			return notForetold(ruleThin, u.Package.ImportPath+" uses cgo, and what C declares is not known here"), nil
		}
		f.new = append(f.new, f.version(u.Package.ImportPath, u.Package.Dir, sourcesOf(u)))
	}
	return nil, nil
}

// generation takes the sources of the generation that serves.
func (f *forecast) generation(key string) *StatePlan {
	was := f.b.generationOf(key)
	if was == nil {
		return notForetold(ruleDrift, "the generation that serves was built by another hotgo, or long ago")
	}
	for _, path := range slices.Sorted(maps.Keys(was.Packages)) {
		var embedded []string
		if known := f.s.graph[path]; known != nil {
			embedded = known.EmbedFiles
		}
		f.old = append(f.old, f.version(path, was.Packages[path].Dir, was.goFiles(path, embedded)))
	}
	return nil
}

// builtin takes those of the built-in, where an artifact would bring what the host needs
// to know of it. What the host is taken to be built from is held against it, as for an
// artifact, and what is compiled for that is kept for one.
//
// Errors: those of ctx, and of files.
func (f *forecast) builtin(ctx context.Context) (*StatePlan, error) {
	p, bi := f.plan, f.plan.builtin
	switch {
	case bi == nil:
		return startsAnew("", "nothing of the plugin runs yet"), nil
	case bi.reason != "":
		return startsAnew(bi.code, bi.reason), nil
	case p.Link != "thin":
		return startsAnew(ruleThin, "artifacts that are linked in full do not know those of the built-in, and this one would be ("+p.Reason+")"), nil
	}
	dir, cleanup, err := f.b.store.Temp(p.Plugin.Name)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	list, err := f.b.startBuiltin(p, dir)
	if err == nil {
		_, err = list.finish(ctx)
	}
	if why, ok := errors.AsType[*unlisted](err); ok {
		return startsAnew(why.Code, why.Reason), nil
	}
	if err != nil {
		return nil, err
	}
	linker, err := f.b.linker(p)
	if err != nil {
		return nil, err
	}
	for _, pkg := range bi.packages {
		v := f.version(pkg.path, pkg.dir, pkg.files)
		v.Unused = func(name string) bool { return !linker.Image().Has(symname.Escape(pkg.path) + "." + name) }
		f.old = append(f.old, v)
	}
	return nil, nil
}

// version makes a package of one version of it.
func (f *forecast) version(path, dir string, files []goSource) statediff.Package {
	p := statediff.Package{ImportPath: path}
	if known := f.s.graph[path]; known != nil {
		p.Resolve = known.Resolve
		if known.Module != nil {
			p.GoVersion = known.Module.GoVersion
		}
	}
	for _, x := range files {
		p.Files = append(p.Files, statediff.File{Name: f.s.short(filepath.Join(dir, x.name)), Data: x.original()})
	}
	return p
}

// compare compares both. What is imported comes from the export data of the go
// command's cache, as for a build.
func (f *forecast) compare(ctx context.Context) (list []statediff.Variable, err error) {
	st := f.plan.settings
	files := map[string]string{}
	if paths := statediff.Imports(f.old, f.new); len(paths) > 0 {
		exports, err := f.b.tool.With(st.env...).Exports(ctx, append([]string{"-export", "-buildvcs=false"}, st.flags...), paths...)
		if err != nil {
			return nil, err
		}
		for _, e := range exports {
			files[e.ImportPath] = e.File
		}
	}
	// The reader of export data panics on what it does not understand.
	defer func() {
		if r := recover(); r != nil {
			list, err = nil, fmt.Errorf("read export data: %v", r)
		}
	}()
	return statediff.Compare(statediff.Config{
		Old: f.old, New: f.new, Plugin: f.plan.Plugin.ImportPath, Sizes: types.SizesFor("gc", f.s.env.GOARCH),
		Import: importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
			if files[path] == "" {
				return nil, errors.New("the go command has no export data of it")
			}
			return os.Open(files[path])
		}),
	})
}
