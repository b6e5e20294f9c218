//go:build linux

package abi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// These tests hold what the package says of real binaries against what the
// runtime does with them. Hosts run as processes of their own, because nothing
// that plugin.Open mapped can be got rid of, and some cases end the process.

// fixture is a module with a host and plugins; each key is a file.
var fixture = map[string]string{
	"go.mod": "module example.com/fixture\n\ngo 1.26\n",

	// host does what its standard input says and answers on standard output.
	"host/main.go": `package main

import (
	"bufio"
	"fmt"
	"os"
	"plugin"

	"example.com/fixture/shared"
)

func main() {
	fmt.Println("ready", shared.Greet())
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		fmt.Println(open(in.Text()))
	}
}

func open(path string) (answer string) {
	defer func() {
		if p := recover(); p != nil {
			answer = fmt.Sprint("panic: ", p)
		}
	}()
	if _, err := plugin.Open(path); err != nil {
		return "error: " + err.Error()
	}
	return "ok"
}
`,
	"shared/shared.go":   "package shared\n\nfunc Greet() string { return \"hello\" }\n",
	"lib.go/odd.v1/x.go": "package odd\n\nimport \"os\"\n\nvar Args = len(os.Args)\n",

	// The same twice, for two plugin paths.
	"good/main.go":   goodPlugin,
	"second/main.go": goodPlugin,

	// Initialised in this order. Middle does not get through.
	"first/x.go": "package first\n\nimport \"os\"\n\nvar Dir, _ = os.Getwd()\n",
	"middle/x.go": `package middle

import (
	"fmt"
	"os"
)

var Answer = answer()

func answer() int {
	switch os.Getenv("FIXTURE_INIT") {
	case "panic":
		panic("no answer")
	case "hang":
		fmt.Println("in init")
		select {}
	}
	return 42
}
`,
	"third/x.go":    "package third\n\nimport \"os\"\n\nvar Dir, _ = os.Getwd()\n",
	"boom/main.go":  "package main\n\nimport (\n\t_ \"example.com/fixture/first\"\n\t_ \"example.com/fixture/middle\"\n\t_ \"example.com/fixture/third\"\n)\n\nfunc main() {}\n",
	"later/main.go": "package main\n\nimport (\n\t_ \"example.com/fixture/first\"\n\t_ \"example.com/fixture/third\"\n)\n\nfunc main() {}\n",
	"again/main.go": "package main\n\nimport _ \"example.com/fixture/middle\"\n\nfunc main() {}\n",
}

const goodPlugin = `package main

import (
	"example.com/fixture/lib.go/odd.v1"
	"example.com/fixture/shared"
)

var Count int

func Hello() string { Count += odd.Args; return shared.Greet() }

func main() {}
`

// binaries builds the fixture once for all tests, and gives where it is.
var binaries = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "abi-test-")
	if err != nil {
		return "", err
	}
	builtIn = dir
	for name, content := range fixture {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return "", err
		}
	}
	// A package of the host, and one that plugins bring, each one line further down.
	for name, file := range map[string]string{"overlay.json": "shared/shared.go", "third.json": "third/x.go"} {
		moved := filepath.Join(dir, name+".txt")
		if err := os.WriteFile(moved, []byte("\n"+fixture[file]), 0o600); err != nil {
			return "", err
		}
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, file): moved}})
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(filepath.Join(dir, name), overlay, 0o600); err != nil {
			return "", err
		}
	}
	for _, args := range [][]string{
		{"-o", "host.bin", "./host"},
		{"-buildmode=plugin", "-o", "good.so", "./good"},
		{"-buildmode=plugin", "-ldflags=-s -w", "-o", "stripped.so", "./second"},
		{"-buildmode=plugin", "-trimpath", "-o", "trimmed.so", "./second"},
		{"-buildmode=plugin", "-overlay=overlay.json", "-o", "changed.so", "./second"},
		{"-buildmode=plugin", "-o", "boom.so", "./boom"},
		{"-buildmode=plugin", "-o", "later.so", "./later"},
		{"-buildmode=plugin", "-o", "again.so", "./again"},
		{"-buildmode=plugin", "-overlay=third.json", "-o", "third.so", "./later"},
	} {
		cmd := exec.Command("go", append([]string{"build", "-buildvcs=false"}, args...)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", cmd, err, out)
		}
	}
	return dir, nil
})

