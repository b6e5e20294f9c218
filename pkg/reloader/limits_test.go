package reloader

import (
	"context"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func TestLoadsAreHeldAgainstTheLimits(t *testing.T) {
	for name, c := range map[string]struct {
		maxOld int
		budget int64
		burden burden
		over   string // options
	}{
		"no limits":                          {0, 0, burden{old: 9, mapped: 1 << 40, adds: 1}, ""},
		"room for one more":                  {2, 0, burden{old: 1}, ""},
		"as many as may be":                  {2, 0, burden{old: 2}, "Options.MaxOldGenerations"},
		"more than may be":                   {2, 0, burden{old: 3}, "Options.MaxOldGenerations"},
		"patches retire nothing":             {2, 0, burden{old: 3, patch: true}, ""},
		"the last byte":                      {0, 100, burden{mapped: 90, adds: 10}, ""},
		"one byte too many":                  {0, 100, burden{mapped: 90, adds: 11}, "Options.MemoryBudget"},
		"patches are mapped as well":         {2, 100, burden{old: 2, mapped: 90, adds: 11, patch: true}, "Options.MemoryBudget"},
		"both":                               {1, 100, burden{old: 1, mapped: 101}, "Options.MaxOldGenerations Options.MemoryBudget"},
		"what is mapped without a load fits": {1, 100, burden{mapped: 100}, ""},
	} {
		var got []string
		for _, o := range overruns(c.maxOld, c.budget, c.burden) {
			got = append(got, o.option)
			if o.text == "" || len(o.evidence) == 0 || o.evidence[0].Host == "" {
				t.Errorf("%s: %+v", name, o)
			}
		}
		if strings.Join(got, " ") != c.over {
			t.Errorf("%s: over %q, want %q", name, got, c.over)
		}
	}
}

func TestOptionsOfLimitsAreChecked(t *testing.T) {
	for _, o := range []Options{{MaxOldGenerations: -1}, {MemoryBudget: -1}, {OverLimit: "refused"}} {
		o.NoSocket = true
		if h, err := newHost(o, newFakeProcess(t).platform()); err == nil {
			h.Close()
			t.Errorf("%+v is accepted", o)
		}
	}
}

// crowded is a host that is at its limits: generation 1 has a goroutine, and 90
// bytes are mapped.
func crowded(t *testing.T, o Options) (*fakeProcess, *Host) {
	t.Helper()
	f := newFakeProcess(t)
	h := openHost(t, o, f)
	f.oldCode(1, identified("a", "/rules.loop"))
	mustLoad(t, h, f.version("pricing", "a", prices(2)))
	mustLoad(t, h, f.version("pricing", "b", prices(3)))
	f.code.run("", []uintptr{codeAt(1) + 5})
	f.code.weighs(1, 90)
	h.opts.MaxOldGenerations, h.opts.MemoryBudget = 1, 100
	return f, h
}

func TestLoadBeyondTheLimitsIsRefusedBeforeItIsOpened(t *testing.T) {
	f, h := crowded(t, Options{OverLimit: OverLimitRefuse})
	price := Bind(h, "pricing", "Price", times(1))
	path := f.version("pricing", "c", prices(4))
	for range 2 {
		e := mustFail(t, h, path, control.CodeRefused)
		for _, part := range []string{"1 old generation is still in use", "90 bytes are mapped", "budget is 100"} {
			if !strings.Contains(e.Message, part) {
				t.Errorf("message %q lacks %q", e.Message, part)
			}
		}
		if e.Next != "restart the host" || !strings.Contains(e.Limit, "MaxOldGenerations and Options.MemoryBudget") || len(e.Evidence) != 3 {
			t.Errorf("error %+v", e)
		}
	}
	if _, err := h.load(context.Background(), loadRequest{receive: func() (*copied, error) { return h.receiveFile(t.Context(), path) }, dryRun: true}); err == nil {
		t.Error("the dry run does not say so")
	}
	if len(f.opened) != 2 || price.Get()(1) != 3 {
		t.Errorf("opened %q, price %d", f.opened, price.Get()(1))
	}
	if s := h.Status(); s.RestartAdvised != "" || s.OldGenerations != 1 || s.MaxOldGenerations != 1 || s.MemoryBudgetBytes != 100 {
		t.Errorf("status %+v", s)
	}
	// What opens nothing goes on.
	if ev, err := h.Rollback(t.Context(), "pricing", 1); err != nil || ev.Generation != 1 {
		t.Errorf("rollback: %+v, %v", ev, err)
	}
	if ev := mustLoad(t, h, f.version("pricing", "b", prices(3))); ev.Generation != 2 {
		t.Errorf("a version that was opened before: %+v", ev)
	}
	f.code.run("")
	f.code.weighs(1, 0)
	h.opts.MemoryBudget = 10_000
	if ev := mustLoad(t, h, path); ev.Generation != 3 || len(ev.Notes) != 0 {
		t.Errorf("once the old generation is done: %+v", ev)
	}
}

func TestLoadBeyondTheLimitsIsMadeWithANote(t *testing.T) {
	for _, o := range []OverLimit{"", OverLimitWarn, OverLimitAdvise} {
		f, h := crowded(t, Options{OverLimit: o})
		path := f.version("pricing", "c", prices(4))
		dry, err := h.load(context.Background(), loadRequest{receive: func() (*copied, error) { return h.receiveFile(t.Context(), path) }, dryRun: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range []control.Event{dry, mustLoad(t, h, path)} {
			if len(ev.Notes) != 2 || ev.Notes[0].Code != noteOverLimit || !strings.Contains(ev.Notes[1].Text, "Options.MemoryBudget") {
				t.Errorf("%q: notes of %s: %+v", o, ev.Event, ev.Notes)
			}
		}
		advised := h.Status().RestartAdvised
		if (advised != "") != (o == OverLimitAdvise) || o == OverLimitAdvise && !strings.Contains(advised, "1 old generation is still in use") {
			t.Errorf("%q: restart advised: %q", o, advised)
		}
	}
}

func TestMetricsHaveTheLimitsAndWhatIsHeldAgainstThem(t *testing.T) {
	_, h := crowded(t, Options{})
	var b strings.Builder
	if err := writeFamilies(&b, h.families()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"hotgo_generations_old 1\n", "hotgo_old_goroutines{plugin=\"pricing\"} 1\n", "hotgo_generations_old_max 1\n",
		"hotgo_memory_budget_bytes 100\n", "hotgo_mapped_bytes 90\n",
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("metrics lack %q:\n%s", line, b.String())
		}
	}
}
