package ui

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func text(t *testing.T, write func(*bytes.Buffer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestProblem(t *testing.T) {
	full := Problem{
		What: "greet would not load into ./server (pid 812)",
		Evidence: []control.Evidence{
			{What: "golang.org/x/text", Host: "v0.21.0", Artifact: "v0.22.0"},
			{What: "-trimpath", Host: "true", Artifact: "false"},
		},
		Limit: "the Go runtime",
		Next:  "hotgo build --host ./server ./plugins/greet",
	}
	build := Problem{
		What:        "pricing does not build",
		Diagnostics: day()[7].Diagnostics,
		Details:     []string{"note: module requires Go 1.27\nsecond line"},
	}
	golden(t, "problem.txt.golden", text(t, func(b *bytes.Buffer) error {
		for _, p := range []Problem{full, build, {What: "no host found"}} {
			if err := PrintProblem(b, p, plain()); err != nil {
				return err
			}
		}
		colored := plain()
		colored.Color = true
		return PrintProblem(b, full, colored)
	}))
}

func TestStatusTable(t *testing.T) {
	full := shop()
	full.Name, full.PID = "full", 913
	full.Plugins[0].Generations[1].Link = "full"
	full.Plugins[0].Generations[1].LinkReason = "it needs 120 packages that the host lacks or has in part"
	full.TrustedKeys, full.Plugins[0].Generations[1].Signer = []string{"AC84F464E122951", "621B9E9ACCA7CD91"}, "AC84F464E122951"
	full.Plugins = append(full.Plugins, control.Plugin{
		Name: "server", Kind: control.KindHost, Live: 2,
		Generations: []control.Generation{
			{Generation: 1, State: control.StateRetired, Patch: true, ResidentBytes: 30 << 10},
			{Generation: 2, State: control.StateLive, Patch: true, Key: key8, Link: "thin", Loaded: at(14, 7, 30), ArtifactBytes: 20480, ResidentBytes: 30 << 10},
		},
		Replaced: []control.Replaced{
			{Function: "cart.(*Cart).Total", Generation: 2}, {Function: "main.greet", Generation: 2}, {Function: "main.serve", Generation: 2},
		},
		Finishing: []control.Finishing{{Function: "main.loop", Goroutines: 1}, {Function: "main.serve", Goroutines: 2}},
	})
	long := control.Plugin{Name: "server", Kind: control.KindHost, Generations: []control.Generation{{Generation: 1, State: control.StateRetired}}}
	for i := range 12 {
		long.Replaced = append(long.Replaced, control.Replaced{Function: fmt.Sprintf("main.f%02d", i), Generation: 1})
	}
	old := control.Status{
		Name: "old", PID: 7, GoVersion: "go1.27.1", OldGenerations: 3, RestartAdvised: "3 old generations are still in use, and at most 3 may be",
		Plugins: []control.Plugin{{Name: "pricing", Live: 5, Generations: []control.Generation{
			{Generation: 2, State: control.StateRetired, OldS: 200_000, Goroutines: 9, Inside: []control.Goroutine{
				{Goroutines: 4, Function: "rules.(*Watcher).loop", File: "/shop/rules/rules.go", Line: 41, State: "chan receive", BlockedS: 7800, CreatedBy: "rules.New"},
				{Goroutines: 2, Function: "rules.poll", File: "/shop/rules/poll.go", Line: 7, State: "sleep"},
				{Goroutines: 1, Function: "rules.push", File: "/shop/rules/push.go", Line: 9, State: "select"},
			}},
			{Generation: 3, State: control.StateRetired, OldS: 130, Goroutines: 2, Inside: []control.Goroutine{
				{Goroutines: 2, Function: "rules.(*Watcher).loop", File: "/shop/rules/rules.go", Line: 41, State: "chan receive", BlockedS: 120},
			}},
			{Generation: 4, State: control.StateFailed, OldS: 5, Goroutines: 1, Retained: &control.Retained{More: 4, Part: true, Things: []control.RetainedThing{
				{Path: "main.routes … (*main.route).handler", Kind: control.RetainedValue, Name: "*rules.order", Places: 3},
				{Path: "api.Hooks …", Kind: control.RetainedFunction, Name: "rules.Watch.func1", Places: 1},
				{Path: "main.total", Kind: control.RetainedVariable, Name: "rules.total", Places: 1},
			}}},
			{Generation: 5, State: control.StateLive, Key: key8, Loaded: at(14, 7, 30)},
		}}},
	}
	crowd := control.Status{Name: "crowd", PID: 6, GoVersion: "go1.27.1", TooManyGoroutines: true, Plugins: []control.Plugin{{Name: "pricing", Live: 3, Generations: []control.Generation{
		{Generation: 1, State: control.StateRetired, OldS: 5, Retained: &control.Retained{Unknown: "the memory of this program cannot be listed"}},
		{Generation: 2, State: control.StateRetired, OldS: 5, Retained: &control.Retained{Part: true}},
		{Generation: 3, State: control.StateLive, Key: key8, Loaded: at(14, 7, 30)},
	}}}}
	again := control.Status{Name: "again", PID: 5, GoVersion: "go1.27.1", Restore: &control.Restore{
		Artifacts: 3, Bytes: 3 << 20, BudgetBytes: 1 << 30,
		NotRestored: []control.NotRestored{{Plugin: "tax", Key: key7, Code: control.CodeOtherBuild, Reason: "it was live in another build of this host, and is kept for that"}},
		Quarantined: []control.Quarantined{
			{Plugin: "pricing", Key: key7, Reason: "process 3 ended while it was being loaded", Since: at(13, 0, 0)},
			{Plugin: "pricing", Key: key8, Reason: "process 4 ended before it had been live for 30s", Since: at(14, 2, 0), Path: "/var/lib/shop/state-shop/artifacts/5e1f.so"},
		},
	}}
	alone := control.Status{Name: "alone", PID: 4, GoVersion: "go1.27.1", Restore: &control.Restore{Off: "another process uses /var/lib/shop/state-shop"}}
	dirty := control.Status{Name: "dirty", PID: 3, GoVersion: "go1.27.1", Restore: &control.Restore{Error: "write state: no space left on device"}}
	hosts := []control.Status{shop(), full, old, crowd, again, alone, dirty, {Name: "long", PID: 8, GoVersion: "go1.27.1", Plugins: []control.Plugin{long}}, {Name: "empty", PID: 9, GoVersion: "go1.27.1", TrustedKeys: []string{}}}
	for name, verbose := range map[string]bool{"status.txt.golden": false, "status-verbose.txt.golden": true} {
		golden(t, name, text(t, func(b *bytes.Buffer) error { return Status(b, hosts, verbose, plain()) }))
	}
	if got := text(t, func(b *bytes.Buffer) error { return Status(b, nil, false, plain()) }); got != "no host is up\n" {
		t.Errorf("%q", got)
	}
}

func TestHistoryTable(t *testing.T) {
	events := day()
	events[4].Caller = &control.Caller{UID: 1000, GID: 1000, PID: 4242}
	golden(t, "history.txt.golden", text(t, func(b *bytes.Buffer) error {
		return History(b, control.History{Events: events}, plain())
	}))
	events[4].Signer = "AC84F464E122951"
	golden(t, "history-signed.txt.golden", text(t, func(b *bytes.Buffer) error {
		return History(b, control.History{Events: events}, plain())
	}))
	if got := text(t, func(b *bytes.Buffer) error { return History(b, control.History{}, plain()) }); got != "nothing was loaded yet\n" {
		t.Errorf("%q", got)
	}
}

func TestColumnsCountWhatATerminalShows(t *testing.T) {
	lines := columns([][]string{{"日本", "x"}, {"abcd", "y"}, {"é", "z"}}, 1)
	want := "日本 x\nabcd y\né    z"
	if got := strings.Join(lines, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestFiguresArePeoples(t *testing.T) {
	for ms, want := range map[float64]string{
		0.001: "<0.01ms", 0.05: "0.05ms", 1.1: "1ms", 61: "61ms", 1240: "1.24s", 12_345: "12.3s",
	} {
		if got := milliseconds(ms); got != want {
			t.Errorf("%v ms is %q, want %q", ms, got, want)
		}
	}
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 24320: "23.8 KiB", 1<<20 - 1: "1.0 MiB", 1 << 40: "1.0 TiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := size(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}

func TestColorIsForTerminalsUnlessAskedFor(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tc := range []struct {
		when string
		env  func(string) string
		want bool
	}{
		{"auto", env("TERM", "xterm"), false},
		{"always", env("TERM", "xterm"), true},
		{"always", env("NO_COLOR", "1", "TERM", "dumb"), true},
		{"never", env("TERM", "xterm"), false},
	} {
		if s := NewStyle(file, tc.when, "", tc.env); s.Color != tc.want || s.Terminal {
			t.Errorf("a file with --color %s: %+v", tc.when, s)
		}
	}
	tty := terminal(t)
	for _, tc := range []struct {
		when string
		env  func(string) string
		want bool
	}{
		{"auto", env("TERM", "xterm"), true},
		{"auto", env("TERM", "xterm", "NO_COLOR", "1"), false},
		{"auto", env("TERM", "dumb"), false},
		{"always", env("TERM", "dumb"), true},
		{"never", env("TERM", "xterm"), false},
	} {
		if s := NewStyle(tty, tc.when, "", tc.env); s.Color != tc.want || !s.Terminal {
			t.Errorf("a terminal with --color %s: %+v, want color %v", tc.when, s, tc.want)
		}
	}
	for value, want := range map[string]bool{"": true, "false": true, "0": true, "1": false, "true": false} {
		if got := KeysWanted(tty, env("CI", value)); got != want {
			t.Errorf("a terminal with CI=%s: keys %v, want %v", value, got, want)
		}
	}
	if KeysWanted(file, env()) {
		t.Error("keys are read from a file")
	}
}

// refusedState has a variable of each outcome.
func refusedState() *StateDiff {
	const shop = "example.com/shop/"
	return &StateDiff{
		Carried: 2, Converted: 1, Reset: 1, Added: 1, Lost: 1, Refused: 1,
		Variables: []VariableDiff{
			{Name: shop + "rules.calls", Outcome: "carried", Old: "int", New: "int"},
			{Name: shop + "rules.last", Outcome: "lost", Old: "string", Code: "HG0002", Text: "the new code has no such variable"},
			{Name: shop + "rules.limit", Outcome: "refused", Old: "string", New: "int", Code: "HG0032", Text: "what is string cannot become int without loss, in example.com/shop/rules.limit (string before, int now)"},
			{Name: shop + "rules.load", Outcome: "reset", Old: "func()", New: "func()", Code: "HG0070", Text: "it starts as the new code makes it"},
			{Name: shop + "rules.mu", Outcome: "carried", Old: "sync.Mutex", New: "sync.Mutex", If: []string{"the lock is free"}},
			{Name: shop + "rules.next", Outcome: "added", New: "int"},
			{
				Name: shop + "rules.seen", Outcome: "converted", Old: "map[string]*example.com/shop/rules.entry", New: "map[string]*example.com/shop/rules.entry",
				Code: "HG0001", Text: "example.com/shop/rules.entry adds name; int64 becomes int16",
				If:    []string{"every int64 fits into int16", "every chan example.com/shop/rules.entry is nil"},
				Notes: []string{"function literals and method values keep the old code and what they captured"},
			},
		},
	}
}

func TestDiffJSONOfState(t *testing.T) {
	data, err := json.MarshalIndent(PluginDiff{Plugin: "pricing", Verdict: control.RestartRequired, Generation: 2, Code: "HG0032", Pending: true, State: refusedState()}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "diff_state.json.golden", string(data)+"\n")
}

func TestDiffText(t *testing.T) {
	golden(t, "diff.txt.golden", text(t, func(b *bytes.Buffer) error {
		return Diff(b, []HostDiff{
			{
				Host: "shop", PID: 812, Verdict: control.Patched, Pending: true,
				Functions: []FunctionDiff{
					{Name: "cart.(*Cart).Total", Change: "changed"},
					{Name: "main.serve", Change: "changed", Reason: "inlines cart.(*Cart).Total, which changed"},
					{Name: "cart.round", Change: "added"},
					{Name: "cart.old", Change: "removed"},
				},
				Findings: []FindingDiff{{Finding: control.Finding{Code: "HG0031", Text: "main.rate keeps its value"}}},
				Plugins:  []PluginDiff{{Plugin: "pricing", Verdict: control.Swapped, Generation: 3, Key: key8}},
			},
			{Host: "shop", PID: 813, Verdict: control.Patched, Functions: []FunctionDiff{{Name: "main.greet", Change: "changed"}}},
			{
				Host: "other", PID: 9, Verdict: control.RestartRequired, Pending: true,
				Findings: []FindingDiff{{Finding: control.Finding{Code: "HG0001", Text: "cart.Cart: its fields changed (+Note)"}, Refused: true}},
				Plugins:  []PluginDiff{{Plugin: "pricing", Verdict: control.Swapped, Key: key7, Code: "HG0001", Reason: "not patched: layout"}},
				Evidence: []control.Evidence{{What: "-race", Host: "true", Artifact: "false"}},
				Next:     "restart the host with the new code: hotgo run ./cmd/server",
			},
			{Binary: dir() + "/server", Verdict: control.Unchanged},
			{Host: "shop", PID: 815, Verdict: control.Patched, Pending: true, Plugins: []PluginDiff{
				{
					Plugin: "pricing", Verdict: control.Patched, Generation: 2, Base: 2, Key: key7, Pending: true,
					Functions: []FunctionDiff{{Name: "pricing.Price", Change: "changed"}, {Name: "pricing.round", Change: "added"}},
					Findings:  []FindingDiff{{Finding: control.Finding{Code: "HG0060", Text: "rules.Rate is inlined"}}},
				},
				{Plugin: "greet", Verdict: control.Patched, Generation: 4, Base: 3, Key: key8, Functions: []FunctionDiff{{Name: "greet.Hello", Change: "changed"}}},
				{Plugin: "tax", Verdict: control.Patched, Generation: 6, Base: 5, Key: key8, Pending: true, Reason: "back to the code of generation 5"},
			}},
			{Host: "shop", PID: 816, Verdict: control.RestartRequired, Pending: true, Plugins: []PluginDiff{
				{
					Plugin: "pricing", Verdict: control.RestartRequired, Generation: 2, Code: "HG0032", Pending: true,
					Reason: "state cannot be carried over: example.com/shop/rules.limit cannot be converted", State: refusedState(),
				},
				{Plugin: "greet", Verdict: control.Swapped, Generation: 1, Key: key8, Pending: true, State: &StateDiff{
					Carried: 1, Variables: []VariableDiff{{Name: "example.com/shop/greet.n", Outcome: "carried"}},
				}},
				{Plugin: "none", Verdict: control.Swapped, Generation: 1, Key: key8, Pending: true, State: &StateDiff{}},
				{Plugin: "tax", Verdict: control.Swapped, Key: key7, Pending: true, State: &StateDiff{Code: "HG0099", Reason: "package variables start anew: the host was built with -race"}},
			}},
			{Host: "shop", PID: 814, Verdict: control.Patched, Pending: true, Reason: "back to what the host was built from"},
		}, plain())
	}))
}
