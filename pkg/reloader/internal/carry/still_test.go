package carry

import (
	"errors"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/after"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/before"
)

func TestTypesThatAreFirstMetInAStoppedWorldAreLearnedOutsideOfIt(t *testing.T) {
	a := []any{1, before.Base{ID: 1}, []any{map[before.Key]any{{A: 1}: &before.Tree{}}}, []before.Base{{ID: 2}}}
	var b []any
	plan := Compare(oldGeneration(state{"v": &a}), newGeneration(state{"v": &b}))
	for tries := 0; ; tries++ {
		x, err := plan.Prepare(Options{Still: true})
		if err == nil {
			if tries != 3 { // the slice, the map in it, the pointer in that
				t.Errorf("it took %d tries", tries)
			}
			x.Commit()
			break
		}
		var why *Refusal
		if !errors.As(err, &why) || !why.Unknown || tries > 3 {
			t.Fatal(err)
		}
		plan.Learn()
	}
	if b[1] != any(after.Base{ID: 1}) || b[3].([]after.Base)[0].ID != 2 {
		t.Errorf("got %v", b)
	}
	if _, err := plan.Prepare(Options{Still: true}); err != nil {
		t.Errorf("once more: %v", err)
	}
}

// A goroutine that was stopped in one of these may hold its locks.
func TestNothingThatLocksIsUsedWhileTheWorldIsStopped(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	before := []string{"carry.go", "plan.go", "relation.go", "types.go", "learn.go"}               // run before, or print
	before = append(before, "known.go", "wire.go", "wire_read.go", "recall.go", "recall_value.go") // run before or after
	// What save_write.go uses of package time reads fields (go1.26 time/zoneinfo.go: (*Location).get
	// locks for time.Local alone), and of encoding/binary appends to slices.
	more := map[string][]string{"save_write.go": {"time", "encoding/binary"}}
	harmless := []string{"cmp", "math", "math/cmplx", "reflect", "runtime", "slices", "strconv", "strings", "sync", "unsafe"}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || slices.Contains(before, name) {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			if path, _ := strconv.Unquote(imp.Path.Value); !slices.Contains(harmless, path) && !slices.Contains(more[name], path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}

func TestAnAttemptEndsWhenItsTimeIsUp(t *testing.T) {
	var a, b []any
	for i := range 10 * ticks {
		a = append(a, i)
	}
	for _, asks := range []int{1, 2, 10, 12, 13} {
		plan := Compare(oldGeneration(state{"v": &a}), newGeneration(state{"v": &b}))
		asked := 0
		_, err := plan.Prepare(Options{Expired: func() bool { asked++; return asked == asks }})
		var why *Refusal
		if !errors.As(err, &why) || !why.Large || why.Visited == 0 || why.Visited > asks*ticks || asked != asks {
			t.Errorf("after %d questions, of %d: %v", asked, asks, err)
		}
		if b != nil {
			t.Error("something was stored")
		}
		if _, err := plan.Prepare(Options{Migrate: true, Expired: func() bool { return true }}); err == nil {
			t.Error("what takes too long is left to HotMigrate")
		}
	}
}
