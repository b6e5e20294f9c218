package thin

import (
	"fmt"
	"os"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// exports knows the packages of the host's own build, as the go command keeps
// them: what positions in their objects are called. It may be used
// concurrently.
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
	// Positions in others' references are positions in the compiler's object.
	compiled := a.Compiled()
	if compiled == nil {
		return fmt.Errorf("%s has no Go object", file)
	}
	if x.defs, err = goobj.Definitions(compiled); err != nil {
		return err
	}
	x.fingerprint, err = goobj.Fingerprint(compiled)
	return err
}
