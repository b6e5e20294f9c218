package builder

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// # The resident compiler
//
// The go command takes longer to find out that nothing but one file changed
// than the compiler takes to compile it. So a builder that lives on has the go
// command say once how it compiles each private package (record.go), and after
// an edit of file contents runs those commands itself. Everything else - other
// imports, files, modules, tags, embedded files, C, assembly - is the go
// command's again; the epoch of the resident graph tells.
//
// An importer is compiled again when the export data of what it imports has
// changed, as the go command does it, and packages that do not import each
// other are compiled at the same time.

// compiler compiles the private packages of one plugin for one host.
type compiler struct {
	turn sync.Mutex // builds take turns
	dir  string     // its own directory; "" until it is needed

	known    bool     // what follows is valid
	shape    string   // what the commands depend on beside file contents
	listed   []string // and the generated main package
	packages []*compiled
	exports  map[string]string
	seq      int // of archives
}

// compiled is a private package as it was compiled last.
type compiled struct {
	path        string // import path under the constant identity
	deps        []int  // positions of private packages that it imports
	main        bool   // the generated main package, which never changes
	unit        *source.Unit
	inputs      [32]byte // of its own files
	placed      [32]byte // of the files that lie ready for the compiler
	used        [32]byte // of the export data of deps
	archive     string
	stale       string   // the archive before, which a link may still read
	fingerprint [8]byte  // of its export data
	command     *command // nil where the go command has to do it
}

// compilerFor gives the compiler of a plan's plugin and host.
func (b *Builder) compilerFor(p *Plan) *compiler {
	key := p.Host.Binary + "\x00" + p.Plugin.ImportPath
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.residentCompilers[key]
	if c == nil {
		c = new(compiler)
		b.residentCompilers[key] = c
	}
	return c
}

// compile compiles the private packages of a run's plan.
func (b *Builder) compile(ctx context.Context, r *run) (*compiledPackages, error) {
	if !b.opts.Resident {
		return r.askGo(ctx, r.dir, nil)
	}
	c := b.compilerFor(r.plan)
	c.turn.Lock()
	defer c.turn.Unlock()
	if err := c.place(b, r.plan); err != nil {
		return nil, err
	}
	if c.known && c.shape == compileShape(r.plan) && slices.Equal(c.listed, r.listed) {
		files, err := c.direct(ctx, r)
		if !errors.Is(err, errAskGo) {
			return files, err
		}
		b.log.Debug("ask the go command to compile", "plugin", r.plan.Plugin.Name, "because", err)
	}
	return c.record(ctx, r)
}

// place gives the compiler its directory.
func (c *compiler) place(b *Builder, p *Plan) error {
	if c.dir != "" {
		return nil
	}
	dir, cleanup, err := b.store.Temp(p.Plugin.Name)
	if err == nil {
		c.dir = dir
		b.onClose(cleanup)
	}
	return err
}

// Prime has a resident builder find out how a plan's plugin is compiled and what
// it needs that the host lacks, before there is anything to build, so that the
// first edit is as fast as the next. What it links is thrown away.
// It does nothing for other builders and for plans that are linked in full. A
// build of the plugin waits for it.
//
// Errors: those of Build. They may be ignored: Build
// comes upon them again.
func (b *Builder) Prime(ctx context.Context, p *Plan) error {
	if !b.opts.Resident || p.Link != "thin" {
		return nil
	}
	c := b.compilerFor(p)
	c.turn.Lock()
	known := c.known && c.shape == compileShape(p)
	c.turn.Unlock()
	if known {
		return nil
	}
	dir, cleanup, err := b.store.Temp(p.Plugin.Name)
	if err != nil {
		return err
	}
	defer cleanup()
	// Linking finds out what joins, and has it compiled.
	r := &run{b: b, plan: p, dir: dir, out: filepath.Join(dir, "plugin.so")}
	return r.thin(ctx)
}

// errAskGo says that the recorded commands do not do.
var errAskGo = errors.New("the go command is needed")

// compileShape is what the commands depend on, as a text.
func compileShape(p *Plan) string {
	return fmt.Sprintf("%d %q %q %q %s", p.epoch, p.Private, p.settings.flags, p.settings.env, p.host.BuildID)
}

// inputsOf hashes the files of a private package, and what is generated.
func inputsOf(u *source.Unit) [32]byte {
	h := sha256.New()
	for _, f := range u.Files {
		fmt.Fprintf(h, "%s %x\n", f.Name, f.Raw)
	}
	return [32]byte(h.Sum(nil))
}

// direct compiles what changed with the recorded commands.
func (c *compiler) direct(ctx context.Context, r *run) (*compiledPackages, error) {
	units := map[string]*source.Unit{}
	id := r.b.thinIdentity(r.plan)
	for _, u := range r.plan.private {
		units[id.Fresh(u.Package.ImportPath)] = u
	}
	tree := source.NewTree(filepath.Join(c.dir, treeDir))
	changed := make([]bool, len(c.packages))
	for i, p := range c.packages {
		if p.main {
			continue
		}
		u := units[p.path]
		if u == nil {
			return nil, fmt.Errorf("%w: %s is new", errAskGo, p.path)
		}
		inputs := inputsOf(u)
		changed[i] = inputs != p.inputs
		if changed[i] && (p.command == nil || !sameOthers(u, p.unit)) {
			return nil, fmt.Errorf("%w: %s has more than Go files", errAskGo, p.path)
		}
		if inputs == p.placed || p.command == nil {
			continue
		}
		p.placed = [32]byte{} // until all of it lies there
		if err := r.place(tree, id, u); err != nil {
			return nil, err
		}
		p.placed = inputs
	}
	if err := c.schedule(ctx, r, units, changed); err != nil {
		return nil, err
	}
	return c.result(), nil
}

