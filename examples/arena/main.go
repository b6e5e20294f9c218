// Command arena fights monsters, a round a second. It knows nothing of hot code
// reload but one import, and every function of it can be replaced while it runs.
package main

import (
	"fmt"
	"os"
	"time"
)

import _ "github.com/hotgo/hotgo/pkg/reloader/auto"

type monster struct {
	name   string
	health int
}

type arena struct {
	round    int
	monsters []*monster
}

func main() {
	a := &arena{monsters: []*monster{{"troll", 9000}, {"wyvern", 4000}}}
	pace := time.Second
	if d, err := time.ParseDuration(os.Getenv("ARENA_PACE")); err == nil {
		pace = d
	}
	for range time.Tick(pace) {
		fmt.Println(a.fight())
	}
}

// fight plays a round.
func (a *arena) fight() string {
	a.round++
	m := a.monsters[a.round%len(a.monsters)]
	m.health -= damage(a.round)
	return fmt.Sprintf("round %d: the %s has %d left", a.round, m.name, m.health)
}

// damage is what a blow takes.
func damage(round int) int {
	return 1 + round%3
}
