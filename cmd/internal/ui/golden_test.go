package ui

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

const (
	key7 = "77aa10c0ffee00000000000000000000000000000000000000000000000000aa"
	key8 = "3fa91cc0ffee00000000000000000000000000000000000000000000000000bb"
)

// at gives a moment of the day that the golden files show.
func at(h, m, s int) time.Time { return time.Date(2026, 1, 2, h, m, s, 345_000_000, time.UTC) }

// dir is the current directory of the tests: absolute on every system.
func dir() string {
	d, err := filepath.Abs("/home/me/shop")
	if err != nil {
		panic(err)
	}
	return d
}

func plain() Style { return Style{Dir: dir(), Zone: time.UTC} }

// shop is the host of the tests.
func shop() control.Status {
	return control.Status{
		V: 1, Name: "shop", PID: 812, GoVersion: "go1.26.8", GOOS: "linux", GOARCH: "amd64",
		Plugins: []control.Plugin{
			{
				Name: "pricing", Live: 7, Symbols: []control.Symbol{{Name: "Price", Type: "func(Order) Money", Builtin: true}},
				Generations: []control.Generation{
					{Generation: 6, State: control.StateRetired, ResidentBytes: 200 << 10},
					{
						Generation: 7, State: control.StateLive, Key: key7, Digest: "sha256:00", Loaded: at(13, 59, 0),
						Link: "thin", ArtifactBytes: 24320, ResidentBytes: 100 << 10, MappedBytes: 1 << 20,
					},
				},
			},
			{Name: "greet", Symbols: []control.Symbol{{Name: "Hello", Type: "func() string", Builtin: true}}},
			{Name: "tax", Symbols: []control.Symbol{{Name: "Rate", Type: "func() int"}}},
		},
		Memory: control.Memory{MappedBytes: 2 << 20, ResidentBytes: 300 << 10, RSSBytes: 40 << 20},
	}
}

