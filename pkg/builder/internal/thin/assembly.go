package thin

import (
	"debug/elf"
	"errors"
	"io"
	"maps"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// # Which ABI a function of the host has
//
// The dynamic symbol table does not tell. Where a function exists for both, the
// one for ABI0 is called name.abi0; where it exists for one, it has the plain
// name (cmd/link/internal/ld/symtab.go, Go 1.26 and 1.27: mangleABIName). A call
// with the wrong convention would destroy registers and stack, so a guess will
// not do: what the compiler made has the internal ABI, and what assembly defines
// with ABI0, the objects of the host's build say, under whatever package's name
// it is.

// assembly is the functions that assembly defines with ABI0 in a set of
// packages.
type assembly struct {
	exports map[string]string
	names   map[string]bool
}

// assemblyOf reads the assembly objects of all packages, once for a set.
func (l *Linker) assemblyOf(in *Input) (map[string]bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.assembly != nil && maps.Equal(l.assembly.exports, in.Exports) {
		return l.assembly.names, nil
	}
	type part struct {
		names []string
		err   error
	}
	parts := make(chan part, len(in.Exports))
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	for path, file := range in.Exports {
		go func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			names, err := assembledIn(file)
			if err != nil {
				err = unfit("the objects of %s: %w", path, err)
			}
			parts <- part{names, err}
		}()
	}
	a := &assembly{exports: in.Exports, names: map[string]bool{}}
	var failed error
	for range in.Exports {
		p := <-parts
		for _, name := range p.names {
			a.names[name] = true
		}
		if p.err != nil {
			failed = p.err
		}
	}
	if failed != nil {
		return nil, failed
	}
	l.assembly = a
	return a.names, nil
}

// assemblyOfBase is assemblyOf for the package that a name belongs to, where the
// artifact that is patched brought it; others are the host's.
func (l *Linker) assemblyOfBase(in *Input, name string, hosts map[string]bool) (map[string]bool, error) {
	file := in.Compiled[packageOf(name)]
	if file == "" {
		return hosts, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded[file] == nil {
		names, err := assembledIn(file)
		if err != nil {
			return nil, unfit("the objects of %s: %w", packageOf(name), err)
		}
		l.loaded[file] = map[string]bool{}
		for _, name := range names {
			l.loaded[file][name] = true
		}
	}
	return l.loaded[file], nil
}

// assembledIn gives what the assembly objects of an archive define with ABI0.
// Of other members it reads the header alone: all of a program's archives are
// many megabytes, and the assembly in them is little.
func assembledIn(file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var names []string
	const magic, header = 8, 60
	head := make([]byte, header)
	for at := int64(magic); ; {
		if _, err := f.ReadAt(head, at); errors.Is(err, io.EOF) {
			return names, nil
		} else if err != nil {
			return nil, err
		}
		name := strings.TrimSpace(string(head[:16]))
		size, err := strconv.ParseInt(strings.TrimSpace(string(head[48:58])), 10, 64)
		if err != nil || size < 0 {
			return nil, errors.New("not an archive of Go objects")
		}
		// The compiler's object has this name whatever else is in the
		// archive (cmd/compile/internal/gc/obj.go).
		if name != goobj.PkgDef && name != "_go_.o" {
			data := make([]byte, min(size, maxAssembly))
			if _, err := f.ReadAt(data, at+header); err != nil {
				return nil, err
			}
			if goobj.IsObject(data) {
				o, err := goobj.Parse(data)
				if err != nil {
					return nil, err
				}
				for _, s := range o.NonPkgDefs {
					if s.IsText() && s.ABI == goobj.ABI0 {
						names = append(names, s.Name)
					}
				}
			}
		}
		at += header + size + size%2
	}
}

// maxAssembly bounds an assembly object. The largest of the standard library
// has less than a megabyte.
const maxAssembly = 64 << 20

// hostSymbol finds the host's symbol of a name and an ABI.
func (l *Linker) hostSymbol(in *Input, k nameABI) (symbol, bool, error) {
	name := mangle(k.name)
	image := l.image(in)
	plain, ok := image.find(name)
	suffixed, hasABI0 := image.find(name + ".abi0")
	switch {
	case k.abi == goobj.ABI0 && hasABI0:
		return suffixed, true, nil
	case !ok:
		return symbol{}, false, nil
	case elf.ST_TYPE(plain.info) != elf.STT_FUNC:
		return plain, k.abi == goobj.ABI0, nil
	case hasABI0, strings.HasPrefix(name, "type:"):
		return plain, k.abi == goobj.ABIInternal, nil
	case !strings.ContainsAny(name, ".:"): // a function of C
		return plain, k.abi == goobj.ABI0, nil
	}
	assembled, err := l.assemblyOf(in)
	if err == nil && in.Base != nil {
		assembled, err = l.assemblyOfBase(in, k.name, assembled)
	}
	if err != nil {
		return symbol{}, false, err
	}
	return plain, assembled[k.name] == (k.abi == goobj.ABI0), nil
}
