//go:build cgo

package retained

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	_ "github.com/hotgo/hotgo/pkg/reloader/internal/goplugin" // programs that can load plugins list their symbols
)

// kept is what the tests look for: types of this package count as a generation's.
var kept any

type inner struct {
	name string
	next *inner
	list [3]any
}

func TestFieldsAreNamedByTheirOffset(t *testing.T) {
	typ := reflect.TypeFor[struct {
		id int
		in inner
	}]()
	for offset, want := range map[uintptr]string{0: ".id", 8: ".in.name", 16: "", 24: ".in.next", 32: ".in.list[…]", 48: ".in.list[…]"} {
		name, field := fieldAt(typ, offset)
		if want == "" {
			if field != nil {
				t.Errorf("%d is %v", offset, field)
			}
			continue
		}
		if name != want || field == nil {
			t.Errorf("%d is %q, %v; want %q", offset, name, field, want)
		}
	}
}

func TestLookEndsAtItsBounds(t *testing.T) {
	kept = make([]*inner, 0, 1)
	var last *inner
	for range 200_000 {
		last = &inner{next: last}
		kept = append(kept.([]*inner), last)
	}
	t.Cleanup(func() { kept = nil })
	for name, o := range map[string]Options{
		"bytes":   {MaxBytes: 2 << 20},
		"objects": {MaxObjects: 1000},
		"pause":   {Pause: func() bool { return false }},
	} {
		l, err := Find(nil, o)
		if err != nil {
			t.Fatal(err)
		}
		if !l.Part || o.MaxObjects > 0 && l.Objects > o.MaxObjects || o.MaxBytes > 0 && l.Bytes > o.MaxBytes+2<<20 {
			t.Errorf("%s: %d bytes, %d objects, in part %v", name, l.Bytes, l.Objects, l.Part)
		}
	}
	l, err := Find(nil, Options{})
	if err != nil || l.Part || l.Objects < 200_000 {
		t.Errorf("%+v, %v", l, err)
	}
	var e *Error
	if !errors.As(error(fail("x")), &e) || !strings.Contains(e.Error(), "x") {
		t.Error(e)
	}
}

// BenchmarkFind looks through some 300 MB.
func BenchmarkFind(b *testing.B) {
	const objects = 3_000_000
	all := make([]*inner, objects)
	for i := range all {
		all[i] = &inner{name: "x", list: [3]any{i % 100, nil, nil}}
	}
	kept = all
	b.Cleanup(func() { kept = nil })
	b.ReportAllocs()
	var l *Look
	for b.Loop() {
		var err error
		if l, err = Find(nil, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(l.Bytes)
	b.ReportMetric(float64(l.Objects), "objects")
	b.ReportMetric(float64(l.Bytes)/1e6, "MB")
}
