package thin

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// Config says what a Linker works with.
type Config struct {
	Image     *Image
	GoVersion string   // of the host and the toolchain, such as "go1.26.8"
	ToolDir   string   // with the programs link and asm
	Env       []string // of the programs that are run
	CC        []string // the C compiler, with flags
	Race      bool
}

// Linker links artifacts for one host. It may be used concurrently, and keeps
// what it learned about the packages of the host and about those that join.
type Linker struct {
	cfg     Config
	exports exports

	mu     sync.Mutex
	joined joins
	pushed map[string]*pushed // by file of an export

	assembly *assembly
	loaded   map[string]map[string]bool // what assembly defines, by archive of a package of Base
	loader   []byte                     // archive member with addmoduledata, once made
	first    []byte                     // archive of the package that comes first, once made
}

// joins are the packages that can join links to an image, by import path and
// file of the host's export. Those to an artifact go with it: what it has is left
// to it.
type joins map[string]*joined

// joined is a package that can join links, rewritten for an image once.
type joined struct {
	once sync.Once
	err  error
	unit *unit
	data []byte // archive, rewritten
}

// NewLinker makes a linker.
func NewLinker(cfg Config) *Linker {
	return &Linker{cfg: cfg, exports: exports{known: map[string]*export{}}, joined: joins{}, pushed: map[string]*pushed{}, loaded: map[string]map[string]bool{}}
}

// Image is the host's binary as the linker sees it.
func (l *Linker) Image() *Image { return l.cfg.Image }

// image gives what a link binds to.
func (l *Linker) image(in *Input) *Image {
	if in.Base != nil {
		return in.Base
	}
	return l.cfg.Image
}

// Package is a compiled package of the plugin.
type Package struct {
	Path string // import path as compiled, with the constant identity
	File string // archive
}

// Input is one link.
type Input struct {
	Private    []Package          // dependencies first; the last is the main package
	Base       *Image             // the host with the artifact that is patched, where it is not the host's own code
	Patched    []Patched          // packages of the host, or of that artifact, with functions that the artifact replaces
	Exports    map[string]string  // import path -> archive of the host's build
	Compiled   map[string]string  // import path -> archive that the patched packages were compiled against in place of it
	Hashes     map[string][8]byte // of packages in Compiled, as the host or Base has them
	HostHas    func(path string) bool
	Old, New   string // the constant identity, and the one that replaces it
	Export     string // the function of the main package that plugin.Lookup is to find
	PluginPath string // with the new identity
	ModInfo    string // module information, as the go command passes it to the linker
	BuildID    string // of the artifact
	Dir        string // scratch
	Out        string // the artifact

	// Compile compiles a package under its own import path with -dynlink and
	// -linkshared, and gives the archive's file.
	Compile func(ctx context.Context, path string) (string, error)
}

// Result says how a link went.
type Result struct {
	Joined []string // packages that the artifact has parts of because the host lacks them
}

// Link links one artifact. Cancelling ctx ends the programs it runs.
//
// Errors: *Unfit where a full link is needed; others where something broke.
func (l *Linker) Link(ctx context.Context, in *Input) (*Result, error) {
	types, ok := goobj.RelocTypes(l.cfg.GoVersion)
	if !ok {
		return nil, unfit("the object format of %s is not known", l.cfg.GoVersion)
	}
	var private []*unit
	for _, p := range in.Private {
		u, err := readUnit(p.Path, p.File)
		if err != nil {
			return nil, err
		}
		private = append(private, u)
	}
	if len(private) == 0 {
		return nil, unfit("there is nothing to link")
	}
	if err := keepExport(private[len(private)-1].objects, in.Export); err != nil {
		return nil, err
	}
	c := &closure{
		l: l, in: in, types: types,
		private: map[*goobj.Object]bool{}, defined: map[nameABI]bool{}, owner: map[*goobj.Object]*unit{}, shared: map[nameABI]bool{}, units: map[string]*unit{},
		host: map[nameABI]symbol{}, seen: map[*goobj.Symbol]bool{}, absent: map[string]map[nameABI]bool{},
	}
	patched, err := l.readPatched(in, types)
	if err != nil {
		return nil, err
	}
	c.patched = patched
	if err := c.run(ctx, private); err != nil {
		return nil, err
	}
	j := &job{l: l, in: in, closure: c, units: private}
	return j.run(ctx)
}

