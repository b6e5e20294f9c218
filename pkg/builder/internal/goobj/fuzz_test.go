package goobj

import (
	"bytes"
	"fmt"
	"testing"
)

// The committed corpora are what the compilers of Go 1.26 and 1.27 and the
// assembler made of a few lines each.

func FuzzParse(f *testing.F) {
	f.Add(sample().Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		o, err := Parse(data)
		defs, defsErr := Definitions(data)
		if err != nil {
			return
		}
		if out := o.Bytes(); !bytes.Equal(out, data) {
			t.Fatalf("written as\n%q\nread as\n%q", out, data)
		}
		if defsErr != nil || len(defs) != len(o.Defs) {
			t.Fatalf("%d definitions of %d, %v", len(defs), len(o.Defs), defsErr)
		}
		w := &Rewriter{
			Indexed: func(path string, sym uint32) (Definition, error) {
				return Definition{Name: fmt.Sprint(path, ".", sym), ABI: uint16(sym % 2)}, nil
			},
			External: func(s *Symbol) bool { return len(s.Name)%2 == 0 },
			Old:      "lib", New: "bil",
		}
		err = w.Rewrite(o)
		if !bytes.Equal(data, before) {
			t.Fatal("the data was written to")
		}
		if err != nil {
			return
		}
		out := o.Bytes()
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("the rewritten object: %v", err)
		}
		if !bytes.Equal(again.Bytes(), out) {
			t.Fatal("the rewritten object is written differently the second time")
		}
		if refs := indexed(t, again); len(refs) > 0 {
			t.Fatalf("references by position are left: %v", refs)
		}
	})
}

func FuzzReadArchive(f *testing.F) {
	f.Add((&Archive{Members: []Member{{PkgDef, []byte("go object export")}, {"_go_.o", sample().Bytes()}, {"x.o", []byte("\x7fELF")}}}).Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ReadArchive(data)
		if err != nil {
			return
		}
		again, err := ReadArchive(a.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if len(again.Members) != len(a.Members) {
			t.Fatalf("%d members became %d", len(a.Members), len(again.Members))
		}
		for i, m := range a.Members {
			if n := again.Members[i]; n.Name != m.Name || !bytes.Equal(n.Data, m.Data) {
				t.Fatalf("member %d: %q became %q", i, m, n)
			}
		}
		for _, i := range a.Objects() {
			_, _ = Parse(a.Members[i].Data)
		}
	})
}
