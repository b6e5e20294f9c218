//go:build cgo

package livepatch_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// Code is changed in processes of their own, testdata/target, each of which has
// one scenario to go through.

// variant is a way of building the target.
type variant struct {
	name string
	args []string
	env  []string
}

var variants = append([]variant{
	{name: "plain"},
	{name: "pie", args: []string{"-buildmode=pie"}},
	{name: "race", args: []string{"-race"}},
	{name: "unoptimised", args: []string{"-gcflags=all=-N -l"}},
}, otherReleases()...)

// otherReleases are the known releases of Go that are installed besides this
// one. Nothing is downloaded.
func otherReleases() (found []variant) {
	out, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		return nil
	}
	paths, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "golang.org", "toolchain@v0.0.1-go1.2[67]*.linux-amd64"))
	for _, path := range paths {
		_, name, _ := strings.Cut(strings.TrimSuffix(filepath.Base(path), ".linux-amd64"), "@v0.0.1-")
		if name != runtime.Version() {
			found = append(found, variant{name: name, env: []string{"GOTOOLCHAIN=" + name}})
		}
	}
	return found
}

// targets builds each variant at most once.
var targets = struct {
	sync.Mutex
	dir  string
	done map[string]error
}{done: map[string]error{}}

func TestMain(m *testing.M) {
	code := m.Run()
	if targets.dir != "" {
		os.RemoveAll(targets.dir)
	}
	os.Exit(code)
}

// target gives the program, built as v says.
func target(t testing.TB, v variant) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds programs")
	}
	targets.Lock()
	defer targets.Unlock()
	if targets.dir == "" {
		dir, err := os.MkdirTemp("", "hotgo-livepatch-")
		if err != nil {
			t.Fatal(err)
		}
		targets.dir = dir
	}
	path := filepath.Join(targets.dir, v.name)
	err, built := targets.done[v.name]
	if !built {
		env := append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-buildvcs=false", "GOPROXY=off")
		env = append(env, v.env...)
		cmd := exec.Command("go", append(append([]string{"build", "-o", path}, v.args...), "./testdata/target")...)
		cmd.Env = env
		var out []byte
		if out, err = cmd.CombinedOutput(); err != nil {
			err = fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
		targets.done[v.name] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// run goes through a scenario and gives what it printed before its "ok".
func run(t testing.TB, v variant, scenario string, env ...string) string {
	t.Helper()
	cmd := exec.Command(target(t, v), scenario)
	cmd.Env = append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	text, ok := strings.CutSuffix(out.String(), "ok\n")
	if err != nil || !ok {
		t.Fatalf("%s: %v\n%s", cmd, err, out.String())
	}
	if strings.HasPrefix(text, "skip") {
		t.Skip(text)
	}
	return text
}

func inEveryVariant(t *testing.T, check func(t *testing.T, v variant)) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) { check(t, v) })
	}
}

func TestEveryCallerGetsTheNewFunction(t *testing.T) {
	inEveryVariant(t, func(t *testing.T, v variant) { run(t, v, "calls") })
}

func TestNobodyWritesWhileTheWorldStandsStill(t *testing.T) {
	inEveryVariant(t, func(t *testing.T, v variant) {
		if v.name == "race" {
			return // the detector cannot know that nothing else runs
		}
		run(t, v, "still")
	})
}

func TestRollbackRestoresEveryByte(t *testing.T) {
	inEveryVariant(t, func(t *testing.T, v variant) { run(t, v, "rollback") })
}

func TestRefusedSetChangesNothing(t *testing.T) {
	inEveryVariant(t, func(t *testing.T, v variant) { run(t, v, "refusals") })
}

func TestSystemThatForbidsChangingCodeIsToldApart(t *testing.T) {
	run(t, variants[0], "locked")
	run(t, variants[0], "locked", "TARGET_FIRST=1")
}

// The three that follow break the program, now and then, where nobody looks for
// goroutines inside of what is written.
func TestGoroutinesThatWereInterruptedGoOnUnharmed(t *testing.T) {
	for _, v := range variants {
		rounds := 200
		if v.name == "race" {
			rounds = 60
		}
		t.Run(v.name, func(t *testing.T) {
			t.Log(run(t, v, "soak", "GOGC=1", fmt.Sprint("TARGET_ROUNDS=", rounds)))
		})
	}
}

func TestNobodyJumpsIntoAFreshJump(t *testing.T) {
	t.Log(run(t, variants[0], "loop", "TARGET_ROUNDS=1"))
}

func TestFunctionBelowABlockedCallIsNotReplacedWhereItWouldJumpBack(t *testing.T) {
	run(t, variants[0], "nosplit")
}

// BenchmarkPause reports how long the world stands still for a change, with
// 10,000 goroutines around: where every function checks its stack, where one does
// not, and where only pointers change.
func BenchmarkPause(b *testing.B) {
	for b.Loop() {
		for line := range strings.Lines(run(b, variants[0], "pause")) {
			var what string
			var median, p99, most float64
			if _, err := fmt.Sscanf(line, "pause %s %f %f %f", &what, &median, &p99, &most); err != nil {
				b.Fatal(line, err)
			}
			b.ReportMetric(median/1e3, what+"-median-µs")
			b.ReportMetric(p99/1e3, what+"-p99-µs")
		}
	}
}

// BenchmarkCall reports what a call of an empty function costs, and of one that
// is replaced.
func BenchmarkCall(b *testing.B) {
	for b.Loop() {
		var before, after float64
		if _, err := fmt.Sscanf(run(b, variants[0], "cost"), "cost %f %f", &before, &after); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(before, "plain-ns/call")
		b.ReportMetric(after, "patched-ns/call")
	}
}
