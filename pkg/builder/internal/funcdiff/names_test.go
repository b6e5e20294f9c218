package funcdiff

import (
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

func TestWhatIsSharedByName(t *testing.T) {
	declared := map[string]bool{"p.func1": true, "p.T.gowrap1": true}
	for _, row := range []struct {
		name   string
		shared bool
	}{
		{"p.F", true},
		{"p.F·f", true},
		{"p.(*T).M", true},
		{"p.T.M-fm", true},
		{"p.init", true},
		{"p.F.func1", false},
		{"p.F.func1·f", false},
		{"p.F.func1.2", false},
		{"p.F-range1", false},
		{"p.F.func2-range1", false},
		{"p.F.gowrap1", false},
		{"p.F.deferwrap2", false},
		{"p.(*T).M.func3", false},
		{"p.G.F.func1", false},
		{"p.init.0", false},
		{"p.glob..func1", false},
		{"p.func1", true},
		{"p.func1·f", true},
		{"p.func1.func1", false},
		{"p.func2", false},
		{"p.T.gowrap1", true},
		{"p.funcs", true},
		{"p.function1", true},
		{"p.F[go.shape.int]", true},
		{"p.F[go.shape.func(...int)]", true},
		{"p.F[go.shape.struct { A.func1 int }]", true},
		{"p.F[go.shape.int].func1", false},
		{"p.(*T[go.shape.func(...int)]).M", true},
		{"p.(*T[go.shape.func(...int)]).M.func1", false},
		{"p..stmp_1", false},
		{"p..dict.F[int]", false},
		{"p..dict.F[func(...int)]", false},
		{"p..typeSwitch.0", false},
		{"p..interfaceSwitch.0", false},
		{"p..typeAssert.0", false},
		{"p..inittask", true},
		{"type:p.T", true},
		{"type:func(...int)", true},
		{"go:itab.*p.T,p.I", true},
		{"go:string.\"a\"", false},
		{"gclocals·1", false},
		{"runtime.x..y", true},
		{"example.com/a.b/p%2eq.F", true},
		{"example.com/a.func1/p.F", true},
	} {
		s := &goobj.Symbol{Name: row.name, Type: goobj.KindText}
		if got := Shared(s, func(name string) bool { return declared[name] }); got != row.shared {
			t.Errorf("%s: %t", row.name, got)
		}
	}
	table := &goobj.Symbol{Name: "p.F.jump3", Type: goobj.KindROData}
	if Shared(table, nil) {
		t.Errorf("%s is of one function", table.Name)
	}
	method := &goobj.Symbol{Name: "p.T.jump3", Type: goobj.KindText}
	if !Shared(method, nil) {
		t.Errorf("%s is a method", method.Name)
	}
	for _, s := range []*goobj.Symbol{{Name: "p.x", ABI: goobj.ABIStatic}, {}, {Name: "p.F.arginfo1", Flag: goobj.FlagLocal, Type: goobj.KindROData}} {
		if Shared(s, nil) {
			t.Errorf("%+v is no one else's", s)
		}
	}
}

func TestInitialisers(t *testing.T) {
	for _, row := range []struct {
		name          string
		initial, once bool
	}{
		{"p.init", true, true},
		{"p.init.0", true, true},
		{"p.init.12", true, true},
		{"p.map.init.0", true, true},
		{"p.init.func1", true, false},
		{"p.init.0.func1", true, false},
		{"p.init.0.gowrap1", true, false},
		{"p.map.init.0.func2", true, false},
		{"p.glob..func1", true, false},
		{"p.glob..func1.2", true, false},
		{"p.initialise", false, false},
		{"p.initial.init", false, false},
		{"p.glob.Run", false, false},
		{"q.init", false, false},
	} {
		if got := initialiser("p", row.name); got != row.initial {
			t.Errorf("%s: %t", row.name, got)
		} else if got && ranOnce("p", row.name) != row.once {
			t.Errorf("%s runs once: %t", row.name, !row.once)
		}
	}
}

func TestShortNames(t *testing.T) {
	for name, want := range map[string]string{
		"main.main":                                          "main.main",
		"example.com/shop/cart.(*Cart).Total":                "cart.(*Cart).Total",
		"example.com/shop/v2%2e1.F":                          "v2.1.F",
		"example.com/shop/cart.Map[example.com/shop.T]":      "cart.Map[example.com/shop.T]",
		"example.com/shop/cart.(*L[example.com/shop.T]).Add": "cart.(*L[example.com/shop.T]).Add",
		"": "",
	} {
		if got := Short(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestDictionaries(t *testing.T) {
	for name, want := range map[string]string{
		"p..dict.F[int]":          "p.F",
		"p..dict.T[int].M":        "p.T.M",
		"a/p..dict.F[a/q.T[int]]": "a/p.F",
	} {
		if got, ok := dictionaryOf(name); !ok || got != want {
			t.Errorf("%s: %s %t", name, got, ok)
		}
	}
	if got, ok := dictionaryOf("p.F[int]"); ok {
		t.Error(got)
	}
}

func TestTypesThatConsistOfOthers(t *testing.T) {
	for _, row := range []struct {
		name     string
		instance string
		spelled  bool
	}{
		{"p.T", "", false},
		{"a/p.List[int]", "a/p.List", false},
		{"a/p.List[a/q.T[int]]", "a/p.List", false},
		{"[]p.T", "", true},
		{"[4]p.T", "", true},
		{"map[string]p.T", "", true},
		{"map[string]p.List[int]", "", true},
		{"func(p.T)", "", true},
		{"chan p.T", "", true},
		{"struct { F p.T }", "", true},
		{"noalg.[1]p.T", "", true},
		{"noalg.map.group[string]p.T", "", true},
		{"map.group[string]p.List[int]", "", true},
	} {
		if got := composite(row.name); got != row.spelled {
			t.Errorf("%s: %t", row.name, got)
		}
		base, ok := typeInstance(row.name)
		if ok != (row.instance != "") || ok && base != row.instance {
			t.Errorf("%s: instance of %q, %t", row.name, base, ok)
		}
	}
}

func FuzzNames(f *testing.F) {
	for _, name := range []string{
		"p.F.func1", "p.F[go.shape.func(...int)].func1-range2", "p..dict.F[int]", "type:p.T[p.U]", "p.(*T).M·f", "a.b/c%2ed.F", "]p.[", "p.glob..func1", "",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		base, instance := generic(name)
		if instance == (base == name) {
			t.Errorf("%q is an instance of %q: %t", name, base, instance)
		}
		if again, more := generic(base); !strings.ContainsAny(base, "[]") && (more || again != base) {
			t.Errorf("%q is an instance of %q", base, again)
		}
		if len(Short(name)) > len(name) {
			t.Errorf("%q is longer for a reader: %q", name, Short(name))
		}
		// A literal in whatever has no name of its own.
		if strings.Count(name, "[") == strings.Count(name, "]") && !strings.Contains(name, "]") && !Closure(name+".func1") {
			t.Errorf("%q has no literals", name)
		}
		if sharedName("p."+name, nil) != sharedName("p."+name, func(string) bool { return false }) {
			t.Errorf("%q: nobody's declarations differ from none", name)
		}
		d := &Declarations{Prefix: "p", Funcs: map[string]*Func{}, Types: map[string]*Type{}}
		if d.Names(name) || d.Declares(name) {
			t.Errorf("%q is declared nowhere", name)
		}
		dictionaryOf(name)
		initialiser("p", name)
		typeInstance(name)
		valueMethod(name)
	})
}
