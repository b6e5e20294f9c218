package thin

import (
	"crypto/sha256"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// # What a joined package leaves to the host
//
// A package joins because the host lacks some of its symbols; the others the
// host has, and there must be no second variable and need be no second
// function. But a type descriptor refers to its methods and to related types by
// offsets, which cannot lead out of the artifact. So what a descriptor that
// stays refers to in that way stays too.

// leave decides, for every definition of a unit, whether it is left to the
// host.
func (l *Linker) leave(in *Input, u *unit, types goobj.Types) error {
	u.external = map[nameABI]bool{}
	for k, d := range u.defs {
		if k.name == "runtime.addmoduledata" {
			u.external[k] = true // every artifact brings its own, see loader.go
			continue
		}
		if ownType(d.symbol) || funcdiff.JumpTable(k.name) {
			continue // the host's table leads into the host's function
		}
		_, ok, err := l.hostSymbol(in, k)
		if err != nil {
			return err
		}
		if ok {
			u.external[k] = true
		}
	}
	u.keepOffsets(types, nil)
	return nil
}

// keepOffsets makes stay what descriptors that stay refer to by offsets, except
// for what has a place of its own beside the host's.
func (u *unit) keepOffsets(types goobj.Types, except map[nameABI]bool) {
	for k, d := range u.defs {
		if u.external[k] || !strings.HasPrefix(k.name, "type:") {
			continue
		}
		for _, r := range d.symbol.Relocs {
			if !within(types, r.Type) {
				continue
			}
			if s := d.object.Symbol(r.Sym); s != nil && !except[nameABI{s.Name, s.ABI}] {
				delete(u.external, nameABI{s.Name, s.ABI})
			}
		}
	}
}

// within reports whether relocations of a type are offsets, which cannot lead
// out of the artifact.
func within(types goobj.Types, relocType uint16) bool {
	return relocType == types.MethodOff || relocType == types.AddrOff
}

// ownType reports whether a symbol is a type descriptor that every object has
// that needs it. Such a one stays even where the host has it too: other
// descriptors refer to it by an offset. The dynamic linker makes pointers to it
// point to the host's.
func ownType(s *goobj.Symbol) bool {
	return strings.HasPrefix(s.Name, "type:") && s.Flag&goobj.FlagDupOK != 0
}

// straighten makes an object fit others that were compiled in another way, and
// a link in which parts are the host's.
//
//   - Interface tables are the same whenever their content is
//     (cmd/compile/internal/reflectdata, writeITab), and content counts
//     references by position or by name as different things. With the name in
//     place of the content there is one table for each name.
//   - A type descriptor may say where the descriptor of the pointer to it is, if
//     that is in the program anyway (internal/abi, Type.PtrToThis). The host's
//     is out of reach of an offset; the runtime finds it without.
func straighten(o *goobj.Object, types goobj.Types) {
	for i := range o.Hashed {
		if s := &o.Hashed[i]; strings.HasPrefix(s.Name, "go:itab.") {
			h := sha256.Sum256([]byte(s.Name))
			s.Hash = h[:len(s.Hash)]
		}
	}
	for _, table := range [][]goobj.Symbol{o.Defs, o.Hashed, o.NonPkgDefs} {
		for i := range table {
			s := &table[i]
			if !strings.HasPrefix(s.Name, "type:") {
				continue
			}
			var kept []goobj.Reloc
			for n, r := range s.Relocs {
				if r.Type != types.AddrOff|goobj.RelocWeak {
					if kept != nil {
						kept = append(kept, r)
					}
					continue
				}
				if kept == nil {
					kept = append(make([]goobj.Reloc, 0, len(s.Relocs)), s.Relocs[:n]...)
				}
			}
			if kept != nil {
				s.Relocs = kept
			}
		}
	}
}

// withoutCgo takes out what a package's object tells the linker about its C
// part (cmd/link/internal/ld/go.go, Go 1.26 and 1.27: ldpkg). Without it the
// names of C are ordinary ones.
func withoutCgo(head string) string {
	start := strings.Index(head, "\n$$  // cgo")
	if start < 0 {
		return head
	}
	end := strings.Index(head[start+3:], "\n$$")
	if end < 0 {
		return head
	}
	rest := head[start+3+end+1:] // from "$$", which ends the section
	if i := strings.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[i:]
	}
	return head[:start] + rest
}
