package thin

import (
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// The linker itself says what names it had before and, in the program, what
// became of them.
func TestNamesAreCutAsTheLinkerCutsThem(t *testing.T) {
	for version, gocmd := range releases(t) {
		t.Run(version, func(t *testing.T) {
			h := buildHost(t, gocmd)
			m, err := OpenImage(h.path)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			types, functions, at := 0, 0, 0
			for line := range strings.Lines(h.deps) {
				_, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " -> ")
				name = strings.TrimSuffix(name, " <UsedInIface>")
				switch {
				case strings.Contains(name, " -> "), strings.HasPrefix(name, "type:runtime.tracePlaceholder"):
					continue
				case isDescriptor(name):
					types++
				case strings.HasPrefix(name, "main.(*List[") && strings.HasSuffix(name, "]).Add"):
					functions++
				default:
					continue
				}
				if strings.Contains(name, "@") {
					at++
				}
				if _, ok := m.find(mangle(name)); !ok {
					t.Errorf("the host has no %s for %s", mangle(name), name)
				}
			}
			if types < 500 || functions < 1 || at < 2 {
				t.Errorf("only %d types, %d functions, %d with @ were looked at", types, functions, at)
			}
		})
	}
}

func TestNamesTellTheirPackage(t *testing.T) {
	rows := []struct{ name, path string }{
		{"fmt.Println", "fmt"},
		{"encoding/json.(*Decoder).Decode", "encoding/json"},
		{"encoding/json.Marshal.func1", "encoding/json"},
		{"example.com/a/b%2ev3.T.String", "example.com/a/b.v3"},
		{"gopkg.in/yaml%2ev3..inittask", "gopkg.in/yaml.v3"},
		{"example.com/v2.go/host%2ex..stmp_3", "example.com/v2.go/host.x"},
		{"example.com/caf%c3%a9.F", "example.com/café"},
		{"slices.SortFunc[go.shape.[]int,go.shape.int]", "slices"},
		{"example.com/a.Map[example.com/b/c.T]", "example.com/a"},
		{"type:fmt.pp", "fmt"},
		{"type:*fmt.pp", "fmt"},
		{"type:int", "runtime"},
		{"type:*string", "runtime"},
		{"type:[]fmt.Stringer", ""},
		{"type:map[string]int", "runtime"}, // if anybody's
		{"type:func(error) string", "runtime"},
		{"type:**int", "runtime"},
		{"type:func(fmt.State) error", ""},
		{"type:chan<- fmt.State", ""},
		{"type:example.com/a.List[int]", ""},
		{"type:.eq.fmt.pp", ""},
		{"type:.namedata.Foo.", ""},
		{"go:string.\"x\"", ""},
		{"go:itab.*os.File,io.Writer", ""},
		{"go:link.pkghash.fmt", ""},
		{"gclocals·abc", ""},
		{"memmove", ""},
		{".x", ""},
		{"", ""},
	}
	for _, row := range rows {
		if got := packageOf(row.name); got != row.path {
			t.Errorf("%q: %q, want %q", row.name, got, row.path)
		}
	}
}

func TestImportPathsAreEscapedAsInSymbols(t *testing.T) {
	rows := []struct{ path, escaped string }{
		{"fmt", "fmt"},
		{"encoding/json", "encoding/json"},
		{"gopkg.in/yaml.v3", "gopkg.in/yaml%2ev3"},
		{"example.com", "example%2ecom"},
		{"example.com/a.b/c", "example.com/a.b/c"},
		{"example.com/café", "example.com/caf%c3%a9"},
		{`a"b %`, "a%22b%20%25"},
		{"", ""},
	}
	for _, row := range rows {
		if got := symname.Escape(row.path); got != row.escaped {
			t.Errorf("%q: %q, want %q", row.path, got, row.escaped)
		}
		if got := unescape(row.escaped); got != row.path {
			t.Errorf("%q back: %q", row.escaped, got)
		}
	}
}

// FuzzNames holds that a symbol of a package leads back to it, and that no name
// is too odd.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"fmt", "gopkg.in/yaml.v3", "type:*fmt.pp", "type:", "type:.", "type:*", "a/b.v2[c.d]", "%", "%2", "%zz.x", "@", "[@", "]@[", "go:string.\"@\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		packageOf(s)
		_ = isDescriptor(s)
		mangle(s)
		if back := unescape(symname.Escape(s)); back != s {
			t.Errorf("%q came back as %q", s, back)
		}
		unescape(s)
		// Import paths have none of these (cmd/go: module.CheckImportPath).
		if s == "" || strings.ContainsAny(s, "[]():*<>{} ") || strings.HasSuffix(s, "/") {
			return
		}
		if got := packageOf(symname.Escape(s) + ".F"); got != s {
			t.Errorf("%q: a function of it belongs to %q", s, got)
		}
	})
}
