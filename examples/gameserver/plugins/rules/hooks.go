package rules

import (
	"context"
	"fmt"

	"github.com/hotgo/hotgo/examples/gameserver/game"
	"github.com/hotgo/hotgo/examples/gameserver/plugins/rules/loot"
)

// The host calls these two before new rules are live, by name: nothing is
// imported for them. An error, or a panic, keeps the rules that are live.

// HotStart refuses loot tables that make no sense.
func HotStart(context.Context) error { return loot.Check() }

// rehearsal is how many ticks HotHealth plays.
const rehearsal = 200

// HotHealth plays a game in a world of its own. Rules that do something
// impossible to it, or panic, never get to see the real one.
func HotHealth(ctx context.Context) error {
	w := game.NewWorld(1)
	for range rehearsal {
		if err := ctx.Err(); err != nil {
			return err
		}
		Tick(w)
		for _, p := range w.Players {
			for _, m := range w.Monsters {
				if p.HP == 0 || m.HP == 0 {
					continue
				}
				if _, err := Attack(w, p.Name, m.Name); err != nil {
					return fmt.Errorf("rehearse an attack: %w", err)
				}
			}
		}
		if err := possible(w); err != nil {
			return fmt.Errorf("rehearse tick %d: %w", w.Tick, err)
		}
	}
	return nil
}

// possible checks what must hold in every world, whatever the rules.
func possible(w *game.World) error {
	for _, p := range w.Players {
		if p.HP < 0 || p.HP > p.MaxHP {
			return fmt.Errorf("%s has %d of %d hit points", p.Name, p.HP, p.MaxHP)
		}
	}
	for _, m := range w.Monsters {
		if m.HP < 0 || m.HP > m.MaxHP {
			return fmt.Errorf("the %s has %d of %d hit points", m.Name, m.HP, m.MaxHP)
		}
	}
	return nil
}