// definition names a symbol that is referred to by position.
func (l *Linker) definition(in *Input, path string, i uint32) (goobj.Definition, error) {
	x := in.Compiled[path]
	if x == "" {
		x = in.Exports[path]
	}
	if x != "" {
		e, err := l.exports.read(path, x)
		if err != nil {
			return goobj.Definition{}, err
		}
		if int(i) < len(e.defs) {
			return e.defs[i], nil
		}
	}
	return goobj.Definition{}, unfit("an object refers to symbol %d of %s, which is not in its export data", i, path)
}

// joinedPackage compiles a package for joining, and rewrites it: what the host
// has is not defined a second time.
func (l *Linker) joinedPackage(ctx context.Context, in *Input, path string) (*joined, error) {
	types, _ := goobj.RelocTypes(l.cfg.GoVersion)
	export := in.Exports[path]
	if export == "" {
		return nil, unfit("it needs package %s, which the go command did not list", path)
	}
	key := path + "\x00" + export
	known := l.joined
	if in.Base != nil {
		known = in.Base.joined
	}
	for {
		l.mu.Lock()
		j := known[key]
		if j == nil {
			j = new(joined)
			known[key] = j
		}
		l.mu.Unlock()
		mine := false
		j.once.Do(func() { mine, j.err = true, l.prepare(ctx, in, types, path, j) })
		if j.err == nil {
			return j, nil
		}
		l.mu.Lock()
		if known[key] == j {
			delete(known, key) // the next link tries again
		}
		l.mu.Unlock()
		if mine || ctx.Err() != nil {
			return nil, j.err
		}
		// Another link failed at it, perhaps because it was given up.
	}
}

func (l *Linker) prepare(ctx context.Context, in *Input, types goobj.Types, path string, j *joined) error {
	file, err := in.Compile(ctx, path)
	if err != nil {
		return err
	}
	if j.unit, err = readUnit(path, file); err != nil {
		return err
	}
	// Rewriting changes objects, and the closure reads them as they were.
	again, err := readUnit(path, file)
	if err != nil {
		return err
	}
	if in.HostHas(path) { // with the C part as a whole
		j.unit.dropForeign()
		again.dropForeign()
	}
	if err := l.leave(in, j.unit, types); err != nil {
		return err
	}
	export, err := l.exports.read(path, in.Exports[path])
	if err != nil {
		return err
	}
	w := &goobj.Rewriter{
		Indexed:  func(path string, i uint32) (goobj.Definition, error) { return l.definition(in, path, i) },
		External: func(s *goobj.Symbol) bool { return j.unit.external[nameABI{s.Name, s.ABI}] },
	}
	// Compiled with -linkshared, the package's export data has other symbol
	// positions in it and so another hash. It is the same package: what counts
	// is the hash that the host's build has.
	j.data, err = again.rewrite(w, types, l.fingerprints(in), export.fingerprint)
	return err
}

// fingerprints gives the hashes of packages as the host's build has them.
func (l *Linker) fingerprints(in *Input) func(path string) ([8]byte, bool) {
	return func(path string) ([8]byte, bool) {
		if h, ok := in.Hashes[path]; ok {
			return h, true
		}
		file := in.Exports[path]
		if file == "" || strings.Contains(path, in.Old) {
			return [8]byte{}, false
		}
		e, err := l.exports.read(path, file)
		if err != nil {
			return [8]byte{}, false
		}
		return e.fingerprint, true
	}
}

// tool gives the path of a program of the toolchain.
func (l *Linker) tool(name string) string { return filepath.Join(l.cfg.ToolDir, name) }

func describe(argv []string, out []byte, err error) error {
	return fmt.Errorf("%s: %w\n%s", filepath.Base(argv[0]), err, strings.TrimSpace(string(out)))
}
