//go:build cgo

package retained

import (
	"fmt"
	"os"
	"reflect"
	"runtime"
	"testing"
	"unsafe"
)

// newLook gives a look that has read the heap, and has yet to begin.
func newLook(t *testing.T) *look {
	t.Helper()
	p, err := findProgram()
	if err != nil {
		t.Fatal(err)
	}
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	h, err := p.readHeap(mem)
	if err != nil {
		t.Fatal(err)
	}
	return &look{heap: h, meaning: p.newMeaning(nil, h.mapped)}
}

type (
	mixed struct {
		_ string
		_ uintptr
		_ any
		_ []int
		_ [3]uint16
		_ map[int]int
	}
	wide struct { // some hundreds of bytes
		_ [60]int
		_ *int
		_ [9]mixed
		_ [30]int
	}
	// vast has its mask made by the runtime when that first needs it.
	vast struct{ _ [4000]wide }
)

var global = struct {
	_    [5]uintptr
	text string
	_    mixed
	_    uintptr
}{text: "x"}

// pointersIn gives the offsets of all pointers in a value of a type, those of interfaces
// but for their first words.
func pointersIn(t reflect.Type, base uintptr, add func(offset uintptr)) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Chan, reflect.Func, reflect.UnsafePointer, reflect.String, reflect.Slice:
		add(base)
	case reflect.Interface:
		add(base + 8)
	case reflect.Struct:
		for i := range t.NumField() {
			pointersIn(t.Field(i).Type, base+t.Field(i).Offset, add)
		}
	case reflect.Array:
		for i := range t.Len() {
			pointersIn(t.Elem(), base+uintptr(i)*t.Elem().Size(), add)
		}
	}
}

func TestMasksSayWhatThePointersAre(t *testing.T) {
	type value struct {
		name string
		at   unsafe.Pointer
		typ  reflect.Type
	}
	values := []value{{"a variable with a value", unsafe.Pointer(&global), reflect.TypeOf(global)}, {"a variable without", unsafe.Pointer(&kept), reflect.TypeOf(&kept).Elem()}}
	for _, typ := range []reflect.Type{
		reflect.TypeFor[*int](), reflect.TypeFor[any](), reflect.TypeFor[[]int](), reflect.TypeFor[mixed](), reflect.TypeFor[[4]mixed](),
		reflect.TypeFor[wide](), reflect.TypeFor[[11]wide](), reflect.TypeFor[[100]wide](), reflect.TypeFor[vast](),
		reflect.TypeFor[struct {
			_ [70]int
			_ any
		}](),
	} {
		values = append(values, value{fmt.Sprintf("%v, %d bytes", typ, typ.Size()), reflect.New(typ).UnsafePointer(), typ})
		if typ.Size() < 1<<20 {
			// The mask of an array is that of its elements.
			values = append(values, value{fmt.Sprintf("3 of %v", typ), reflect.MakeSlice(reflect.SliceOf(typ), 3, 3).UnsafePointer(), reflect.ArrayOf(3, typ)})
		}
	}
	runtime.GC() // which makes what it needs
	l := newLook(t)
	if err := l.checkMasks(); err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		is := map[uintptr]bool{}
		pointersIn(v.typ, 0, func(offset uintptr) { is[offset] = true })
		m := l.maskOf(uintptr(v.at))
		if m.every {
			t.Errorf("%s: it cannot be told", v.name)
			continue
		}
		for offset := uintptr(0); offset+8 <= v.typ.Size(); offset += 8 {
			if addr := uintptr(v.at) + offset; m.pointer(addr) != is[offset] {
				t.Errorf("%s: word at %d is a pointer: %v", v.name, offset, m.pointer(addr))
				break
			}
		}
		runtime.KeepAlive(v.at)
	}
}

// TestWhatIsBehindAValueIsNoPointer has values in interfaces whose slots have a word
// more, in which an earlier object had a pointer.
func TestWhatIsBehindAValueIsNoPointer(t *testing.T) {
	var before []*[6]*int
	for range 100_000 {
		before = append(before, &[6]*int{5: new(int)})
	}
	runtime.KeepAlive(before)
	runtime.GC()
	runtime.GC()
	type five struct{ words [5]*int }
	var values []any
	for range 100_000 {
		values = append(values, five{[5]*int{new(int)}})
	}
	l := newLook(t)
	left := 0
	for _, v := range values {
		from := (*[2]uintptr)(unsafe.Pointer(&v))[1]
		m := l.maskOf(from)
		if !m.pointer(from) || m.pointer(from+40) {
			t.Fatalf("mask %+v", m)
		}
		if word(from+40) != 0 {
			left++
		}
	}
	t.Logf("%d of %d had something left behind them", left, len(values)) // none with Go 1.27
}

func TestWhatIsNoTypeHasNoPointers(t *testing.T) {
	l := newLook(t)
	garbage := make([]uintptr, 64)
	for i := range garbage {
		garbage[i] = ^uintptr(0) >> (i % 60)
	}
	here := uintptr(unsafe.Pointer(&garbage[0]))
	for _, addr := range []uintptr{0, 1, 8, 1 << 46, ^uintptr(0), here, here + 8, here + 3, uintptr(unsafe.Pointer(&anchor))} {
		m := l.maskOfType(addr, here, 512)
		for offset := uintptr(0); offset < 512; offset += 8 {
			if m.pointer(here + offset) {
				t.Errorf("%#x: %+v", addr, m)
				break
			}
		}
	}
	runtime.KeepAlive(garbage)
}
