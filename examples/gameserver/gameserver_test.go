//go:build linux && cgo

// The tests of this package run the server as a process of its own, edit a copy
// of this module, and look at the game from outside.
package gameserver_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/examples/gameserver/game"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func TestRulesAreReplacedWhileTheGameGoesOn(t *testing.T) {
	f := newTree(t)
	t.Run("new code over HTTP, new data over the socket, and back", func(t *testing.T) { f.t = t; replaceAndRollBack(t, f) })
	t.Run("rules that fail their rehearsal", func(t *testing.T) { f.t = t; refuseUnhealthy(t, f) })
	t.Run("rules that panic in the tick loop", func(t *testing.T) { f.t = t; takeBackPanic(t, f) })
}

// state is what the tests look at in GET /state.
type state struct {
	PID   int `json:"pid"`
	Rules int `json:"rules"`
	*game.World
}

func (p *process) state() state {
	p.t.Helper()
	var s state
	if code := p.call(http.MethodGet, "/state", "", nil, &s); code != http.StatusOK {
		p.t.Fatalf("GET /state: %d", code)
	}
	return s
}

func (p *process) attack(player, monster string) game.Blow {
	p.t.Helper()
	var blow game.Blow
	body := strings.NewReader(`{"player":"` + player + `","monster":"` + monster + `"}`)
	if code := p.call(http.MethodPost, "/attack", "", body, &blow); code != http.StatusOK {
		p.t.Fatalf("%s attacks %s: %d", player, monster, code)
	}
	return blow
}

func replaceAndRollBack(t *testing.T, f *tree) {
	p := start(t, f.binary, "-tick", "1h") // nothing happens but what the test does
	p.attack("ada", "dragon")
	if code := p.call(http.MethodPost, "/players", "", strings.NewReader(`{"name":"cyd"}`), &struct{}{}); code != http.StatusOK {
		t.Fatalf("join: %d", code)
	}
	before := p.state()
	if before.Rules != 0 || before.Monster("dragon").HP < 100 {
		t.Fatalf("the first blow left %+v", before.Monster("dragon"))
	}

	// New code, in a package below the plugin, the way curl sends it.
	var ev control.Event
	stronger := f.artifact("plugins/rules/damage/damage.go", "points = strength + roll", "points = 60 + strength + roll")
	if code := p.curl(stronger.Path, &ev); code != http.StatusOK || ev.Verdict != control.Swapped || ev.Generation != 1 {
		t.Fatalf("load: %d, %+v", code, ev)
	}
	after := p.state()
	if after.PID != before.PID || after.Rules != 1 || after.Player("cyd") == nil || after.Monster("dragon").HP != before.Monster("dragon").HP {
		t.Errorf("the state was not kept:\n%+v\n%+v", before, after)
	}
	if blow := p.attack("ada", "dragon"); blow.Damage < 60 {
		t.Errorf("a blow by the new rules: %+v", blow)
	}

	// New data, embedded three packages below, over the Unix socket.
	crowns := f.artifact("plugins/rules/loot/internal/table/tables.json", `"name": "gold", "weight": 5`, `"name": "crown", "weight": 900000`)
	loaded, err := p.socket.LoadFile(t.Context(), crowns.Path, control.LoadOptions{Digest: crowns.Digest})
	if err != nil || loaded.Verdict != control.Swapped || loaded.Generation != 2 || loaded.Caller == nil {
		t.Fatalf("load: %+v, %v", loaded, err)
	}
	var blow game.Blow
	for !blow.Slain {
		blow = p.attack("bob", "dragon")
	}
	if !slices.Contains(blow.Loot, "crown") || p.state().Player("bob").Bag["crown"] == 0 {
		t.Errorf("the dragon left %q, bob has %v", blow.Loot, p.state().Player("bob").Bag)
	}

	// Back to the version before, then to what was built in.
	if code := p.call(http.MethodPost, "/hotgo/v1/rollback", control.TypeJSON, strings.NewReader(`{"plugin":"rules"}`), &ev); code != http.StatusOK || ev.Generation != 1 {
		t.Fatalf("roll back: %d, %+v", code, ev)
	}
	if blow := p.attack("cyd", "wolf"); !blow.Slain {
		t.Errorf("a blow by the rules of generation 1: %+v", blow)
	}
	builtIn := 0
	if ev, err := p.socket.Rollback(t.Context(), "rules", &builtIn); err != nil || ev.Event != control.KindRolledBack {
		t.Fatalf("roll back: %+v, %v", ev, err)
	}
	if blow := p.attack("cyd", "rat"); blow.Damage > 8 {
		t.Errorf("a blow by the built-in rules: %+v", blow)
	}
	if s := p.state(); s.PID != before.PID || s.Rules != 0 || s.Player("bob").Bag["crown"] == 0 || s.Player("cyd").Kills == 0 {
		t.Errorf("the state after all of it: %+v", s)
	}
}

