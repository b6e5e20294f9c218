package goobj

import (
	"os"
	"testing"
)

// BenchmarkRewrite reads, rewrites and writes the object of net/http, compiled
// the way a plugin's packages are.
func BenchmarkRewrite(b *testing.B) {
	p := newProgram(b, "go", "net/http")
	p.exports["net/http"] = goOutput(b, "go", b.TempDir(), "list", "-export", "-f", "{{.Export}}",
		"-gcflags=net/http=-dynlink -linkshared", "net/http")
	data, err := os.ReadFile(p.exports["net/http"])
	if err != nil {
		b.Fatal(err)
	}
	w := &Rewriter{Indexed: p.indexed, Old: "net/http", New: "ten/http"}
	rewrite := func() (symbols, refs int) {
		a, err := ReadArchive(data)
		if err != nil {
			b.Fatal(err)
		}
		m := &a.Members[a.Objects()[0]]
		o, err := Parse(m.Data)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Rewrite(o); err != nil {
			b.Fatal(err)
		}
		m.Data = o.Bytes()
		return len(o.Defs) + len(o.NonPkgDefs), len(o.NonPkgRefs)
	}
	symbols, refs := rewrite() // reads the definitions of all imports
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		rewrite()
	}
	b.ReportMetric(float64(symbols), "symbols")
	b.ReportMetric(float64(refs), "refs")
}
