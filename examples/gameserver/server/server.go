package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/examples/gameserver/game"
	"github.com/hotgo/hotgo/examples/gameserver/plugins/rules"
	"github.com/hotgo/hotgo/pkg/reloader"
)

// plugin is the name of what is replaced: its directory's base name.
const plugin = "rules"

// server holds the state of the game; the rules that work on it are behind
// handles. Its methods may be called concurrently.
type server struct {
	host   *reloader.Host
	tick   *reloader.Handle[func(*game.World)]
	attack *reloader.Handle[func(*game.World, string, string) (game.Blow, error)]
	out    io.Writer // gets a line each tick

	mu    sync.Mutex // one rule at a time
	world *game.World
}

func newServer(host *reloader.Host, seed uint64, out io.Writer) *server {
	return &server{
		host:   host,
		tick:   reloader.Bind(host, plugin, "Tick", rules.Tick),
		attack: reloader.Bind(host, plugin, "Attack", rules.Attack),
		out:    out,
		world:  game.NewWorld(seed),
	}
}

// step lets one tick pass, by the rules that are live now.
func (s *server) step() {
	err := s.play(func(w *game.World) {
		s.tick.Get()(w)
		fmt.Fprintln(s.out, s.summary())
	})
	if err != nil {
		slog.Error("tick", "err", err)
	}
}

// summary is the world in a line. The caller holds s.mu.
func (s *server) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "tick %d", s.world.Tick)
	for _, p := range s.world.Players {
		fmt.Fprintf(&b, "  %s %d/%d", p.Name, p.HP, p.MaxHP)
	}
	for _, m := range s.world.Monsters {
		fmt.Fprintf(&b, "  %s %d/%d", m.Name, m.HP, m.MaxHP)
	}
	fmt.Fprintf(&b, "  (rules v%d)", s.tick.Generation())
	return b.String()
}

// play gives the world to a rule. A bug in new rules must not end the server
// and everybody's game with it: if the rule panics, the rules before it are
// taken back, and the world stays as far as the rule got.
func (s *server) play(rule func(*game.World)) (err error) {
	generation := s.tick.Generation()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("rules v%d panicked: %v", generation, v)
			slog.Error("panic in the rules", "value", v, "stack", string(debug.Stack()))
			s.takeBack(generation)
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	rule(s.world)
	return nil
}

// takeBack rolls back from a generation, unless others are live by now or there
// is nothing before it.
func (s *server) takeBack(generation int) {
	if generation == 0 || generation != s.tick.Generation() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := s.host.Rollback(ctx, plugin, reloader.Previous); err != nil {
		slog.Error("roll back", "plugin", plugin, "err", err)
	}
}
