package reloader

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestStacksAreReadAsTheRuntimeWritesThem(t *testing.T) {
	gate, entered := make(chan struct{}), make(chan struct{})
	defer close(gate)
	go func() {
		close(entered)
		<-gate
	}()
	<-entered
	for {
		buf := make([]byte, 1<<20)
		for _, g := range parseStacks(string(buf[:runtime.Stack(buf, true)])) {
			if len(g.frames) > 0 && strings.HasSuffix(g.frames[0].function, "WritesThem.func1") && g.state == "chan receive" {
				f := g.frames[0]
				if !strings.HasSuffix(f.file, "/old_stacks_test.go") || f.line != 15 || !strings.HasSuffix(g.creator, ".TestStacksAreReadAsTheRuntimeWritesThem") {
					t.Errorf("read as %+v", g)
				}
				return
			}
		}
		runtime.Gosched() // it has yet to block
	}
}

func TestStacksOfEveryForm(t *testing.T) {
	for text, want := range map[string][]stackText{
		"": nil,
		"goroutine 1 [running]:\nmain.f(...)\n\t/a b/x.go:3\nmain.main()\n\t/x.go:9 +0x1c": {
			{state: "running", frames: []textFrame{{"main.f", "/a b/x.go", 3}, {"main.main", "/x.go", 9}}},
		},
		"goroutine 5 gp=0xc00 m=nil mp=0x1 [select (no cases), 3 minutes, locked to thread]:\n": {{state: "select (no cases)", minutes: 3}},
		"goroutine 6 [chan receive (durable), synctest bubble 2]:\n":                            {{state: "chan receive (durable)"}},
		"goroutine 7 [runnable]:\n\tgoroutine running on other thread; stack unavailable\n":     {{state: "runnable"}},
		"goroutine 8 [select]:\nx.(*T[...]).Do(0xc0, {0x1, {0x2, ...}})\n\tC:/x.go:12 +0x1\n...additional frames elided...\ncreated by x.New[...] in goroutine 1\n\t/x.go:1 +0x2\n": {
			{state: "select", frames: []textFrame{{"x.(*T[...]).Do", "C:/x.go", 12}}, creator: "x.New[...]"},
		},
		"main.f()\n\t/x.go:1\ngoroutine x [select]:\ngoroutine 9 select\n": nil,
	} {
		if got := parseStacks(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q is read as %+v, want %+v", text, got, want)
		}
	}
}

func FuzzParseStacks(f *testing.F) {
	f.Add("goroutine 1 [chan receive, 2 minutes]:\nmain.f(0x1)\n\t/x.go:3 +0x1\ncreated by main.main in goroutine 1\n\t/x.go:9 +0x1\n", "running, 3 minutes")
	f.Add("goroutine 1 [\n\t:\n(\n)\n", "")
	f.Add("created by\n\tx:99999999999999999999\n", "]")
	f.Fuzz(func(t *testing.T, text, state string) {
		got := parseStacks(text)
		if n := strings.Count(text, "goroutine "); len(got) > n {
			t.Fatalf("%d goroutines in a text that names %d", len(got), n)
		}
		for _, g := range got {
			for _, frame := range g.frames {
				if frame.function == "" || frame.line < 0 {
					t.Fatalf("frame %+v", frame)
				}
			}
		}
		// What follows junk is read as it would be alone.
		if strings.ContainsAny(state, "\n]") {
			return
		}
		one := "\ngoroutine 7 [" + state + "]:\nmain.loop(0x1)\n\t/loop.go:41 +0x1\n"
		alone, after := parseStacks(one), parseStacks(text+one)
		if len(alone) != 1 || len(after) != len(got)+1 || !reflect.DeepEqual(after[len(got)], alone[0]) {
			t.Fatalf("%+v after junk is %+v", alone, after)
		}
	})
}
