// Package game is what the server and its rules have in common: the state of
// the world, and the types that cross from one to the other.
//
// The server imports it by itself, not only through the rules, so there is one
// copy of it in the process, whatever rules are live. That is why the state
// outlives them. The price: an edit here needs a restart.
package game

import (
	"fmt"
	"math/rand/v2"
)

// maxNews is how many lines of news a world remembers.
const maxNews = 20

// World is the state of a game. It is plain data and does not lock: whoever
// calls a method or a rule has it to itself.
type World struct {
	Tick     uint64     `json:"tick"`
	Players  []*Player  `json:"players"`
	Monsters []*Monster `json:"monsters"`
	News     []string   `json:"news"` // what happened last, newest at the end

	dice rand.PCG
}

// Player is somebody who fights.
type Player struct {
	Name     string         `json:"name"`
	HP       int            `json:"hp"` // 0: down
	MaxHP    int            `json:"max_hp"`
	Strength int            `json:"strength"`
	Kills    int            `json:"kills"`
	Bag      map[string]int `json:"bag"`            // item -> how many
	Back     uint64         `json:"back,omitempty"` // while down: the tick of the return
}

// Monster is somebody to fight against.
type Monster struct {
	Name     string `json:"name"`
	Kind     string `json:"kind"` // what the loot tables go by
	HP       int    `json:"hp"`   // 0: slain
	MaxHP    int    `json:"max_hp"`
	Strength int    `json:"strength"`
	Back     uint64 `json:"back,omitempty"` // while slain: the tick of the return
}

// NewWorld gives a world with two players and three monsters. The same seed and
// the same calls give the same game.
func NewWorld(seed uint64) *World {
	w := &World{
		Monsters: []*Monster{
			{Name: "rat", Kind: "vermin", HP: 8, MaxHP: 8, Strength: 1},
			{Name: "wolf", Kind: "beast", HP: 20, MaxHP: 20, Strength: 3},
			{Name: "dragon", Kind: "dragon", HP: 120, MaxHP: 120, Strength: 9},
		},
		News: []string{},
		dice: *rand.NewPCG(seed, 0),
	}
	w.Join("ada")
	w.Join("bob")
	return w
}

// Join adds a player, or gives the one of that name who is here already.
func (w *World) Join(name string) *Player {
	if p := w.Player(name); p != nil {
		return p
	}
	p := &Player{Name: name, HP: 30, MaxHP: 30, Strength: 4, Bag: map[string]int{}}
	w.Players = append(w.Players, p)
	return p
}

// Player gives the player of that name, nil if there is none.
func (w *World) Player(name string) *Player {
	for _, p := range w.Players {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// Monster gives the monster of that name, nil if there is none.
func (w *World) Monster(name string) *Monster {
	for _, m := range w.Monsters {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Roll throws a die of n sides and gives 1 to n. The dice belong to the world,
// not to the rules, so new rules go on with the same luck.
func (w *World) Roll(n int) int {
	return rand.New(&w.dice).IntN(n) + 1
}

// Say adds a line to the news.
func (w *World) Say(format string, args ...any) {
	w.News = append(w.News, fmt.Sprintf("tick %d: ", w.Tick)+fmt.Sprintf(format, args...))
	if n := len(w.News) - maxNews; n > 0 {
		w.News = append([]string{}, w.News[n:]...)
	}
}
