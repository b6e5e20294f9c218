package thin

import (
	"encoding/binary"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// # Packages that are listed
//
// A listed package is in the host, and the artifact has one function of it: the
// generated one that lists the package's variables with their types. The host has
// neither that function nor a descriptor for every type in it; where nothing of the
// host puts a value into an interface or allocates it, there is none.
//
// The descriptors that the host lacks are in the artifact, for the list alone.
// Whoever finds one elsewhere would take it for the type, and that would draw in all
// of the type's methods, with functions and variables that the host was linked
// without, whose initialisers never run. So they have no methods, the runtime does
// not find them by their name (reflect.PointerTo asks it), and no other artifact
// binds to them. A value that has one of these types is in no interface of the
// host, for then the host would have the descriptor.

// leaveListed decides for a listed unit what is left to the host: all that it has.
func (l *Linker) leaveListed(in *Input, u *patchedUnit, types goobj.Types) error {
	u.external = map[nameABI]bool{}
	for k, d := range u.defs {
		if k.name == u.Listed {
			continue
		}
		_, ok, err := l.hostSymbol(in, k)
		if err != nil {
			return err
		}
		if ok {
			u.external[k] = true
			continue
		}
		if d.symbol.Flag&goobj.FlagGoType != 0 && in.ofListed(k.name) {
			if err := withoutMethods(d, types); err != nil {
				return err
			}
			d.symbol.Flag &^= goobj.FlagTypelink
		}
	}
	u.keepOffsets(types, nil)
	return nil
}

// listedAlone reports whether a symbol that a unit does not leave to the host is for
// a list alone.
func (l *Linker) listedAlone(in *Input, u *patchedUnit, name string) bool {
	return u.Listed != "" && in.ofListed(name)
}

// ofListed reports whether a name contains one of a listed package, as those of
// composed types and of instances do.
func (in *Input) ofListed(name string) bool {
	for _, p := range in.Patched {
		if p.Listed != "" && contains(name, symname.Escape(p.Path)+".") {
			return true
		}
	}
	return false
}

// contains finds the prefix of a package's symbols, and not as the end of another.
func contains(name, prefix string) bool {
	for from := 0; ; {
		i := strings.Index(name[from:], prefix)
		if i < 0 {
			return false
		}
		if at := from + i; at == 0 || strings.IndexByte(":[]{}(),;.* ", name[at-1]) >= 0 {
			return true
		}
		from += i + len(prefix)
	}
}

// withoutMethods takes the methods out of a type descriptor. Somewhere in it stand
// the number of methods, that of the exported ones, and how far the first is from
// where that part begins, four bytes before (internal/abi/type.go, Go 1.26 and 1.27:
// UncommonType). Where the first is the relocations tell: of each method the name,
// four bytes, and three more.
func withoutMethods(d definition, types goobj.Types) error {
	s := d.symbol
	first, relocs := -1, 0
	kept := make([]goobj.Reloc, 0, len(s.Relocs))
	for _, r := range s.Relocs {
		if r.Type != types.MethodOff {
			kept = append(kept, r)
			continue
		}
		if relocs++; first < 0 || int(r.Off)-4 < first {
			first = int(r.Off) - 4
		}
	}
	if relocs == 0 {
		return nil
	}
	le, place := binary.LittleEndian, -1
	for at := 0; at+12 <= len(s.Data); at += 4 {
		if 3*int(le.Uint16(s.Data[at+4:])) == relocs && at+int(le.Uint32(s.Data[at+8:])) == first {
			if place >= 0 {
				return unfit("%s may have its methods in two places", s.Name)
			}
			place = at
		}
	}
	if place < 0 {
		return unfit("it is not known where %s has its methods", s.Name)
	}
	s.Data = append([]byte(nil), s.Data...) // it is shared with what was read
	clear(s.Data[place+4 : place+8])
	s.Relocs = kept
	return nil
}
