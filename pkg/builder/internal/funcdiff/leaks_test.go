package funcdiff

import (
	"slices"
	"strings"
	"testing"
)

func TestLeaksAreTheSameWhateverNamesAre(t *testing.T) {
	src := "package p\n\nfunc F(a *int, b []byte, _ string, c *int) (r *int) { return a }\n\nfunc (t *T) M(x any) {}\n\ntype T struct{}\n"
	d, err := Declare("p", []Source{{"p.go", []byte(src)}})
	if err != nil {
		t.Fatal(err)
	}
	leaks := d.ParseLeaks(`# p
dir/p.go:3:8: leaking param: a to result r level=0
p.go:3:16: mutates param: b derefs=0
p.go:3:36: leaking param content: c
p.go:3:16: b does not escape
p.go:5:7: leaking param: t
p.go:5:15: leaking param: x
p.go:99:9: leaking param: y
q.go:3:8: leaking param: a
p.go:3:8: can inline F
nonsense: leaking param
leaking param: a
`)
	want := map[string]string{
		"p.F":      "0 leaking param to result ~r0 level=0; 1 mutates param derefs=0; 3 leaking param content ",
		"p.(*T).M": "0 leaking param ; 1 leaking param ",
	}
	if len(leaks) != len(want) {
		t.Errorf("got %q", leaks)
	}
	for name, text := range want {
		if leaks[name] != text {
			t.Errorf("%s: %q", name, leaks[name])
		}
	}
}

func FuzzParseLeaks(f *testing.F) {
	const src = "package p\n\nfunc F(a, b *int) (x, y *int) { return a, b }\n"
	for _, line := range []string{
		"p.go:3:8: leaking param: a to result x level=0", "p.go:3:11: mutates param: b derefs=1", "p.go:3:8: leaking param content: a\np.go:3:8: calls param: a",
		"p.go:3:8:", ": param", "p.go:3:8: leaking param:", "p.go:3:8: leaking param: a to result",
	} {
		f.Add(line)
	}
	d, err := Declare("p", []Source{{"p.go", []byte(src)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, output string) {
		leaks := d.ParseLeaks(output)
		for name := range leaks {
			if d.Funcs[name] == nil {
				t.Errorf("%q is not declared", name)
			}
		}
		// The order in which the compiler says it means nothing.
		all := strings.SplitAfter(strings.TrimSuffix(output, "\n")+"\n", "\n")
		slices.Reverse(all)
		if again := d.ParseLeaks(strings.Join(all, "")); again["p.F"] != leaks["p.F"] {
			t.Errorf("%q the other way round is %q", leaks, again)
		}
	})
}
