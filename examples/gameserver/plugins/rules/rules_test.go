package rules

import (
	"errors"
	"testing"

	"github.com/hotgo/hotgo/examples/gameserver/game"
)

// quiet is a world in which nobody bites.
func quiet() *game.World {
	w := game.NewWorld(1)
	w.Monsters = nil
	return w
}

func TestPlayersRegenerateUpToTheirMaximum(t *testing.T) {
	w := quiet()
	ada := w.Player("ada")
	ada.HP = ada.MaxHP - 2*regeneration
	for range 5 {
		Tick(w)
	}
	if ada.HP != ada.MaxHP {
		t.Errorf("ada has %d of %d hit points", ada.HP, ada.MaxHP)
	}
	if w.Tick != 5 {
		t.Errorf("five ticks made %d", w.Tick)
	}
}

func TestMonstersBiteOnTheirTick(t *testing.T) {
	w := game.NewWorld(1)
	w.Players = w.Players[:1]
	ada := w.Player("ada")
	for range biteEvery - 1 {
		Tick(w)
	}
	if ada.HP != ada.MaxHP {
		t.Fatalf("bitten early: %q", w.News)
	}
	Tick(w)
	if ada.HP >= ada.MaxHP {
		t.Errorf("not bitten: %q", w.News)
	}
}

func TestWhoIsDownComesBackWhole(t *testing.T) {
	w := quiet()
	ada := w.Player("ada")
	ada.HP, ada.Back = 0, absence
	for range absence - 1 {
		Tick(w)
	}
	if ada.HP != 0 {
		t.Fatal("ada came back early")
	}
	Tick(w)
	if ada.HP != ada.MaxHP || ada.Back != 0 {
		t.Errorf("ada came back as %+v", ada)
	}
}

func TestNobodyFallsBelowZero(t *testing.T) {
	w := game.NewWorld(1)
	w.Players = w.Players[:1]
	ada, dragon := w.Player("ada"), w.Monster("dragon")
	ada.HP = 1
	bite(w, dragon)
	if ada.HP != 0 || ada.Back == 0 {
		t.Errorf("bitten to %+v", ada)
	}
	bite(w, dragon) // who is down is left alone
	if ada.HP != 0 {
		t.Errorf("bitten again to %+v", ada)
	}
}

func TestSlainMonsterLeavesItsLoot(t *testing.T) {
	w := game.NewWorld(1)
	w.Monster("dragon").HP = 1
	blow, err := Attack(w, "ada", "dragon")
	if err != nil {
		t.Fatal(err)
	}
	ada := w.Player("ada")
	if !blow.Slain || blow.Damage != 1 || len(blow.Loot) == 0 || ada.Kills != 1 {
		t.Errorf("blow %+v, kills %d", blow, ada.Kills)
	}
	inBag := 0
	for _, n := range ada.Bag {
		inBag += n
	}
	if inBag != len(blow.Loot) {
		t.Errorf("found %q, the bag holds %v", blow.Loot, ada.Bag)
	}
}

func TestAttackSaysWhyNot(t *testing.T) {
	w := game.NewWorld(1)
	w.Player("bob").HP = 0
	w.Monster("rat").HP = 0
	for _, c := range []struct {
		player, monster string
		want            error
	}{
		{"eve", "wolf", game.ErrUnknown},
		{"ada", "unicorn", game.ErrUnknown},
		{"bob", "wolf", game.ErrDown},
		{"ada", "rat", game.ErrDown},
	} {
		if _, err := Attack(w, c.player, c.monster); !errors.Is(err, c.want) {
			t.Errorf("%s attacks %s: %v, want %v", c.player, c.monster, err, c.want)
		}
	}
	if hp := w.Monster("wolf").HP; hp != w.Monster("wolf").MaxHP {
		t.Errorf("the wolf was hit: %d", hp)
	}
}

func TestSameGameTwice(t *testing.T) {
	play := func() []string {
		w := game.NewWorld(42)
		for range 50 {
			Tick(w)
			_, _ = Attack(w, "ada", "wolf") // now and then one of them is down
		}
		return w.News
	}
	a, b := play(), play()
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("line %d: %q and %q", i, a[i], b[i])
		}
	}
}

func TestTheseRulesAreHealthy(t *testing.T) {
	if err := HotStart(t.Context()); err != nil {
		t.Error(err)
	}
	if err := HotHealth(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestImpossibleWorldsAreNoticed(t *testing.T) {
	w := game.NewWorld(1)
	if err := possible(w); err != nil {
		t.Fatal(err)
	}
	w.Player("bob").HP = -1
	if possible(w) == nil {
		t.Error("-1 hit points passed")
	}
	w.Player("bob").HP = 1
	w.Monster("rat").HP = 9
	if possible(w) == nil {
		t.Error("9 of 8 hit points passed")
	}
}
