package thin

import (
	"os"
	"runtime"
	"sync"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// # Functions under other packages' names
//
// With a linkname directive a package defines what belongs, by its name, to
// another: reflect.typehash is the runtime's. Only the objects tell, so those
// of all packages are read, the first time that a name is missing.

// pushed is the names of other packages that a package defines.
type pushed struct {
	once  sync.Once
	err   error
	names map[nameABI]bool
}

// pusher gives the package that defines a name of another, "" where none does.
func (l *Linker) pusher(in *Input, k nameABI) (string, error) {
	type answer struct {
		path string
		err  error
	}
	answers := make(chan answer, len(in.Exports))
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	for path, file := range in.Exports {
		go func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			p, err := l.pushedBy(path, file)
			if err != nil || !p.names[k] {
				path = ""
			}
			answers <- answer{path, err}
		}()
	}
	var found string
	var failed error
	for range in.Exports {
		a := <-answers
		if a.err != nil {
			failed = a.err
		}
		// Which of several is no question: a program has one.
		if a.path != "" && (found == "" || a.path < found) {
			found = a.path
		}
	}
	if found != "" {
		return found, nil
	}
	return "", failed
}

func (l *Linker) pushedBy(path, file string) (*pushed, error) {
	l.mu.Lock()
	p := l.pushed[file]
	if p == nil {
		p = new(pushed)
		l.pushed[file] = p
	}
	l.mu.Unlock()
	p.once.Do(func() { p.err = p.read(path, file) })
	if p.err != nil {
		return nil, unfit("the object of %s: %w", path, p.err)
	}
	return p, nil
}

func (p *pushed) read(path, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	a, err := goobj.ReadArchive(data)
	if err != nil {
		return err
	}
	for _, i := range a.Objects() {
		o, err := goobj.Parse(a.Members[i].Data)
		if err != nil {
			return err
		}
		for _, s := range o.NonPkgDefs {
			if s.Name == "" || s.ABI == goobj.ABIStatic || s.Flag&goobj.FlagDupOK != 0 {
				continue
			}
			if owner := packageOf(s.Name); owner != "" && owner != path {
				if p.names == nil {
					p.names = map[nameABI]bool{}
				}
				p.names[nameABI{s.Name, s.ABI}] = true
			}
		}
	}
	return nil
}
