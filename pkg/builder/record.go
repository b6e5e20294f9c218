package builder

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// command is how the go command compiled a package.
type command struct {
	argv    []string // with the tool first
	dir     string
	imports []string // lines of the import configuration that stay the same
}

// with gives the arguments for another output and import configuration.
func (c *command) with(archive, config string) []string {
	argv := slices.Clone(c.argv)
	for i := 0; i+1 < len(argv); i++ {
		switch argv[i] {
		case "-o":
			argv[i+1] = archive
		case "-importcfg":
			argv[i+1] = config
		}
	}
	return argv
}

const (
	treeDir   = "src"  // the private packages' files, of the last build
	recordDir = "rec"  // what the recorder wrote
	workDir   = "work" // of the go command
)

// recorder is run by the go command in place of its tools (go help build:
// -toolexec). It notes directory and arguments and becomes the tool.
const recorder = `printf '%s\0' "$PWD" "$@" >"$HOTGO_RECORD/$$"
exec "$@"
`

// record has the go command compile everything and keeps how it did.
func (c *compiler) record(ctx context.Context, r *run) (*compiledPackages, error) {
	c.known = false
	for _, d := range []string{treeDir, recordDir, workDir} {
		if err := os.RemoveAll(filepath.Join(c.dir, d)); err != nil {
			return nil, err
		}
		if err := os.Mkdir(filepath.Join(c.dir, d), 0o700); err != nil {
			return nil, err
		}
	}
	out, err := r.askGo(ctx, filepath.Join(c.dir, treeDir), c)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(filepath.Join(c.dir, workDir))
	commands, err := c.recording().commands(isThinPath)
	if err != nil {
		return nil, err
	}
	return out, c.learn(r, out, commands)
}

// learn takes over what was compiled, and how.
func (c *compiler) learn(r *run, out *compiledPackages, commands map[string]*command) error {
	p := r.plan
	id := r.b.thinIdentity(p)
	units := map[string]*source.Unit{}
	for _, u := range p.private {
		units[id.Fresh(u.Package.ImportPath)] = u
	}
	c.packages, c.exports = nil, out.exports
	at := map[string]int{}
	for _, path := range out.order {
		x := &compiled{path: path, archive: out.files[path], command: commands[path], unit: units[path]}
		var err error
		if x.fingerprint, err = readFingerprint(x.archive); err != nil {
			return err
		}
		if x.unit == nil {
			x.main = true
		} else {
			x.inputs = inputsOf(x.unit)
			x.placed = x.inputs
			if len(x.unit.Package.Foreign()) > 0 {
				x.command = nil
			}
			for _, imp := range x.unit.Package.Imports {
				if i, ok := at[id.Fresh(x.unit.Package.Resolve(imp))]; ok {
					x.deps = append(x.deps, i)
				}
			}
		}
		if x.command != nil {
			x.command.settle(out)
		}
		at[path] = len(c.packages)
		c.packages = append(c.packages, x)
		x.used = c.used(x)
	}
	c.known, c.shape, c.listed = true, compileShape(p), r.listed
	return nil
}

// settle makes a command's imports lasting: packages that were compiled in the
// same run are named by where the go command keeps them.
func (c *command) settle(out *compiledPackages) {
	var lasting []string
	for _, line := range c.imports {
		rest, ok := strings.CutPrefix(line, "packagefile ")
		if !ok {
			lasting = append(lasting, line)
			continue
		}
		path, _, _ := strings.Cut(rest, "=")
		if file := out.exports[path]; file != "" {
			lasting = append(lasting, "packagefile "+path+"="+file)
		}
	}
	c.imports = lasting
}

// recording is a directory that a go command wrote into with the recorder.
type recording struct {
	dir string
	seq *int // of kept files
}

func (c *compiler) recording() *recording { return &recording{c.dir, &c.seq} }

// isThinPath tells the packages that the compiler of thin artifacts compiles.
func isThinPath(path string) bool {
	return strings.HasSuffix(path, "/"+thinElement) || strings.HasSuffix(path, "/"+thinElement+"/main")
}

// commands reads what the recorder wrote: by import path, the commands of the
// compiler for wanted packages.
func (r *recording) commands(wanted func(path string) bool) (map[string]*command, error) {
	dir := filepath.Join(r.dir, recordDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := map[string]*command{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		fields := strings.Split(strings.TrimSuffix(string(data), "\x00"), "\x00")
		if len(fields) < 3 || filepath.Base(fields[1]) != "compile" {
			continue
		}
		if path, cmd := r.command(fields[0], fields[1:]); cmd != nil && wanted(path) {
			found[path] = cmd
		}
	}
	return found, nil
}

// command makes a command repeatable. It gives nil for one that is not: that of
// a package with cgo, or one that names files that are gone by then.
func (r *recording) command(dir string, argv []string) (path string, cmd *command) {
	cmd = &command{dir: dir}
	work := filepath.Join(r.dir, workDir)
	for i := 0; i < len(argv); i++ {
		arg := argv[i]
		value := func() string {
			if i+1 < len(argv) {
				return argv[i+1]
			}
			return ""
		}
		switch {
		case arg == "-p":
			path = value()
		case strings.HasPrefix(arg, "-p="):
			path = arg[len("-p="):]
		case strings.HasPrefix(arg, "-D="):
			continue // made the command one that was not in the cache
		case arg == "-o", arg == "-trimpath":
			cmd.argv = append(cmd.argv, arg, value())
			i++
			continue
		case arg == "-importcfg":
			data, err := os.ReadFile(value())
			if err != nil {
				return "", nil
			}
			for line := range strings.Lines(string(data)) {
				cmd.imports = append(cmd.imports, strings.TrimSuffix(line, "\n"))
			}
			cmd.argv = append(cmd.argv, arg, "")
			i++
			continue
		case arg == "-asmhdr": // for the assembler
			i++
			continue
		case arg == "-embedcfg", arg == "-symabis", strings.HasPrefix(arg, "-pgoprofile="):
			file := value()
			if strings.HasPrefix(arg, "-pgoprofile=") {
				file = arg[len("-pgoprofile="):]
			} else {
				i++
			}
			kept, err := r.keep(file)
			if err != nil {
				return "", nil
			}
			if strings.HasPrefix(arg, "-pgoprofile=") {
				cmd.argv = append(cmd.argv, "-pgoprofile="+kept)
			} else {
				cmd.argv = append(cmd.argv, arg, kept)
			}
			continue
		case strings.Contains(arg, work) && !strings.HasPrefix(arg, "-trimpath="):
			return "", nil
		}
		cmd.argv = append(cmd.argv, arg)
	}
	if path == "" || cmd.imports == nil {
		return "", nil
	}
	return path, cmd
}

// keep copies a file of the go command's work directory.
func (r *recording) keep(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	*r.seq++
	kept := filepath.Join(r.dir, fmt.Sprintf("k%d", *r.seq))
	return kept, os.WriteFile(kept, data, 0o600)
}
