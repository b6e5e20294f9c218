package statediff

import (
	"encoding/json"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// carryDir has the corpus of changes: see corpus_test.go there.
const carryDir = "../../../reloader/internal/carry"

// told is what the corpus says of a change.
type told struct {
	Name, Old, New, Verdict, Code, Text, Refused, Found string

	Function bool
}

func corpus(t *testing.T) (all []told) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(carryDir, "testdata", "changes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var x told
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	if len(all) < 100 {
		t.Fatalf("the corpus has %d changes", len(all))
	}
	return all
}

const shop = "example.com/shop"

// sources gives a version of the corpus's package with a variable v.
func sources(t *testing.T, version, typ, value string) []Package {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(carryDir, "internal", version, version+".go"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "\npackage "+version, "\npackage shop", 1)
	v := `package shop

import (
	"container/list"
	"container/ring"
	"context"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unique"
	"unsafe"
)

func made[T any]() (v T) { return v }

var v ` + strings.ReplaceAll(typ, version+".", "") + value
	return []Package{{ImportPath: shop, Files: []File{{version + ".go", []byte(text)}, {"v.go", []byte(v)}}}}
}

// library imports the standard library, which is the same for all tests.
var library = sync.OnceValue(func() types.Importer { return importer.ForCompiler(token.NewFileSet(), "gc", nil) })

func config(before, after []Package) Config {
	return Config{Old: before, New: after, Plugin: shop, Import: library(), Sizes: types.SizesFor("gc", "amd64")}
}

// foretold gives what is foretold of the variable v.
func foretold(t *testing.T, before, after []Package) Variable {
	t.Helper()
	list, err := Compare(config(before, after))
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(v Variable) bool { return v.Name == "v" })
	return list[i]
}

func TestWhatIsForetoldIsWhatCarryDoes(t *testing.T) {
	for _, x := range corpus(t) {
		t.Run(x.Name, func(t *testing.T) {
			value := ""
			if x.Function {
				value = " = made[" + strings.ReplaceAll(x.New, "after.", "") + "]()"
			}
			v := foretold(t, sources(t, "before", x.Old, ""), sources(t, "after", x.New, value))
			for _, wrong := range x.contradictions(v) {
				t.Errorf("%s:\nforetold %+v\ncarry    %+v", wrong, v, x)
			}
		})
	}
}

// contradictions says what of a forecast is not so.
func (x told) contradictions(v Variable) (wrong []string) {
	should := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	if v.Outcome == Reset { // what carry decides by the value
		should(x.Function, "it starts anew though the new code has put nothing there")
		should(x.Refused == "", "it starts anew and is refused")
	} else {
		should(string(v.Outcome) == x.Verdict, "the outcome is another")
		should(v.Code == x.Code, "the code is another")
		should(v.Text == x.Text, "the text is another")
	}
	should(x.Refused == "" || v.Outcome == Refused || len(v.If) > 0, "it was refused, and no condition was foretold")
	should(v.Outcome != Refused || x.Refused != "", "it is refused, and was carried")
	for code := range strings.FieldsSeq(x.Found) {
		switch code {
		case codeDropped:
			should(v.Code == codeDropped || slices.ContainsFunc(v.Notes, func(n string) bool { return strings.Contains(n, "drops") }), "something was dropped")
		case codeClosure:
			should(v.Outcome == Reset || slices.ContainsFunc(v.Notes, func(n string) bool { return strings.Contains(n, "old code") }), "old code was kept")
		default:
			should(slices.ContainsFunc(v.Notes, func(n string) bool { return strings.Contains(n, "reflect") }), "%s was found", code)
		}
	}
	return wrong
}
