//go:build unix

// Package scripttest runs the scripts of cmd/testdata/script: the command line's
// contract, one property a script. Its own tests are those scripts that load plugins,
// but for those of watch and run, which are of the package below; cmd's are the others.
// go test gives a package ten minutes.
package scripttest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hotgo/hotgo/cmd"
)

// Main is the TestMain of packages whose tests are scripts: it makes the test's binary
// the hotgo that scripts run, and the ssh that they find. It does not return.
func Main(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"hotgo": func() {
			os.Exit(cmd.Execute(
				os.Args[1:],
				cmd.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
				cmd.Build{Version: "v0.0.0-test"},
			))
		},
		"ssh": func() { os.Exit(fakeSSH(os.Args[1:])) },
	})
}

// patience is how long a condition may take to come true. It is long because
// it costs nothing where the condition does come true.
const patience = time.Minute

// # Scripts
//
// They have these commands beside testscript's own:
//
//	code N COMMAND ARGS…   run, and want exit code N; stdout and stderr as after exec
//	gomod MODULE           write a go.mod that takes hotgo from this repository
//	edit FILE OLD NEW      replace text in a file, all of it or none
//	start NAME COMMAND…    run in the background, output in NAME.out and NAME.err
//	interrupt NAME         what Ctrl-C does
//	murder NAME            what kill -9 does
//	end NAME N             wait for the end, and want exit code N
//	waitfor FILE REGEXP    wait until the file's text matches; ! waitfor is not there:
//	                       "never" takes for ever to prove
//	hosts N                wait until N hosts answer
//
// Each script has a home, a runtime directory and a directory for temporary
// files of its own, so sockets, artifacts and settings stay inside; the go
// command's caches are shared, and its network is off. What a script leaves
// running fails it.
//
// A script that loads plugins ([plugins]) runs as thin/NAME, and as full/NAME where
// HOTGO_TEST_FULL is set, as in CI, or where there is no thin: what it says holds for
// both ways of linking. There is no falling back in it, for thin is asked for by name.
// What differs is kept apart by [thin] and [full]. All others run once, as once/NAME; so
// do those about patches ([patches]).

// Loading runs the scripts that load plugins: those of watch and run, or those of all
// other verbs.
func Loading(t *testing.T, loops bool) {
	loading, _ := split(t)
	loading = slices.DeleteFunc(loading, func(file string) bool {
		verb, _, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txtar"), "_")
		return (verb == "watch" || verb == "run") != loops
	})
	run(t, "thin", loading, "thin")
	if os.Getenv("HOTGO_TEST_FULL") != "" || runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		run(t, "full", loading, "full")
	}
}

// Others runs all other scripts.
func Others(t *testing.T) {
	_, others := split(t)
	run(t, "once", others, "")
}

// split lists the scripts.
func split(t *testing.T) (loading, others []string) {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(repository(t), "cmd", "testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "[!plugins] skip") {
			loading = append(loading, file)
		} else {
			others = append(others, file)
		}
	}
	return loading, others
}

// repository gives the directory of the module under test.
func repository(t *testing.T) string {
	t.Helper()
	return filepath.Dir(goEnv(t, "GOMOD")["GOMOD"])
}

// run runs scripts beside others, with HOTGO_LINK set to link; "" leaves it unset.
func run(t *testing.T, name string, files []string, link string) {
	repo, caches := repository(t), goEnv(t, "GOCACHE", "GOMODCACHE", "GOPATH")
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		testscript.Run(t, params(files, link, repo, caches))
	})
}

