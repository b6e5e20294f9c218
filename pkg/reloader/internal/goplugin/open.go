//go:build cgo && (linux || darwin || freebsd)

package goplugin

import (
	"fmt"
	"plugin"
)

// Supported says whether this build of the host can load plugins.
const Supported = true

// Open maps the plugin at path, runs its initialisers on the caller's goroutine
// and gives its entry. It may panic, never return, or end the process: see the
// preflight. path must never have been opened before; the runtime remembers it.
func Open(path string) (Symbols, error) {
	p, err := plugin.Open(path)
	if err != nil {
		return nil, err
	}
	sym, err := p.Lookup(Entry)
	if err != nil {
		return nil, err
	}
	entry, ok := sym.(Symbols)
	if !ok {
		return nil, fmt.Errorf("%s has type %T", Entry, sym)
	}
	return entry, nil
}

// OpenForeign is [Open] for a plugin that hotgo did not build, and so has no
// entry: what it exports is looked up by names. A name that it does not export
// after all is left out.
func OpenForeign(path string, names []string) (Symbols, error) {
	p, err := plugin.Open(path)
	if err != nil {
		return nil, err
	}
	return func(add func(name string, value any)) {
		for _, name := range names {
			if value, err := p.Lookup(name); err == nil {
				add(name, value)
			}
		}
	}, nil
}