// day is a watch with every kind of event.
func day() []control.Event {
	file := func(name string) string { return filepath.Join(dir(), filepath.FromSlash(name)) }
	loaded := control.Event{
		V: 1, Time: at(14, 2, 11), Event: control.KindLoaded, Host: "shop", PID: 812, Plugin: "pricing", Verdict: control.Patched,
		Generation: 8, Key: key8, Digest: "sha256:5e1f", ArtifactBytes: 24320, Link: "thin",
		Functions: []string{"(*Cart).Total", "round"},
		PhasesMS:  &control.Phases{Detect: 1, Compile: 61, Link: 38, Verify: 2, Load: 1.1, Switch: 0.05, State: 0.2},
		TotalMS:   104,
	}
	slow := loaded
	slow.Time, slow.Verdict, slow.Functions, slow.Link, slow.Generation = at(14, 2, 20), control.Swapped, nil, "full", 9
	slow.PhasesMS = &control.Phases{Detect: 12, Compile: 1240, Load: 0.4, Health: 25}
	slow.TotalMS, slow.Reason = 12_345, "generation 9 was opened before and is live again"
	slow.LinkReason = "it needs 120 packages that the host lacks or has in part"
	return []control.Event{
		{V: 1, Time: at(14, 2, 0), Event: control.KindStarted, Host: "shop", PID: 812},
		{V: 1, Time: at(14, 2, 11), Event: control.KindDetected, Plugin: "pricing", Files: []string{file("pricing/rules.go")}},
		{
			V: 1, Time: at(14, 2, 11), Event: control.KindBuilt, Host: "shop", PID: 812, Plugin: "pricing", Key: key8,
			ArtifactBytes: 24320, Link: "thin", PhasesMS: &control.Phases{Compile: 61, Link: 38},
		},
		{V: 1, Time: at(14, 2, 11), Event: control.KindVerified, Host: "shop", PID: 812, Plugin: "pricing"},
		loaded,
		{V: 1, Time: at(14, 2, 12), Event: control.KindRetired, Host: "shop", PID: 812, Plugin: "pricing", Generation: 7, Key: key7},
		slow,
		{
			V: 1, Time: at(14, 2, 40), Event: control.KindFailed, Verdict: control.Failed, Host: "shop", PID: 812, Plugin: "pricing",
			Reason:      "pricing/rules.go:31:9: undefined: tax",
			Diagnostics: []control.Diagnostic{{File: file("pricing/rules.go"), Line: 31, Col: 9, Message: "undefined: tax"}},
		},
		{V: 1, Time: at(14, 3, 5), Event: control.KindUnchanged, Verdict: control.Unchanged, Plugin: "pricing", Reason: "comments only"},
		{V: 1, Time: at(14, 3, 6), Event: control.KindUnchanged, Verdict: control.Unchanged, Plugin: "pricing"},
		{
			V: 1, Time: at(14, 3, 30), Event: control.KindRestart, Verdict: control.RestartRequired, Host: "shop", PID: 812,
			Code: "HG0001", Reason: "adding Session.TTL changes its layout 48->56 bytes and the running program holds it",
		},
		{
			V: 1, Time: at(14, 3, 40), Event: control.KindRestart, Verdict: control.RestartRequired, Host: "shop", PID: 812,
			Plugin: "pricing", Code: "HG0091", Reason: "the artifact was built differently",
			Evidence: []control.Evidence{
				{What: "golang.org/x/text", Host: "v0.21.0", Artifact: "v0.22.0"},
				{What: "-trimpath", Host: "true", Artifact: "false"},
				{What: "example.com/extra", Artifact: "v1.0.0"},
			},
			Next: "hotgo build --host ./server ./pricing",
		},
		{
			V: 1, Time: at(14, 4, 0), Event: control.KindFailed, Verdict: control.Failed, Host: "shop", PID: 812, Plugin: "pricing",
			Code: control.CodeRefused, Reason: "HotStart failed: no database\nsecond line\n",
		},
		{V: 1, Time: at(14, 4, 1), Event: control.KindFailed, Verdict: control.Failed, Plugin: "unheard-of", Reason: "import cycle"},
		{V: 1, Time: at(14, 5, 0), Event: control.KindRolledBack, Host: "shop", PID: 812, Plugin: "pricing", Generation: 7, Key: key7},
		{V: 1, Time: at(14, 5, 1), Event: control.KindRolledBack, Host: "shop", PID: 812, Plugin: "pricing"},
		{V: 1, Time: at(14, 5, 2), Event: control.KindFailed, Host: "shop", PID: 812, Plugin: "pricing", Reason: "again"},
		{V: 1, Time: at(14, 6, 0), Event: control.KindHostGone, Host: "shop", PID: 812, Reason: "exit status 2"},
		{V: 1, Time: at(14, 6, 1), Event: control.KindNote, Reason: "still waiting for a host"},
		{V: 1, Time: at(14, 6, 9), Event: control.KindRestarted, Host: "shop", PID: 913, TotalMS: 1840},
		{
			V: 1, Time: at(14, 7, 0), Event: control.KindDetected,
			Files: []string{file("go.mod"), file("a.go"), file("b.go"), file("c.go"), filepath.Join(filepath.Dir(dir()), "x", "d.go")},
		},
		{V: 1, Time: at(14, 7, 1), Event: control.KindDetected},
		{
			V: 1, Time: at(14, 7, 30), Event: control.KindLoaded, Host: "shop", PID: 812, Plugin: "server", Verdict: control.Patched,
			Generation: 2, Key: key8, Link: "thin", TotalMS: 112, PhasesMS: &control.Phases{Compile: 48, Link: 31, Load: 1, Switch: 0.1, Pause: 0.06},
			Functions: []string{"cart.(*Cart).Total", "main.greet", "main.serve", "price.Round"},
			Notes: []control.Finding{
				{Code: "HG0031", Symbol: "main.rate", Text: "main.rate keeps its value; the new initialiser applies when the program starts again"},
				{Code: "HG0080", Symbol: "main.serve", Text: "2 goroutines finish main.serve on the old code"},
			},
		},
		{
			V: 1, Time: at(14, 7, 31), Event: control.KindLoaded, Host: "shop", PID: 812, Plugin: "pricing", Verdict: control.Swapped,
			Generation: 10, Key: key7, Link: "thin", Code: "HG0001", TotalMS: 98,
			Reason: "not patched: pricing.Rule: its fields changed (+Until), and the program has values of the old layout",
		},
		{
			V: 1, Time: at(14, 7, 40), Event: control.KindRestart, Verdict: control.RestartRequired, Host: "shop", PID: 812, Plugin: "server",
			Code: "HG0001", Reason: "cart.Cart: its fields changed (+Note)", Notes: []control.Finding{
				{Code: "HG0001", Symbol: "cart.Cart", Text: "cart.Cart: its fields changed (+Note)"},
				{Code: "HG0040", Symbol: "main.init", Text: "an init function of main changed, and it has run already"},
			},
			Next: "restart the host with the new code: hotgo run ./cmd/server",
		},
		{V: 1, Time: at(14, 7, 41), Event: control.KindFailed, Host: "shop", PID: 812, Plugin: "server", Reason: "again"},
		{
			V: 1, Time: at(14, 7, 50), Event: control.KindRolledBack, Verdict: control.Patched, Host: "shop", PID: 812, Plugin: "server",
			TotalMS: 12, Reason: "back to what the host was built from",
		},
		{
			V: 1, Time: at(14, 7, 51), Event: control.KindRestored, Host: "shop", PID: 914, Plugin: "server", Verdict: control.Patched,
			Generation: 1, Key: key8, Link: "thin", TotalMS: 9, Functions: []string{"main.greet"},
		},
		{
			V: 1, Time: at(14, 7, 52), Event: control.KindNotRestored, Host: "shop", PID: 914, Plugin: "tax", Key: key7, Code: control.CodeOtherBuild,
			Reason:   "it was live in another build of this host, and is kept for that",
			Evidence: []control.Evidence{{What: "build ID", Host: "new", Artifact: "old"}},
		},
		{
			V: 1, Time: at(14, 7, 53), Event: control.KindQuarantined, Host: "shop", PID: 914, Plugin: "pricing", Key: key7, Code: control.CodeRefused,
			Reason: "process 913 ended before it had been live for 30s", Next: "hotgo push --release /var/lib/shop/state-shop/artifacts/77aa.so",
		},
		{V: 1, Time: at(14, 7, 54), Event: control.KindReleased, Host: "shop", PID: 914, Plugin: "pricing", Key: key7, Reason: "was quarantined: process 913 ended"},
		{V: 1, Time: at(14, 8, 0), Event: "invented-later", Plugin: "pricing", Reason: "by a newer host"},
	}
}
