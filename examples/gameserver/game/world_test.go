package game

import (
	"fmt"
	"slices"
	"testing"
)

func TestSameSeedGivesSameGame(t *testing.T) {
	a, b, other := NewWorld(7), NewWorld(7), NewWorld(8)
	var rolls, same, differ []int
	for range 50 {
		rolls, same, differ = append(rolls, a.Roll(6)), append(same, b.Roll(6)), append(differ, other.Roll(6))
	}
	if !slices.Equal(rolls, same) {
		t.Errorf("one seed gave %v and %v", rolls, same)
	}
	if slices.Equal(rolls, differ) {
		t.Errorf("two seeds both gave %v", rolls)
	}
	if lo, hi := slices.Min(rolls), slices.Max(rolls); lo != 1 || hi != 6 {
		t.Errorf("a die gave %d to %d", lo, hi)
	}
}

func TestWhoJoinsAgainIsTheSamePlayer(t *testing.T) {
	w := NewWorld(1)
	cyd := w.Join("cyd")
	cyd.Kills = 3
	if again := w.Join("cyd"); again != cyd || w.Player("cyd") != cyd || len(w.Players) != 3 {
		t.Errorf("joined as %+v, again as %+v", cyd, again)
	}
}

func TestNewsForgetsTheOldest(t *testing.T) {
	w := NewWorld(1)
	for i := range 3 * maxNews {
		w.Say("line %d", i)
	}
	if len(w.News) != maxNews || w.News[maxNews-1] != fmt.Sprintf("tick 0: line %d", 3*maxNews-1) {
		t.Errorf("news: %q", w.News)
	}
}
