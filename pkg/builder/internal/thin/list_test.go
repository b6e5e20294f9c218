package thin

import (
	"encoding/binary"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

func TestNamesOfListedPackages(t *testing.T) {
	in := &Input{Patched: []Patched{{Path: "example.com/shop/v1.2", Listed: "x"}, {Path: "example.com/other"}}}
	for name, want := range map[string]bool{
		"type:example.com/shop/v1%2e2.T":                      true,
		"type:*example.com/shop/v1%2e2.T":                     true,
		"type:map[string]*example.com/shop/v1%2e2.T":          true,
		"type:func(int, example.com/shop/v1%2e2.T)":           true,
		"type:sync/atomic.Pointer[example.com/shop/v1%2e2.T]": true,
		"example.com/shop/v1%2e2.(*T).M":                      true,
		"type:example.com/shop/v1%2e2/below.T":                false,
		"type:my.example.com/shop/v1%2e2.T":                   true, // a dot may end a path; too much is listed alone
		"type:xexample.com/shop/v1%2e2.T":                     false,
		"type:example.com/other.T":                            false,
		"type:map[string]int":                                 false,
	} {
		if got := in.ofListed(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// descriptor is a type with methods, as far as its own part goes: 8 bytes of
// something, and where the methods are.
func descriptor(methods int, types goobj.Types) definition {
	const at = 8
	data := make([]byte, at+16+16*methods)
	binary.LittleEndian.PutUint16(data[at+4:], uint16(methods))
	binary.LittleEndian.PutUint16(data[at+6:], uint16(methods-1))
	binary.LittleEndian.PutUint32(data[at+8:], 16)
	s := &goobj.Symbol{Name: "type:p.T", Data: data, Relocs: []goobj.Reloc{{Off: at, Size: 4, Type: types.AddrOff}}}
	for m := range methods {
		off := int32(at + 16 + 16*m)
		s.Relocs = append(s.Relocs, goobj.Reloc{Off: off, Size: 4, Type: types.AddrOff})
		for i := range int32(3) {
			s.Relocs = append(s.Relocs, goobj.Reloc{Off: off + 4 + 4*i, Size: 4, Type: types.MethodOff})
		}
	}
	return definition{nil, s}
}

func TestListedTypesHaveNoMethods(t *testing.T) {
	types, _ := goobj.RelocTypes("go1.26.8")
	d := descriptor(3, types)
	before := d.symbol.Data
	if err := withoutMethods(d, types); err != nil {
		t.Fatal(err)
	}
	if n := binary.LittleEndian.Uint32(d.symbol.Data[12:]); n != 0 || len(d.symbol.Relocs) != 4 || before[12] != 3 {
		t.Errorf("it has %d methods and %d relocations; what was read has %d", n, len(d.symbol.Relocs), before[12])
	}
	if err := withoutMethods(d, types); err != nil || len(d.symbol.Relocs) != 4 {
		t.Error("a type without methods is changed", err)
	}
	for name, spoil := range map[string]func(s *goobj.Symbol){
		"a number that is not that of the relocations": func(s *goobj.Symbol) { s.Data[12] = 2 },
		"two places": func(s *goobj.Symbol) {
			binary.LittleEndian.PutUint16(s.Data[4:], 3)
			binary.LittleEndian.PutUint32(s.Data[8:], 24)
			copy(s.Data[12:], []byte{3, 0, 2, 0, 16})
		},
	} {
		d := descriptor(3, types)
		spoil(d.symbol)
		if err := withoutMethods(d, types); err == nil {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}
