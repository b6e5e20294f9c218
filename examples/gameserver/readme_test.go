//go:build linux && cgo

package gameserver_test

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hotgo/hotgo/examples/gameserver/game"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// shell runs the commands of README.md in a copy of this module.
type shell struct {
	t      *testing.T
	dir    string
	env    []string
	adapts *strings.Replacer // what differs from the README: port and places
}

func newShell(t *testing.T) *shell {
	t.Helper()
	if testing.Short() {
		t.Skip("builds the server, plugins and hotgo")
	}
	// Sockets and artifacts of its own: other hosts may run on this machine.
	run := shortDir(t)
	return &shell{t: t, dir: copyModule(t), env: append(os.Environ(),
		"XDG_RUNTIME_DIR="+run, "TMPDIR="+run, "HOTGO_ARTIFACT_DIR="+t.TempDir(), "HOTGO_SOCKET=")}
}

func (s *shell) command(line string) *exec.Cmd {
	if s.adapts != nil {
		line = s.adapts.Replace(line)
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = s.dir, s.env
	return cmd
}

// run gives what a command prints on stdout.
func (s *shell) run(line string) string {
	s.t.Helper()
	cmd := s.command(line)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("%s: %v\n%s%s", line, err, out, &stderr)
	}
	return string(out)
}

// answer decodes what a command prints.
func (s *shell) answer(line string, into any) {
	s.t.Helper()
	out := s.run(line)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		s.t.Fatalf("%s: %v in %q", line, err, out)
	}
}

const attack = `curl -d '{"player":"ada","monster":"dragon"}' localhost:8080/attack`

func TestReadmeWithHotgoRun(t *testing.T) {
	s := newShell(t)
	hotgo := s.command("exec " + "go tool hotgo run ./server" + " -- -port 0 -tick 1h")
	stderr, err := hotgo.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 1000)
	go func() {
		defer close(said)
		for sc := bufio.NewScanner(stderr); sc.Scan(); {
			said <- sc.Text()
		}
	}()
	await := func(words ...string) {
		t.Helper()
		var all []string
		for line := range said {
			all = append(all, line)
			missing := false
			for _, w := range words {
				missing = missing || !strings.Contains(line, w)
			}
			if !missing {
				return
			}
		}
		t.Fatalf("hotgo did not say %q but\n%s", words, strings.Join(all, "\n"))
	}
	p := launch(t, hotgo, syscall.SIGINT, 130)
	s.adapts = strings.NewReplacer("localhost:8080", strings.TrimPrefix(p.url, "http://"))
	await("watching 1 plugin", "-> gameserver")

	var before, after game.Blow
	s.answer(attack, &before)
	edit(t, s.dir, "plugins/rules/damage/damage.go", "points = strength + roll", "points = 60 + strength + roll")
	await("rules", "changed", "plugins/rules/damage/damage.go")
	await("rules", "swapped")
	s.answer(attack, &after)
	if before.Damage >= 60 || after.Damage < 60 {
		t.Errorf("blows before and after the edit: %+v, %+v", before, after)
	}

	edit(t, s.dir, "plugins/rules/rules.go", "p.HP = min(p.HP+regeneration, p.MaxHP)", "p.HP += regeneration")
	await("rules", "FAILED", "HotHealth failed", "of 30 hit points")
	edit(t, s.dir, "plugins/rules/rules.go", "p.HP += regeneration", "p.HP = min(p.HP+regeneration, p.MaxHP)")
	await("rules", "unchanged")

	live := p.state().Rules
	s.run("go tool hotgo rollback rules")
	if now := p.state().Rules; now >= live {
		t.Errorf("rolled back from v%d to v%d", live, now)
	}
	if out := s.run("go tool hotgo status"); !strings.Contains(out, "gameserver") || !strings.Contains(out, "rules") {
		t.Errorf("status printed %q", out)
	}
	edit(t, s.dir, "game/world.go", "maxNews = 20", "maxNews = 30")
	await("RESTART REQUIRED", "HG0090", "game/world.go")
}

func TestReadmeByCurlAlone(t *testing.T) {
	s := newShell(t)
	binary := filepath.Join(t.TempDir(), "gameserver")
	s.adapts = strings.NewReplacer("/tmp/gameserver", binary)
	s.run("go build -o /tmp/gameserver ./server")
	p := start(t, binary, "-tick", "1h") // $ /tmp/gameserver &
	s.adapts = strings.NewReplacer("/tmp/gameserver", binary, "localhost:8080", strings.TrimPrefix(p.url, "http://"))

	var before, after, back game.Blow
	s.answer(attack, &before)
	edit(t, s.dir, "plugins/rules/damage/damage.go", "points = strength + roll", "points = 20 + strength + roll")
	artifact := s.run("go tool hotgo build --host /tmp/gameserver ./plugins/rules")
	if _, err := os.Stat(strings.TrimSpace(artifact)); err != nil {
		t.Errorf("build printed %q: %v", artifact, err)
	}
	var ev control.Event
	s.answer(`curl -H 'Content-Type: application/octet-stream' --data-binary @"$(go tool hotgo build --host /tmp/gameserver ./plugins/rules)" localhost:8080/hotgo/v1/load`, &ev)
	if ev.Verdict != control.Swapped || ev.Generation != 1 {
		t.Errorf("load: %+v", ev)
	}
	s.answer(attack, &after)
	var status control.Status
	s.answer("curl localhost:8080/hotgo/v1/status", &status)
	if len(status.Plugins) != 1 || status.Plugins[0].Live != 1 {
		t.Errorf("status: %+v", status)
	}
	s.answer(`curl -H 'Content-Type: application/json' -d '{"plugin":"rules"}' localhost:8080/hotgo/v1/rollback`, &ev)
	s.answer(attack, &back)
	if before.Damage >= 24 || after.Damage < 24 || back.Damage >= 24 {
		t.Errorf("blows before, after and back: %+v, %+v, %+v", before, after, back)
	}
}