// sameOthers reports whether no file but Go files differ.
func sameOthers(a, b *source.Unit) bool {
	others := func(u *source.Unit) (fs []source.File) {
		for _, f := range u.Files {
			if !slices.Contains(u.Package.GoFiles, f.Name) {
				fs = append(fs, f)
			}
		}
		return fs
	}
	return slices.EqualFunc(others(a), others(b), func(x, y source.File) bool { return x.Name == y.Name && x.Raw == y.Raw })
}

// schedule compiles the packages that changed and the importers that need it.
func (c *compiler) schedule(ctx context.Context, r *run, units map[string]*source.Unit, changed []bool) error {
	done := make([]chan struct{}, len(c.packages))
	errs := make([]error, len(c.packages))
	for i := range done {
		done[i] = make(chan struct{})
	}
	slots := make(chan struct{}, max(2, runtime.NumCPU()))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for i, p := range c.packages {
		c.seq++
		archive := filepath.Join(c.dir, fmt.Sprintf("o%d.a", c.seq))
		go func() {
			defer close(done[i])
			for _, d := range p.deps {
				if <-done[d]; errs[d] != nil {
					errs[i] = errSkipped
					return
				}
			}
			used := c.used(p)
			if p.main || !changed[i] && used == p.used {
				return
			}
			if p.command == nil {
				errs[i] = fmt.Errorf("%w: %s has more than Go files", errAskGo, p.path)
				return
			}
			slots <- struct{}{}
			defer func() { <-slots }()
			fingerprint, err := c.run(ctx, r, p, archive)
			if err != nil {
				errs[i] = err
				return
			}
			if filepath.Dir(p.stale) == c.dir { // the first is the go command's, in its cache
				os.Remove(p.stale)
			}
			p.stale, p.archive, p.fingerprint, p.used = p.archive, archive, fingerprint, used
			if u := units[p.path]; u != nil {
				p.unit, p.inputs = u, inputsOf(u)
			}
		}()
	}
	for _, d := range done {
		<-d
	}
	return c.verdict(r, errs)
}

// errSkipped marks a package that was not compiled because one that it imports
// was not.
var errSkipped = errors.New("not compiled")

// used hashes the export data that a package is compiled against, as far as it
// can change.
func (c *compiler) used(p *compiled) [32]byte {
	h := sha256.New()
	for _, d := range p.deps {
		fmt.Fprintf(h, "%x\n", c.packages[d].fingerprint)
	}
	return [32]byte(h.Sum(nil))
}

// verdict makes one error of what the packages' compilers said, in the order
// of the packages.
func (c *compiler) verdict(r *run, errs []error) error {
	var text strings.Builder
	var exit error
	for i, err := range errs {
		var e *gotool.ExitError
		switch {
		case err == nil, errors.Is(err, errSkipped):
		case errors.As(err, &e):
			fmt.Fprintf(&text, "# %s\n%s\n", c.packages[i].path, strings.TrimRight(e.Stderr, "\n"))
			exit = e
		default:
			return err
		}
	}
	if exit == nil {
		return nil
	}
	return r.buildError(&gotool.Output{Other: text.String()}, exit)
}

// run runs the compiler for one package. It gives the hash of its export data.
func (c *compiler) run(ctx context.Context, r *run, p *compiled, archive string) (fingerprint [8]byte, err error) {
	config := archive + ".cfg"
	if err := os.WriteFile(config, c.importcfg(p), 0o600); err != nil {
		return fingerprint, err
	}
	defer os.Remove(config)
	argv := p.command.with(archive, config)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = p.command.dir
	cmd.Env = append(slices.Clone(r.b.tool.With(r.plan.settings.env...).Env), "PWD="+p.command.dir)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return fingerprint, context.Cause(ctx)
	}
	if err != nil {
		// The go command's cache is trimmed of what was not used for days,
		// and the commands name files in it.
		for _, line := range p.command.imports {
			if _, file, ok := strings.Cut(line, "="); ok {
				if _, err := os.Stat(file); err != nil {
					return fingerprint, fmt.Errorf("%w: %s is gone", errAskGo, file)
				}
			}
		}
		return fingerprint, &gotool.ExitError{Args: []string{"tool", "compile"}, Stderr: string(out), Err: err}
	}
	return readFingerprint(archive)
}

// importcfg writes the compiler's import configuration anew: archives of
// private packages have other names each time.
func (c *compiler) importcfg(p *compiled) []byte {
	var b bytes.Buffer
	for _, line := range p.command.imports {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	for _, d := range p.deps {
		fmt.Fprintf(&b, "packagefile %s=%s\n", c.packages[d].path, c.packages[d].archive)
	}
	return b.Bytes()
}

func (c *compiler) result() *compiledPackages {
	out := &compiledPackages{files: map[string]string{}, exports: c.exports}
	for _, p := range c.packages {
		out.order = append(out.order, p.path)
		out.files[p.path] = p.archive
	}
	return out
}

// readFingerprint reads the hash of export data from an archive.
func readFingerprint(archive string) (fingerprint [8]byte, err error) {
	compiled, err := readCompiled(archive)
	if err != nil {
		return fingerprint, err
	}
	return goobj.Fingerprint(compiled)
}

// readCompiled reads the compiler's object from an archive.
func readCompiled(archive string) ([]byte, error) {
	data, err := os.ReadFile(archive)
	if err != nil {
		return nil, err
	}
	a, err := goobj.ReadArchive(data)
	if err != nil {
		return nil, err
	}
	compiled := a.Compiled()
	if compiled == nil {
		return nil, fmt.Errorf("%s has no Go object", archive)
	}
	return compiled, nil
}

// unique gives a text that no other process has used.
func unique() string { return strings.ToLower(rand.Text()[:12]) }
