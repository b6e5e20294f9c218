package thin

import (
	"fmt"
	"os"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// exports knows the packages of the host's own build, as the go command keeps
// them: what positions in their objects are called, and which of their
// functions are assembly. It may be used concurrently.
type exports struct {
	mu    sync.Mutex
	known map[string]*export // by file: the go command names them by content
}

// export is one package of the host's build.
type export struct {
	once        sync.Once
	err         error
	fingerprint [8]byte
	defs        []goobj.Definition
	assembly    map[string]bool // functions that assembly defines with ABI0
}

func (e *exports) read(path, file string) (*export, error) {
	e.mu.Lock()
	x := e.known[file]
	if x == nil {
		x = new(export)
		e.known[file] = x
	}
	e.mu.Unlock()
	x.once.Do(func() { x.err = x.load(file) })
	if x.err != nil {
		return nil, unfit("the export data of %s: %w", path, x.err)
	}
	return x, nil
}

func (x *export) load(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	a, err := goobj.ReadArchive(data)
	if err != nil {
		return err
	}
	for n, i := range a.Objects() {
		if n == 0 {
			if x.defs, err = goobj.Definitions(a.Members[i].Data); err != nil {
				return err
			}
		}
		// Only the first object is the compiler's, and positions in others'
		// references are positions in it.
		if n == 0 {
			if x.fingerprint, err = goobj.Fingerprint(a.Members[i].Data); err != nil {
				return err
			}
			continue
		}
		o, err := goobj.Parse(a.Members[i].Data)
		if err != nil {
			return err
		}
		for _, s := range o.NonPkgDefs {
			if s.IsText() && s.ABI == goobj.ABI0 {
				if x.assembly == nil {
					x.assembly = map[string]bool{}
				}
				x.assembly[s.Name] = true
			}
		}
	}
	if x.defs == nil && x.fingerprint == [8]byte{} {
		return fmt.Errorf("%s has no Go object", file)
	}
	return nil
}
