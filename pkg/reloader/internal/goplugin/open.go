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
