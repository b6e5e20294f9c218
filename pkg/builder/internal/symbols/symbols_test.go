package symbols

import (
	"os/exec"
	"reflect"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder/internal/symbols/internal/shapes"
	"github.com/hotgo/hotgo/pkg/internal/typename"
)

const shapesPath = "github.com/hotgo/hotgo/pkg/builder/internal/symbols/internal/shapes"

// A builder knows types from export data, a host from reflection. What they
// write must be the same text, or every load would be refused.
func TestBuilderAndHostNameTypesAlike(t *testing.T) {
	out, err := exec.Command("go", "list", "-export", "-f", "{{.Export}}", shapesPath).CombinedOutput()
	if err != nil {
		t.Fatalf("go list -export: %v\n%s", err, out)
	}
	syms, err := Read(shapesPath, strings.TrimSpace(string(out)), func(p string) string { return p })
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]reflect.Type{
		"Basics":  reflect.TypeFor[[3]func(bool, string, int, int8, int64, uint, uint8, byte, rune, uintptr, float32, complex128, error, any)](),
		"Pointer": reflect.TypeOf(&shapes.Pointer).Elem(), "Generic": reflect.TypeOf(&shapes.Generic).Elem(),
		"Nested": reflect.TypeOf(&shapes.Nested).Elem(), "Struct": reflect.TypeOf(&shapes.Struct).Elem(),
		"Iface": reflect.TypeOf(&shapes.Iface).Elem(), "Interface": reflect.TypeOf(&shapes.Interface).Elem(),
		"Chans": reflect.TypeOf(&shapes.Chans).Elem(), "Aliased": reflect.TypeOf(&shapes.Aliased).Elem(),
		"Linked": reflect.TypeOf(&shapes.Linked).Elem(), "Map": reflect.TypeOf(&shapes.Map).Elem(),
		"InArgs": reflect.TypeOf(&shapes.InArgs).Elem(), "IfaceArg": reflect.TypeOf(&shapes.IfaceArg).Elem(),
		"ChanArg": reflect.TypeOf(&shapes.ChanArg).Elem(), "Variadic": reflect.TypeOf(shapes.Variadic),
		"NoResult": reflect.TypeOf(shapes.NoResult), "Price": reflect.TypeOf(shapes.Price),
	}
	for _, s := range syms {
		rt, ok := want[s.Name]
		if !ok {
			t.Errorf("unexpected symbol %s", s.Name)
			continue
		}
		delete(want, s.Name)
		if got := typename.Of(rt); got != s.Type {
			t.Errorf("%s:\nhost    %s\nbuilder %s", s.Name, got, s.Type)
		}
		if kind := map[bool]string{true: "func", false: "var"}[rt.Kind() == reflect.Func]; kind != s.Kind {
			t.Errorf("%s is a %s, want %s", s.Name, s.Kind, kind)
		}
	}
	for name := range want {
		t.Errorf("symbol %s is missing", name)
	}
}

func TestFreshIdentityIsTakenOut(t *testing.T) {
	out, err := exec.Command("go", "list", "-export", "-f", "{{.Export}}", shapesPath).Output()
	if err != nil {
		t.Fatal(err)
	}
	syms, err := Read(shapesPath, strings.TrimSpace(string(out)), func(p string) string {
		if p == shapesPath {
			return "example.com/shapes"
		}
		return p
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range syms {
		if s.Name == "Price" && s.Type != "func(context.Context, *example.com/shapes.Order) example.com/shapes.Pair[int,error]" {
			t.Errorf("Price is %s", s.Type)
		}
	}
}

func TestDamagedArchiveIsAnError(t *testing.T) {
	if _, err := Read("x", "symbols.go", func(p string) string { return p }); err == nil {
		t.Error("a text file was read as an archive")
	}
	if _, err := Read("x", "", func(p string) string { return p }); err == nil {
		t.Error("no file was read as an archive")
	}
}
