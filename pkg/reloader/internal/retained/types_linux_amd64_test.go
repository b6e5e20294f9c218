//go:build cgo

package retained

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/typename"
)

// TestTypesAreThoseThatTheLinkerNames compares what is taken for a type with the symbols
// that the linker has given the descriptions of types.
func TestTypesAreThoseThatTheLinkerNames(t *testing.T) {
	p, err := findProgram()
	if err != nil {
		t.Fatal(err)
	}
	symbols, bias := map[uintptr]string{}, uintptr(0)
	err = abi.EachDynamicSymbolOf("/proc/self/exe", func(s abi.DynamicSymbol) {
		name := string(s.Name)
		if strings.HasSuffix(name, "/retained.anchor") {
			bias = uintptr(unsafe.Pointer(&anchor)) - uintptr(s.Value)
		}
		// What begins with a dot are names, hash functions and the like (cmd/link, typeSymbolMangle).
		if strings.HasPrefix(name, "type:") && !strings.HasPrefix(name, "type:.") && s.Defined {
			symbols[uintptr(s.Value)] = name
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	m := p.newMeaning(nil, nil)
	known := 0
	for addr := m.modules[0].types; addr < m.modules[0].etypes; addr++ {
		typ := m.typ(addr)
		name, named := symbols[addr-bias]
		switch {
		case typ != nil && (!named || typ.Kind() == reflect.Interface):
			t.Errorf("%#x is taken for %v", addr, typ)
		case typ != nil:
			known++
			typename.Of(typ) // which has reflect read all that there is
		case named:
			// The insides of maps are not listed, nor are pointer types that have a name.
			if typ := typeAt(addr); typ.Name() != "" && typ.Kind() != reflect.Pointer && typ.Kind() != reflect.Interface {
				t.Errorf("%s, %v, is not known", name, typ)
			}
		}
	}
	if known < 1000 {
		t.Errorf("%d types are known", known)
	}
	for itab, typ := range m.itabs {
		if m.moduleOf(typ) != nil && m.typ(typ) == nil {
			t.Errorf("the type of itab %#x is not known", itab)
		}
	}
}