// builtIn is the directory to remove in the end; "" if nothing was built.
var builtIn string

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range []string{builtIn, matrixIn} {
		if dir != "" {
			os.RemoveAll(dir)
		}
	}
	os.Exit(code)
}

// built gives the path of a binary of the fixture.
func built(t testing.TB, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds plugins, which takes a while")
	}
	dir, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

func fingerprint(t testing.TB, name string) *Fingerprint {
	t.Helper()
	fp, err := ReadFile(built(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return fp
}

// running is a host process.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	in     io.Writer
	out    *bufio.Scanner
	stderr bytes.Buffer
}

// start runs the host. mode is what initialisers of the fixture are to do.
func start(t *testing.T, mode string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(built(t, "host.bin"))}
	r.cmd.Env = append(os.Environ(), "FIXTURE_INIT="+mode)
	r.cmd.Stderr = &r.stderr
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.cmd.Process.Kill()
		r.cmd.Wait()
	})
	r.in, r.out = in, bufio.NewScanner(out)
	if answer := r.answer(); answer != "ready hello" {
		t.Fatalf("host says %q", answer)
	}
	return r
}

// answer gives the next line of the host, or "ended: " and what it wrote last.
func (r *running) answer() string {
	if r.out.Scan() {
		return r.out.Text()
	}
	r.cmd.Wait()
	return "ended: " + r.stderr.String()
}

// open has the host open a binary of the fixture.
func (r *running) open(name string) string {
	r.t.Helper()
	fmt.Fprintln(r.in, built(r.t, name))
	return r.answer()
}

// stuck asks which packages of a binary are half initialised in the host.
func (r *running) stuck(name string) []string {
	r.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", r.cmd.Process.Pid)
	maps, err := os.Open(proc + "maps")
	if err != nil {
		r.t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(proc + "mem")
	if err != nil {
		r.t.Fatal(err)
	}
	defer mem.Close()
	stuck, err := fingerprint(r.t, name).StuckInits(built(r.t, name), maps, mem)
	if err != nil {
		r.t.Fatal(err)
	}
	return stuck
}

func TestRealBinariesReadAsTheStandardLibraryReadsThem(t *testing.T) {
	for _, name := range []string{"host.bin", "good.so", "stripped.so", "trimmed.so"} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(built(t, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			checkAgainstStandardLibrary(t, fingerprint(t, name), f)
		})
	}
}

func TestRealPluginsHaveTheirPathAndSymbols(t *testing.T) {
	want := map[string]SymbolKind{"Hello": Func, "Count": Var}
	for name, path := range map[string]string{
		"good.so":     "example.com/fixture/good",
		"stripped.so": "example.com/fixture/second",
		"trimmed.so":  "example.com/fixture/second",
	} {
		fp := fingerprint(t, name)
		if fp.PluginPath != path || fp.Package != path || fp.Kind != Plugin {
			t.Errorf("%s: a %v with path %q, main package %q", name, fp.Kind, fp.PluginPath, fp.Package)
		}
		if !maps.Equal(fp.Symbols, want) {
			t.Errorf("%s has symbols %v, want %v", name, fp.Symbols, want)
		}
		if _, ok := fp.Inits["example.com/fixture/lib.go/odd.v1"]; !ok {
			t.Errorf("%s: the initialiser of a package with dots in its name is missing", name)
		}
	}
	if fp := fingerprint(t, "host.bin"); fp.Kind != Executable || !fp.Exports || fp.PluginPath != "" {
		t.Errorf("host: a %v, exports %v, plugin path %q", fp.Kind, fp.Exports, fp.PluginPath)
	}
}

