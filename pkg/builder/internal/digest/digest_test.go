package digest

import (
	"go/format"
	"testing"
)

func TestFormattingKeepsTokens(t *testing.T) {
	pairs := []struct{ name, a, b string }{
		{"comment", "package p\n\nfunc F() int { return 1 }\n", "// Package p is here.\npackage p\n\n// F gives one.\nfunc F() int { return 1 /* one */ }\n"},
		{"line break", "package p\nfunc F() int { return 1 }\n", "package p\nfunc F() int {\n\treturn 1\n}\n"},
		{"trailing comma", "package p\nvar x = []int{1, 2}\n", "package p\nvar x = []int{\n\t1,\n\t2,\n}\n"},
		{"call over lines", "package p\nvar x = f(1, 2)\n", "package p\nvar x = f(\n\t1,\n\t2,\n)\n"},
		{"semicolons", "package p; var a = 1; var b = 2", "package p\n\nvar a = 1\nvar b = 2\n"},
		{"CRLF", "package p\nvar a = 1\n", "package p\r\nvar a = 1\r\n"},
		{"struct", "package p\ntype T struct { A int; B int }\n", "package p\ntype T struct {\n\tA int // first\n\tB int\n}\n"},
	}
	for _, p := range pairs {
		if Tokens([]byte(p.a)) != Tokens([]byte(p.b)) {
			t.Errorf("%s: tokens differ", p.name)
		}
	}
}

func TestMeaningChangesTokens(t *testing.T) {
	pairs := []struct{ name, a, b string }{
		{"constant", "package p\nconst x = 1\n", "package p\nconst x = 2\n"},
		{"string", "package p\nconst x = \"a b\"\n", "package p\nconst x = \"ab\"\n"},
		{"joined names", "package p\nvar a, b = 1, 2\n", "package p\nvar ab = 1, 2\n"},
		{"directive", "package p\nfunc f() {}\n", "package p\n//go:noinline\nfunc f() {}\n"},
		{"embed", "package p\n//go:embed a\nvar s string\n", "package p\n//go:embed b\nvar s string\n"},
		{"cgo preamble", "package p\n// int x;\nimport \"C\"\n", "package p\n// int y;\nimport \"C\"\n"},
		{"export", "package p\nfunc f() {}\n", "package p\n//export f\nfunc f() {}\n"},
		{"array or type parameter", "package p\ntype T[P *C] int\n", "package p\ntype T[P *C,] int\n"},
		{"statement break", "package p\nfunc f() { a(); b() }\n", "package p\nfunc f() { a() ; ; b() }\n"},
		{"not scannable", "package p\nvar s = \"\n", "package p\n // x\nvar s = \"\n"},
	}
	for _, p := range pairs {
		if Tokens([]byte(p.a)) == Tokens([]byte(p.b)) {
			t.Errorf("%s: tokens are equal", p.name)
		}
	}
}

// Gofmt keeps what a program says, so it has to keep its tokens too.
func FuzzGofmtKeepsTokens(f *testing.F) {
	f.Add("package p\nfunc F( ) (int,string) {return 1,`a\n b`}\n")
	f.Add("package p\nvar x = map[string]struct{A,B int}{\"a\":{1,2},}\n")
	f.Add("package p\nimport(\"fmt\");func f(){L:for{select{case<-c:break L;default:}}}\n")
	f.Add("package p\ntype T[P interface{~int|~string},] struct{}\n")
	f.Fuzz(func(t *testing.T, src string) {
		out, err := format.Source([]byte(src))
		if err != nil {
			t.Skip("does not parse: nothing to compare")
		}
		if Tokens([]byte(src)) != Tokens(out) {
			// Gofmt also rewrites number prefixes, drops "(x)" in a few
			// places and sorts imports; those may cost a needless build.
			// What it must never do is make different programs equal,
			// which TestMeaningChangesTokens looks at. So only the plain
			// case is demanded: formatting formatted text.
			again, err := format.Source(out)
			if err != nil || Tokens(again) != Tokens(out) {
				t.Fatalf("formatting formatted source changed its tokens:\n%s", out)
			}
		}
	})
}

func TestKeyCoversEveryField(t *testing.T) {
	base := func() Inputs {
		return Inputs{
			Plugin: "pricing", ImportPath: "example.com/shop/plugins/pricing", Link: "full",
			Env: map[string]string{"GOVERSION": "go1.26.8"}, Flags: []string{"-trimpath"},
			Packages: []Package{{ImportPath: "a", Role: Private, Files: []File{{Name: "a.go", Hash: [32]byte{1}}}}, {ImportPath: "b", Role: Shared}},
			Host:     map[string]string{"fmt": "00"},
		}
	}
	want := Key(base())
	if got := Key(base()); got != want {
		t.Fatal("the key of equal inputs differs")
	}
	swapped := base()
	swapped.Packages[0], swapped.Packages[1] = swapped.Packages[1], swapped.Packages[0]
	if Key(swapped) != want {
		t.Error("the order of packages changes the key")
	}
	changes := map[string]func(*Inputs){
		"plugin":       func(i *Inputs) { i.Plugin = "x" },
		"import path":  func(i *Inputs) { i.ImportPath = "x" },
		"link":         func(i *Inputs) { i.Link = "thin" },
		"env":          func(i *Inputs) { i.Env["GOAMD64"] = "v3" },
		"flags":        func(i *Inputs) { i.Flags = append(i.Flags, "-race") },
		"profile":      func(i *Inputs) { i.Profile = "x" },
		"file hash":    func(i *Inputs) { i.Packages[0].Files[0].Hash[0] = 2 },
		"file name":    func(i *Inputs) { i.Packages[0].Files[0].Name = "b.go" },
		"file dropped": func(i *Inputs) { i.Packages[0].Files = nil },
		"role":         func(i *Inputs) { i.Packages[1].Role = Private },
		"dir":          func(i *Inputs) { i.Packages[0].Dir = "/src" },
		"language":     func(i *Inputs) { i.Packages[0].GoVersion = "1.26" },
		"module":       func(i *Inputs) { i.Packages[1].Module = "m@v1" },
		"host":         func(i *Inputs) { i.Host["fmt"] = "01" },
		"salt":         func(i *Inputs) { i.Salt = "1" },
	}
	for name, change := range changes {
		in := base()
		change(&in)
		if Key(in) == want {
			t.Errorf("%s is not in the key", name)
		}
	}
}
