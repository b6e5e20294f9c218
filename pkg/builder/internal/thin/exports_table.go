package thin

import (
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// keepExport leaves one entry in the table of what a main package exports to
// plugin.Lookup.
//
// The compiler lists every exported function and variable of a main package
// that is compiled for a plugin (cmd/compile/internal/reflectdata/reflect.go,
// Go 1.26 and 1.27: WritePluginTable): in go:plugin.tabs a pair of offsets
// each, to the name and the type, and in go:plugin.exports, in the same order,
// a pointer each, which keeps the symbol in the program. Offsets cannot lead out
// of the artifact, but the types of variables may be the host's alone; and
// hotgo looks up one function only.
func keepExport(objects []*goobj.Object, symbol string) error {
	for _, o := range objects {
		var tabs, exports *goobj.Symbol
		for _, table := range [][]goobj.Symbol{o.Defs, o.NonPkgDefs} {
			for i := range table {
				switch table[i].Name {
				case "go:plugin.tabs":
					tabs = &table[i]
				case "go:plugin.exports":
					exports = &table[i]
				}
			}
		}
		if tabs == nil || exports == nil {
			continue
		}
		for n, r := range exports.Relocs {
			s := o.Symbol(r.Sym)
			if s == nil || !strings.HasSuffix(s.Name, "."+symbol) {
				continue
			}
			if len(tabs.Relocs) != 2*len(exports.Relocs) || len(tabs.Data) < 8*(n+1) || len(exports.Data) < 8*(n+1) {
				return unfit("the table of exported symbols is not as expected")
			}
			exports.Relocs = exports.Relocs[n : n+1 : n+1]
			exports.Relocs[0].Off = 0
			exports.Data, exports.Size = exports.Data[:8], 8
			pair := tabs.Relocs[2*n : 2*n+2 : 2*n+2]
			pair[0].Off, pair[1].Off = 0, 4
			tabs.Relocs = pair
			tabs.Data, tabs.Size = tabs.Data[:8], 8
			return nil
		}
	}
	return unfit("the main package does not export %s", symbol)
}