func TestRealPluginsHaveNoOddItabs(t *testing.T) {
	open := func(name string) *Itabs {
		f, err := os.Open(built(t, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		tables, err := ReadItabs(f, info.Size())
		if err != nil {
			t.Fatal(err)
		}
		return tables
	}
	host := open("host.bin").Names()
	for _, name := range []string{"good.so", "stripped.so", "boom.so"} {
		tables := open(name)
		shadowed := 0
		for _, name := range tables.Names() {
			if slices.Contains(host, name) {
				shadowed++
			}
		}
		edit, err := tables.Hide(func(name string) bool { return slices.Contains(host, name) })
		if err != nil || shadowed == 0 || edit.Hidden != shadowed || len(edit.Left) > 0 {
			t.Errorf("%s: hides %d of %d and leaves %q, %v", name, edit.Hidden, shadowed, edit.Left, err)
		}
	}
}

func TestCompareFindsThePackageThatTheRuntimeNames(t *testing.T) {
	for name, shared := range map[string]bool{"trimmed.so": false, "changed.so": true} {
		found := Compare(fingerprint(t, "host.bin"), fingerprint(t, name), nil)
		packages := map[string]bool{}
		for _, m := range found {
			if m.Kind == MismatchPackage {
				packages[m.What] = true
			}
		}
		answer := start(t, "").open(name)
		_, pkg, ok := strings.Cut(answer, "different version of package ")
		if !ok || !packages[pkg] {
			t.Errorf("%s: the host says %q, Compare %v", name, answer, lines(found))
		}
		if shared && !slices.Equal(slices.Collect(maps.Keys(packages)), []string{"example.com/fixture/shared"}) {
			t.Errorf("%s: one package was changed, Compare names %v", name, lines(found))
		}
		if !shared && !slices.Equal(lines(Headline(found, 5)), []string{"flag -trimpath|false|true"}) {
			t.Errorf("%s: headline %v", name, lines(Headline(found, 5)))
		}
	}
}

func TestPackageThatPanickedInInitIsPoisoned(t *testing.T) {
	checkPoisoned(t, "panic", "panic: no answer")
}

func TestPackageThatHangsInInitIsPoisoned(t *testing.T) {
	checkPoisoned(t, "hang", "in init")
}

// checkPoisoned loads a plugin whose second package does not get through its
// initialisation, and checks that plugins with the other packages may follow,
// but none with that one.
func checkPoisoned(t *testing.T, mode, answer string) {
	host, proc := fingerprint(t, "host.bin"), &Process{}
	run := start(t, mode)
	if got := run.open("boom.so"); got != answer {
		t.Fatalf("boom.so: the host says %q, want %q", got, answer)
	}
	stuck := run.stuck("boom.so")
	if want := []string{"example.com/fixture/middle"}; !slices.Equal(stuck, want) {
		t.Fatalf("stuck: %q, want %q", stuck, want)
	}
	proc.AddStuck(fingerprint(t, "boom.so"), "boom.so", stuck)

	if found := Compare(host, fingerprint(t, "later.so"), proc); len(found) > 0 {
		t.Errorf("later.so is refused: %v", lines(found))
	}
	found := Compare(host, fingerprint(t, "again.so"), proc)
	if len(found) != 1 || found[0].Kind != MismatchPoisoned || found[0].What != "example.com/fixture/middle" {
		t.Errorf("again.so: %v, want one poisoned package", lines(found))
	}
	if mode != "panic" {
		return // the host is busy for good
	}
	if got := run.open("later.so"); got != "ok" {
		t.Errorf("later.so: the host says %q", got)
	}
	// This is why.
	if got := run.open("again.so"); !strings.Contains(got, "fatal error: recursive call during initialization") {
		t.Errorf("again.so: the host says %q; does the runtime no longer throw?", got)
	}
}

func TestStuckInitsOfAFileThatIsNotMappedAreUnknown(t *testing.T) {
	fp := fingerprint(t, "boom.so")
	if stuck, err := fp.StuckInits(built(t, "boom.so"), strings.NewReader(""), bytes.NewReader(nil)); err == nil {
		t.Errorf("got %q and no error", stuck)
	}
}

// A file of which only the beginning arrived is never taken for a plugin,
// wherever it was cut.
func TestTruncatedPluginIsNeverAccepted(t *testing.T) {
	b, err := os.ReadFile(built(t, "good.so"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		n := len(b) * i / 200
		if fp, err := Read(bytes.NewReader(b[:n]), int64(n)); err == nil {
			t.Errorf("the first %d of %d bytes are accepted as a %v", n, len(b), fp.Kind)
		}
	}
	n := len(b) - 1
	if _, err := Read(bytes.NewReader(b[:n]), int64(n)); !isReason(err, Truncated) {
		t.Errorf("without its last byte: %v", err)
	}
}