func refuseUnhealthy(t *testing.T, f *tree) {
	p := start(t, f.binary, "-tick", "1h")
	var e control.Error
	immortal := f.artifact("plugins/rules/rules.go", "p.HP = min(p.HP+regeneration, p.MaxHP)", "p.HP += regeneration")
	if code := p.curl(immortal.Path, &e); code != http.StatusUnprocessableEntity || !strings.Contains(e.Message, "HotHealth") || !strings.Contains(e.Message, "of 30 hit points") {
		t.Errorf("rules without a maximum: %d, %+v", code, e)
	}
	edit(t, f.dir, "plugins/rules/rules.go", "p.HP += regeneration", "p.HP = min(p.HP+regeneration, p.MaxHP)")
	weightless := f.artifact("plugins/rules/loot/internal/table/tables.json", `"weight": 900000`, `"weight": 0`)
	_, err := p.socket.LoadFile(t.Context(), weightless.Path, control.LoadOptions{})
	var answered *control.Error
	if !errors.As(err, &answered) || !strings.Contains(answered.Message, "the weight of crown is 0") {
		t.Errorf("a weight of 0: %v", err)
	}
	edit(t, f.dir, "plugins/rules/loot/internal/table/tables.json", `"weight": 0`, `"weight": 5`)
	if s := p.state(); s.Rules != 0 {
		t.Errorf("rules v%d are live", s.Rules)
	}
	p.attack("ada", "rat")
}

func takeBackPanic(t *testing.T, f *tree) {
	p := start(t, f.binary, "-tick", "5ms")
	p.awaitTick("(rules v0)")
	var ev control.Event
	good := f.artifact("plugins/rules/rules.go", "regeneration = 1 ", "regeneration = 2 ")
	if code := p.curl(good.Path, &ev); code != http.StatusOK {
		t.Fatalf("load: %d, %+v", code, ev)
	}
	p.awaitTick("(rules v1)")
	// The rehearsal has nobody of that name: this bug shows in the real world only.
	bad := f.artifact("plugins/rules/rules.go", "\tw.Tick++\n", "\tw.Tick++\n\tif w.Player(\"mallory\") != nil {\n\t\tpanic(\"no rule for mallory\")\n\t}\n")
	if code := p.curl(bad.Path, &ev); code != http.StatusOK {
		t.Fatalf("load: %d, %+v", code, ev)
	}
	p.awaitTick("(rules v2)")
	before := p.state()
	if code := p.call(http.MethodPost, "/players", "", strings.NewReader(`{"name":"mallory"}`), &struct{}{}); code != http.StatusOK {
		t.Fatalf("join: %d", code)
	}
	p.awaitTick("(rules v1)")
	after := p.state()
	if after.PID != before.PID || after.World.Tick <= before.World.Tick || after.Player("mallory") == nil {
		t.Errorf("before %+v, after %+v", before.World, after.World)
	}
}