func params(files []string, link, repo string, caches map[string]string) testscript.Params {
	return testscript.Params{
		Files:               files,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       *update,
		Setup: func(env *testscript.Env) error {
			for name, value := range caches {
				env.Setenv(name, value)
			}
			env.Setenv("SCRIPT_REPO", repo)
			env.Setenv("GOOS", runtime.GOOS)
			env.Setenv("GOARCH", runtime.GOARCH)
			if link != "" {
				env.Setenv("HOTGO_LINK", link)
			}
			return isolate(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": cmdCode, "gomod": cmdGomod, "edit": cmdEdit, "start": cmdStart,
			"interrupt": cmdSignal(os.Interrupt), "murder": cmdSignal(os.Kill), "end": cmdEnd,
			"waitfor": cmdWaitfor, "hosts": cmdHosts,
			// background.go, commands.go
			"fixture": cmdFixture, "fleet": cmdFleet, "example": cmdExample, "serves": cmdServes, "distinct": cmdDistinct, "count": cmdCount,
			"vimsave": cmdSave(vimSave), "codesave": cmdSave(codeSave), "golandsave": cmdSave(golandSave),
			"normalise": cmdNormalise, "goproxy": cmdGoproxy, "built": cmdBuilt,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "plugins": // what it takes to load one
				_, err := exec.LookPath("gcc")
				// Elsewhere there are no thin artifacts.
				missing := link == "thin" && (runtime.GOOS != "linux" || runtime.GOARCH != "amd64")
				return err == nil && !testing.Short() && !missing, nil
			case "patches": // what it takes to patch a host
				_, err := exec.LookPath("gcc")
				return err == nil && !testing.Short() && runtime.GOOS == "linux" && runtime.GOARCH == "amd64", nil
			case "thin", "full":
				return cond == link, nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
	}
}

func goEnv(t *testing.T, names ...string) map[string]string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for i, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		values[names[i]] = line
	}
	return values
}

// marker is the variable by which everything a script started is found again.
const marker = "SCRIPT_MARKER"

func isolate(env *testscript.Env) error {
	for name, dir := range map[string]string{"HOME": "home", "XDG_RUNTIME_DIR": "run", "TMPDIR": "tmp", "XDG_CACHE_HOME": "cache"} {
		dir = filepath.Join(env.WorkDir, "."+dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		env.Setenv(name, dir)
	}
	for name, value := range map[string]string{
		marker: env.WorkDir, "GOPROXY": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local", "CI": "true", "TERM": "dumb",
	} {
		env.Setenv(name, value)
	}
	started := map[string]*started{}
	env.Values["started"] = started
	t := env.T()
	env.Defer(func() {
		for name, p := range started {
			if p.running() {
				_ = p.cmd.Process.Signal(os.Interrupt)
			}
			if !p.wait(10 * time.Second) {
				_ = p.cmd.Process.Kill()
				<-p.ended
				t.Log(name + " did not end when it was interrupted")
			}
		}
		reportLeaks(t, env.WorkDir)
	})
	return nil
}

// reportLeaks fails a script that left processes behind, after a moment for
// those that are about to end, and ends them. They are known by their marker.
func reportLeaks(t testscript.T, work string) {
	var leaked []int
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); pause() {
		if leaked = marked(work); len(leaked) == 0 {
			return
		}
	}
	var names []string
	for _, pid := range leaked {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		names = append(names, strings.ReplaceAll(string(line), "\x00", " "))
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if len(names) > 0 {
		t.Fatal("left running: " + strings.Join(names, "; "))
	}
}

// marked lists the processes of one script. Without /proc it finds none.
func marked(work string) []int {
	var pids []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		if strings.Contains("\x00"+string(environ), "\x00"+marker+"="+work+"\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// pause is the one place where tests wait for time to pass: between two looks
// at a condition.
func pause() { <-time.After(20 * time.Millisecond) }

// eventually waits for a condition.
func eventually(ts *testscript.TestScript, what string, cond func() bool) {
	for end := time.Now().Add(patience); !cond(); pause() {
		if time.Now().After(end) {
			ts.Fatalf("waited %s in vain for %s", patience, what)
		}
	}
}

func cmdCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command args...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit code is %d, want %s", got, args[0])
	}
}

func cmdGomod(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gomod module")
	}
	text := fmt.Sprintf("module %s\n\ngo 1.26.0\n\nrequire github.com/hotgo/hotgo v0.0.0\n\nreplace github.com/hotgo/hotgo => %s\n",
		args[0], ts.Getenv("SCRIPT_REPO"))
	ts.Check(os.WriteFile(ts.MkAbs("go.mod"), []byte(text), 0o666))
}

func cmdEdit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit file old new")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o666))
}
