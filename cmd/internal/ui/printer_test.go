package ui

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// printed gives what a Printer writes to stdout and stderr.
func printed(t *testing.T, opt Options, do func(*Printer)) (out, text string) {
	t.Helper()
	var o, e bytes.Buffer
	opt.Out, opt.Err = &o, &e
	if opt.Style.Dir == "" {
		opt.Style.Dir, opt.Style.Zone = plain().Dir, time.UTC
	}
	do(NewPrinter(opt))
	return o.String(), e.String()
}

// watchDay sends a header and all events of a day.
func watchDay(t *testing.T) func(*Printer) {
	return func(p *Printer) {
		t.Helper()
		if err := p.Header(Header{Version: "0.1", Plugins: 3, Dirs: 41, Hosts: []control.Status{shop()}, Keys: true}); err != nil {
			t.Fatal(err)
		}
		for _, ev := range day() {
			if err := p.Event(ev); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestTextOfADay(t *testing.T) {
	for name, opt := range map[string]Options{
		"watch.txt.golden":         {},
		"watch-quiet.txt.golden":   {Quiet: true},
		"watch-verbose.txt.golden": {Verbose: true},
		"watch-color.txt.golden":   {Style: Style{Color: true, Terminal: true}},
	} {
		out, text := printed(t, opt, watchDay(t))
		if out != "" {
			t.Errorf("%s: text went to stdout: %q", name, out)
		}
		golden(t, name, text)
	}
}

func TestColorAddsNoWords(t *testing.T) {
	_, plain := printed(t, Options{}, watchDay(t))
	_, colored := printed(t, Options{Style: Style{Color: true, Terminal: true}}, watchDay(t))
	if !strings.Contains(colored, "\x1b[") {
		t.Fatal("no color at all")
	}
	var stripped []string
	for line := range strings.Lines(colored) {
		for i := strings.IndexByte(line, 0x1b); i >= 0; i = strings.IndexByte(line, 0x1b) {
			line = line[:i] + line[i+escape(line[i:]):]
		}
		stripped = append(stripped, line)
	}
	if d := cmp.Diff(plain, strings.Join(stripped, "")); d != "" {
		t.Errorf("color changes the text (-plain +colored):\n%s", d)
	}
}

func TestJSONOfADay(t *testing.T) {
	out, text := printed(t, Options{JSON: true, Quiet: true}, watchDay(t))
	if text != "" {
		t.Errorf("JSON mode wrote text: %q", text)
	}
	golden(t, "watch.json.golden", out)

	// Each line is one event, and nothing is lost on the way.
	lines := bufio.NewScanner(strings.NewReader(out))
	for i, want := range day() {
		if !lines.Scan() {
			t.Fatalf("event %d is missing", i)
		}
		var got control.Event
		if err := json.Unmarshal(lines.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("event %d (-sent +read):\n%s", i, d)
		}
	}
	if lines.Scan() {
		t.Errorf("one line too many: %s", lines.Text())
	}
}

func TestEventsWithoutTimeGetTheClocks(t *testing.T) {
	now := func() time.Time { return at(9, 0, 0) }
	out, _ := printed(t, Options{JSON: true, Now: now}, func(p *Printer) {
		if err := p.Note("waiting"); err != nil {
			t.Fatal(err)
		}
	})
	want := `{"v":1,"time":"2026-01-02T09:00:00.345Z","event":"note","reason":"waiting"}` + "\n"
	if out != want {
		t.Errorf("%s, want %s", out, want)
	}
}

func TestFailureNamesWhatStillRuns(t *testing.T) {
	fail := func(host string, pid, generation int) control.Event {
		return control.Event{
			Time: at(1, 2, 3), Event: control.KindFailed, Plugin: "pricing", Reason: "no",
			Host: host, PID: pid, Generation: generation,
		}
	}
	other := shop()
	other.PID = 900
	newer := shop()
	newer.PID = 901
	newer.Plugins[0].Live = 6
	for _, tc := range []struct {
		name  string
		seeds []control.Status
		ev    control.Event
		want  string
	}{
		{"from the status", []control.Status{shop()}, fail("shop", 812, 0), "still running v7 77aa10"},
		{"no host named, one version everywhere", []control.Status{shop(), other}, fail("", 0, 0), "still running v7 77aa10"},
		{"no host named, several versions", []control.Status{shop(), newer}, fail("", 0, 0), "still running different versions"},
		{"from the event", nil, fail("shop", 812, 5), "still running v5"},
		{"unknown", nil, fail("", 0, 0), ""},
		{"unknown in this host", []control.Status{other}, fail("shop", 812, 0), ""},
	} {
		_, text := printed(t, Options{}, func(p *Printer) {
			for _, st := range tc.seeds {
				p.Seed(st)
			}
			if err := p.Event(tc.ev); err != nil {
				t.Fatal(err)
			}
		})
		_, below, _ := strings.Cut(text, "\n")
		if got := strings.TrimSpace(below); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestFailureOfTheHostsOwnCodeNamesItAsBuilt(t *testing.T) {
	st := shop()
	st.Package = "example.com/shop/cmd/server"
	_, text := printed(t, Options{}, func(p *Printer) {
		p.Seed(st)
		for _, ev := range []control.Event{
			{Time: at(1, 2, 3), Event: control.KindFailed, Host: "shop", PID: 812, Plugin: "server", Reason: "no"},
			{Time: at(1, 2, 4), Event: control.KindFailed, Plugin: "server", Reason: "no"},
		} {
			if err := p.Event(ev); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n := strings.Count(text, "still running as built\n"); n != 2 {
		t.Errorf("what serves is named %d times, want twice:\n%s", n, text)
	}
}

func TestEndedHostsVersionIsForgotten(t *testing.T) {
	_, text := printed(t, Options{}, func(p *Printer) {
		p.Seed(shop())
		for _, ev := range []control.Event{
			{Event: control.KindRestarted, Host: "shop", PID: 913},
			{Event: control.KindFailed, Plugin: "pricing", Reason: "no"},
		} {
			if err := p.Event(ev); err != nil {
				t.Fatal(err)
			}
		}
	})
	if strings.Contains(text, "still running") {
		t.Errorf("a process that has ended still runs something:\n%s", text)
	}
}

func TestSeveralHostsAreNamedOnEachLine(t *testing.T) {
	second := shop()
	second.Name, second.PID = "shop-b", 813
	_, text := printed(t, Options{}, func(p *Printer) {
		if err := p.Header(Header{Version: "0.1", Plugins: 1, Dirs: 1, Hosts: []control.Status{shop(), second}}); err != nil {
			t.Fatal(err)
		}
		for _, pid := range []int{812, 813} {
			ev := day()[4]
			ev.PID = pid
			if pid == 813 {
				ev.Host = "shop-b"
			}
			if err := p.Event(ev); err != nil {
				t.Fatal(err)
			}
		}
	})
	golden(t, "two-hosts.txt.golden", text)
}

func TestFallbackToAFullLinkIsToldWhenItIsNews(t *testing.T) {
	event := func(kind control.Kind, link, why string) control.Event {
		return control.Event{Time: at(1, 2, 3), Event: kind, Plugin: "pricing", Link: link, LinkReason: why}
	}
	built, loaded := control.KindBuilt, control.KindLoaded
	told := []string{}
	say := func(opt Options, evs ...control.Event) []string {
		_, text := printed(t, opt, func(p *Printer) {
			for _, ev := range evs {
				if err := p.Event(ev); err != nil {
					t.Fatal(err)
				}
			}
		})
		told = told[:0]
		for line := range strings.Lines(text) {
			if _, why, ok := strings.Cut(line, "full: "); ok {
				told = append(told, strings.TrimSpace(why))
			}
		}
		return told
	}
	for name, c := range map[string]struct {
		events []control.Event
		want   []string
	}{
		"thin is no news":          {[]control.Event{event(built, "thin", ""), event(loaded, "thin", "")}, []string{}},
		"asked for is no news":     {[]control.Event{event(built, "full", "asked for"), event(loaded, "full", "asked for")}, []string{}},
		"once":                     {[]control.Event{event(built, "full", "a"), event(loaded, "full", "a"), event(loaded, "full", "a")}, []string{"a"}},
		"another reason":           {[]control.Event{event(loaded, "full", "a"), event(loaded, "full", "b")}, []string{"a", "b"}},
		"again after it was thin":  {[]control.Event{event(loaded, "full", "a"), event(loaded, "thin", ""), event(loaded, "full", "a")}, []string{"a", "a"}},
		"from the store, no build": {[]control.Event{event(loaded, "full", "a")}, []string{"a"}},
	} {
		for _, opt := range []Options{{}, {Verbose: true}} {
			if d := cmp.Diff(c.want, say(opt, c.events...)); d != "" {
				t.Errorf("%s, verbose %v (-want +got):\n%s", name, opt.Verbose, d)
			}
		}
	}
}

func TestDiagnosticsAreCapped(t *testing.T) {
	ev := control.Event{Time: at(1, 2, 3), Event: control.KindFailed, Plugin: "pricing"}
	for i := range 25 {
		ev.Diagnostics = append(ev.Diagnostics, control.Diagnostic{File: "x.go", Line: i + 1, Message: "undefined:\n\tx"})
	}
	_, text := printed(t, Options{}, func(p *Printer) {
		if err := p.Event(ev); err != nil {
			t.Fatal(err)
		}
	})
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) != 11 || !strings.HasSuffix(lines[9], " x.go:10: undefined: x") || strings.TrimSpace(lines[10]) != "and 15 more" {
		t.Errorf("%d lines:\n%s", len(lines), text)
	}
}

// What hosts, compilers and file names say must not reach a terminal raw.
func TestForeignTextCannotDriveTheTerminal(t *testing.T) {
	evil := "a\x1b]0;title\a\x1b[2J\u009b31m\r\nb\u202etxt"
	ev := control.Event{
		Host: evil, Plugin: evil, Verdict: control.Verdict(evil), Key: evil, Digest: evil, Artifact: evil,
		Link: evil, LinkReason: evil, Signer: evil, Functions: []string{evil}, Files: []string{evil}, Code: "HG" + evil, Reason: evil, Next: evil,
		ArtifactBytes: 1, Generation: 3, PID: 5,
		Evidence:    []control.Evidence{{What: evil, Host: evil, Artifact: evil}},
		Diagnostics: []control.Diagnostic{{File: evil, Line: 1, Message: evil}},
	}
	st := control.Status{
		Name: evil, GoVersion: evil, PID: 5, TrustedKeys: []string{evil},
		Plugins: []control.Plugin{{Name: evil, Live: 3, Generations: []control.Generation{{Generation: 3, Key: evil, Link: evil, LinkReason: evil, Signer: evil}}}},
	}
	var events []control.Event
	for _, kind := range []control.Kind{
		control.KindStarted, control.KindDetected, control.KindBuilt, control.KindLoaded, control.KindUnchanged, control.KindRestart,
		control.KindFailed, control.KindRolledBack, control.KindHostGone, control.KindNote, control.Kind(evil),
	} {
		ev.Event = kind
		events = append(events, ev)
	}
	_, text := printed(t, Options{Verbose: true, Asks: true, Style: Style{Terminal: true}}, func(p *Printer) {
		if err := p.Header(Header{Version: evil, Hosts: []control.Status{st, {Name: "b", PID: 6}}}); err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if err := p.Event(ev); err != nil {
				t.Fatal(err)
			}
			p.Ask(ev)
		}
	})
	var other bytes.Buffer
	if err := errors.Join(
		Status(&other, []control.Status{st}, true, plain()),
		History(&other, control.History{Events: events}, plain()),
		PrintProblem(&other, Problem{
			What: evil, Details: []string{evil}, Evidence: ev.Evidence, Diagnostics: ev.Diagnostics, Limit: evil, Next: evil,
		}, plain()),
		JSON(&other, events),
	); err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{"events": text, "tables and problems": other.String()} {
		for _, bad := range []string{"\x1b", "\u009b", "\a", "\r", "\u202e"} {
			if i := strings.Index(got, bad); i >= 0 {
				t.Errorf("%s hold %q: %q", name, bad, got[max(0, i-40):min(len(got), i+20)])
			}
		}
	}
}

func TestRestartQuestion(t *testing.T) {
	restart := day()[10]
	terminal := Style{Terminal: true}
	ask := func(p *Printer) bool {
		if err := p.Event(restart); err != nil {
			t.Fatal(err)
		}
		return p.Ask(restart)
	}

	t.Run("StandsBehindTheReason", func(t *testing.T) {
		_, text := printed(t, Options{Asks: true, Style: terminal}, func(p *Printer) {
			if !ask(p) {
				t.Error("not asked")
			}
		})
		if !strings.HasSuffix(text, "holds it   restart? [y/N/always] ") {
			t.Errorf("%q", text)
		}
	})
	t.Run("IsRepeatedBelowOtherLines", func(t *testing.T) {
		_, text := printed(t, Options{Asks: true, Style: terminal}, func(p *Printer) {
			ask(p)
			if err := p.Note("hello"); err != nil {
				t.Fatal(err)
			}
		})
		lines := strings.Split(text, "\n")
		if len(lines) != 3 || !strings.HasSuffix(lines[1], "hello") || lines[2] != "restart shop (pid 812)? [y/N/always] " {
			t.Errorf("%q", lines)
		}
	})
	t.Run("IsGoneAfterTheAnswer", func(t *testing.T) {
		_, text := printed(t, Options{Asks: true, Style: terminal}, func(p *Printer) {
			ask(p)
			p.Entered()
			if err := p.Note("hello"); err != nil {
				t.Fatal(err)
			}
		})
		if strings.Count(text, "restart") != 1 || !strings.HasSuffix(text, "hello\n") {
			t.Errorf("%q", text)
		}
	})
	t.Run("IsGoneAfterTheRestart", func(t *testing.T) {
		_, text := printed(t, Options{Asks: true, Style: terminal}, func(p *Printer) {
			ask(p)
			if err := p.Event(control.Event{Event: control.KindRestarted, Host: "shop", PID: 913}); err != nil {
				t.Fatal(err)
			}
		})
		if strings.Count(text, "restart?") != 1 || !strings.HasSuffix(text, "pid 913\n") {
			t.Errorf("%q", text)
		}
	})
	for name, opt := range map[string]Options{
		"NotWithoutATerminal": {Asks: true},
		"NotWithoutKeys":      {Style: terminal},
		"NotWithJSON":         {Asks: true, JSON: true, Style: terminal},
	} {
		t.Run(name, func(t *testing.T) {
			out, text := printed(t, opt, func(p *Printer) {
				if ask(p) {
					t.Error("asked")
				}
			})
			if strings.Contains(text, "restart?") || !strings.HasSuffix(out+text, "\n") {
				t.Errorf("%q", out+text)
			}
		})
	}
}

func TestClearNeedsAScreen(t *testing.T) {
	for name, tc := range map[string]struct {
		opt  Options
		want string
	}{
		"terminal": {Options{Style: Style{Terminal: true}}, "\x1b[H\x1b[2J\x1b[3J"},
		"dumb":     {Options{Style: Style{Terminal: true, Dumb: true}}, ""},
		"file":     {Options{}, ""},
		"JSON":     {Options{JSON: true, Style: Style{Terminal: true}}, ""},
	} {
		out, text := printed(t, tc.opt, func(p *Printer) {
			if err := p.Clear(); err != nil {
				t.Fatal(err)
			}
		})
		if out != "" || text != tc.want {
			t.Errorf("%s: %q %q", name, out, text)
		}
	}
}

func TestHelpNamesEveryKey(t *testing.T) {
	_, text := printed(t, Options{}, func(p *Printer) {
		if err := errors.Join(p.Help(), p.Unknown()); err != nil {
			t.Fatal(err)
		}
	})
	golden(t, "help.txt.golden", text)
}

func TestWriteErrorIsReported(t *testing.T) {
	gone := errors.New("reader has gone")
	for _, asJSON := range []bool{false, true} {
		p := NewPrinter(Options{Out: failing{gone}, Err: failing{gone}, JSON: asJSON})
		if err := p.Note("x"); !errors.Is(err, gone) {
			t.Errorf("JSON %v: %v", asJSON, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestConcurrentEventsKeepTheirLines(t *testing.T) {
	_, text := printed(t, Options{}, func(p *Printer) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 20 {
					_ = p.Event(control.Event{
						Time: at(1, 1, 1), Event: control.KindFailed, Plugin: "pricing",
						Reason: fmt.Sprintf("first %d\nsecond %d", i, i),
					})
				}
			})
		}
		wg.Wait()
	})
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		first, second := lines[i][len(lines[i])-1:], lines[i+1][len(lines[i+1])-1:]
		if first != second || !strings.Contains(lines[i+1], "second") {
			t.Fatalf("lines %d and %d do not belong together:\n%s\n%s", i, i+1, lines[i], lines[i+1])
		}
	}
}
