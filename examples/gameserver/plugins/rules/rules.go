// Package rules decides what happens in the world. It is the part of the game
// that can be replaced while the server runs, together with the packages below
// it. The server imports it too, as what it starts with.
//
// It keeps no state: that is in game.World, which the server holds.
package rules

import (
	"fmt"

	"github.com/hotgo/hotgo/examples/gameserver/game"
	"github.com/hotgo/hotgo/examples/gameserver/plugins/rules/damage"
	"github.com/hotgo/hotgo/examples/gameserver/plugins/rules/loot"
)

// Numbers to play with while the server runs.
const (
	regeneration = 1 // hit points that a player gets back each tick
	biteEvery    = 3 // ticks between two bites of a monster
	absence      = 5 // ticks that the struck down stay away
)

// Tick lets one tick pass: players regenerate, who was down comes back, and
// every few ticks each monster bites a player.
func Tick(w *game.World) {
	w.Tick++
	for _, p := range w.Players {
		switch {
		case p.HP > 0:
			p.HP = min(p.HP+regeneration, p.MaxHP)
		case w.Tick >= p.Back:
			p.HP, p.Back = p.MaxHP, 0
			w.Say("%s is back", p.Name)
		}
	}
	for _, m := range w.Monsters {
		if m.HP == 0 && w.Tick >= m.Back {
			m.HP, m.Back = m.MaxHP, 0
			w.Say("the %s is back", m.Name)
		}
	}
	if w.Tick%biteEvery == 0 {
		for _, m := range w.Monsters {
			bite(w, m)
		}
	}
}

// bite lets a monster bite whom the dice choose.
func bite(w *game.World, m *game.Monster) {
	p := w.Players[w.Roll(len(w.Players))-1]
	if m.HP == 0 || p.HP == 0 {
		return
	}
	points := min(damage.Bite(m.Strength), p.HP)
	p.HP -= points
	w.Say("the %s bites %s for %d", m.Name, p.Name, points)
	if p.HP == 0 {
		p.Back = w.Tick + absence
		w.Say("%s is down", p.Name)
	}
}

// Attack lets a player strike a monster once. What a slain monster leaves
// behind goes into the player's bag.
//
// Errors: game.ErrUnknown, game.ErrDown.
func Attack(w *game.World, player, monster string) (game.Blow, error) {
	p, m := w.Player(player), w.Monster(monster)
	switch {
	case p == nil:
		return game.Blow{}, fmt.Errorf("%q: %w", player, game.ErrUnknown)
	case m == nil:
		return game.Blow{}, fmt.Errorf("%q: %w", monster, game.ErrUnknown)
	case p.HP == 0:
		return game.Blow{}, fmt.Errorf("%s %w", p.Name, game.ErrDown)
	case m.HP == 0:
		return game.Blow{}, fmt.Errorf("the %s %w", m.Name, game.ErrDown)
	}
	blow := game.Blow{Player: p.Name, Monster: m.Name}
	blow.Damage, blow.Critical = damage.Blow(p.Strength, w.Roll(6))
	blow.Damage = min(blow.Damage, m.HP)
	m.HP -= blow.Damage
	w.Say("%s hits the %s for %d", p.Name, m.Name, blow.Damage)
	if m.HP > 0 {
		return blow, nil
	}
	blow.Slain, m.Back = true, w.Tick+absence
	p.Kills++
	blow.Loot = loot.Of(m.Kind, w.Roll)
	for _, item := range blow.Loot {
		p.Bag[item]++
	}
	w.Say("%s slays the %s and finds %d things", p.Name, m.Name, len(blow.Loot))
	return blow, nil
}
