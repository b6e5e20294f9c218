//go:build linux

package abi

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the matrix is built from: a module with a host, packages that it shares
// with plugins, and a plugin; a dependency in two versions; and a module of its
// own with another plugin.
var matrixFiles = map[string]string{
	"app/go.mod":       "module example.com/app\n\ngo 1.26\n\nrequire example.com/dep v1.0.0\n\nreplace example.com/dep => ../dep1\n",
	"app/later.mod":    "module example.com/app\n\ngo 1.26\n\nrequire example.com/dep v1.1.0\n\nreplace example.com/dep => ../dep2\n",
	"app/host/main.go": matrixHost,
	"app/host/open.go": "//go:build !noplugin\n\npackage main\n\nimport \"plugin\"\n\nfunc load(path string) error { _, err := plugin.Open(path); return err }\n",
	"app/host/none.go": "//go:build noplugin\n\npackage main\n\nimport \"errors\"\n\nfunc load(string) error { return errors.New(\"no package plugin\") }\n",

	"app/shared/shared.go": matrixShared,
	"app/shared/more.go":   "//go:build more\n\npackage shared\n\nfunc More() int { return 1 }\n",
	"app/plug/main.go":     matrixPlugin,
	"own/go.mod":           "module example.com/own\n\ngo 1.26\n\nrequire (\n\texample.com/app v1.0.0\n\texample.com/dep v1.0.0\n)\n\nreplace (\n\texample.com/app => ../app\n\texample.com/dep => ../dep1\n)\n",
	"own/main.go":          matrixPlugin,
	"own/c/main.go":        matrixC,
	"work/go.work":         "go 1.26\n\nuse (\n\t../app\n\t../own\n)\n",
	"dep1/go.mod":          "module example.com/dep\n\ngo 1.26\n",
	"dep1/dep.go":          "package dep\n\nfunc Version() int { return 1 }\n",
	"dep2/go.mod":          "module example.com/dep\n\ngo 1.26\n",
	"dep2/dep.go":          "package dep\n\nfunc Version() int { return 2 }\n",
	"no.txt":               "no plugin",
	"empty":                "",

	// Edits of a package that host and plugin share.
	"edits/api.txt":     strings.Replace(matrixShared, "func Small() int", "func Other() {}\n\nfunc Small() int", 1),
	"edits/inline.txt":  strings.Replace(matrixShared, "return 40", "return 41", 1),
	"edits/body.txt":    strings.Replace(matrixShared, "n += 2", "n += 3", 1),
	"edits/comment.txt": strings.Replace(matrixShared, "// Small is small.", "// Small is small.\n//\n// It has become more to read.", 1),
	"edits/below.txt":   matrixShared + "// A comment below everything.\n",
}

const matrixHost = `package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"

	"example.com/app/shared"
)

func main() {
	fmt.Println("ready", shared.Small() > 0, shared.Large(1) > 0)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "alive" {
			runtime.GC()
			fmt.Println("alive")
			continue
		}
		if err := load(in.Text()); err != nil {
			fmt.Println("error: " + err.Error())
			continue
		}
		fmt.Println("ok")
	}
}
`

const matrixShared = `package shared

import "example.com/dep"

var Version = "none"

// Small is small.
func Small() int { return 40 }

// Large is not inlined.
//
//go:noinline
func Large(n int) int {
	for range 3 {
		n += 2
	}
	return n + len(Version) + dep.Version()
}

// Hot calls what a profile says is hot.
func Hot(n int) int { return warm(n) }

func warm(n int) int {
	for i := range n {
		switch {
		case i%2 == 0:
			n += i * Small()
		case i%3 == 0:
			n -= i
		case i%5 == 0:
			n ^= Large(i)
		default:
			n += len(Version) * i
		}
	}
	return n
}
`

const matrixPlugin = `package main

import "example.com/app/shared"

func Answer() int { return shared.Small() + shared.Large(2) + shared.Hot(3) }

func main() {}
`

// matrixC has what C compilers put into a shared object: thread-local variables,
// constructors, a function that is chosen when it is bound, a library.
const matrixC = `package main

/*
#cgo LDFLAGS: -lm
#include <math.h>
static __thread int mine = 3;
__thread int ours[10];
static int began;
__attribute__((constructor)) static void begin(void) { began = 1; }
__attribute__((destructor)) static void end(void) { began = 0; }
static int plus(int x) { return x + 1; }
static int (*choose(void))(int) { return plus; }
int chosen(int) __attribute__((ifunc("choose")));
static double work(double x) { mine++; ours[2]++; return sqrt(x) + mine + began + chosen(1) + ours[2]; }
*/
import "C"

var _ = C.work(9)

func main() {}
`

// variants are the binaries of the matrix. Each is built once; args are those of
// go build, and env is what stands before it. A name that begins with "host" is a
// host, anything else is put in the place of a plugin.
var variants = map[string]struct {
	args, env []string
	in, pkg   string // directory below the fixture, package; by default app, and ./host or ./plug
}{
	"host":          {},
	"host trimpath": {args: []string{"-trimpath"}},
	"host race":     {args: []string{"-race"}},
	"host v3":       {env: []string{"GOAMD64=v3"}},
	"host pgo":      {args: []string{"-pgo=PROFILE"}},
	"host pie":      {args: []string{"-buildmode=pie"}},
	"host stripped": {args: []string{"-ldflags=-s -w"}},
	"host static":   {env: []string{"CGO_ENABLED=0"}},
	"host without":  {args: []string{"-tags=noplugin"}},
	"host other":    {env: []string{"GOTOOLCHAIN=OTHER"}},

	"same":         {},
	"trimpath":     {args: []string{"-trimpath"}},
	"race":         {args: []string{"-race"}},
	"all -N -l":    {args: []string{"-gcflags=all=-N -l"}},
	"all -l":       {args: []string{"-gcflags=all=-l"}},
	"own -N":       {args: []string{"-gcflags=-N"}},
	"tags idle":    {args: []string{"-tags=nothing"}},
	"tags more":    {args: []string{"-tags=more"}},
	"stripped":     {args: []string{"-ldflags=-s -w"}},
	"-X":           {args: []string{"-ldflags=-X example.com/app/shared.Version=two"}},
	"v3":           {env: []string{"GOAMD64=v3"}},
	"pgo":          {args: []string{"-pgo=PROFILE"}},
	"other":        {env: []string{"GOTOOLCHAIN=OTHER"}},
	"experiment":   {env: []string{"GOEXPERIMENT=arenas"}},
	"dependency":   {args: []string{"-modfile=later.mod"}},
	"cflags":       {env: []string{"CGO_CFLAGS=-O1"}},
	"api":          {args: []string{"-overlay=OVERLAY/api"}},
	"inline":       {args: []string{"-overlay=OVERLAY/inline"}},
	"body":         {args: []string{"-overlay=OVERLAY/body"}},
	"comment":      {args: []string{"-overlay=OVERLAY/comment"}},
	"below":        {args: []string{"-overlay=OVERLAY/below"}},
	"own module":   {in: "own", pkg: "."},
	"own workspc":  {in: "own", pkg: ".", env: []string{"GOWORK=FIXTURE/work/go.work"}},
	"trim module":  {in: "own", pkg: ".", args: []string{"-trimpath"}},
	"trim workspc": {in: "own", pkg: ".", args: []string{"-trimpath"}, env: []string{"GOWORK=FIXTURE/work/go.work"}},
	"C code":       {in: "own", pkg: "./c"},
	"old hashes":   {in: "own", pkg: "./c", args: []string{"-ldflags=-extldflags=-Wl,--hash-style=sysv"}},
	"c-shared":     {args: []string{"-buildmode=c-shared"}},
	"c-archive":    {args: []string{"-buildmode=c-archive"}},
	"program":      {args: []string{"-buildmode=exe"}},
}

// matrix is the fixture, built.
type matrix struct {
	dir   string
	other string // the other Go release, "" where it is not to be had
	built map[string]func() error
}

var theMatrix = sync.OnceValues(newMatrix)

func newMatrix() (*matrix, error) {
	dir, err := os.MkdirTemp("", "abi-matrix-")
	if err != nil {
		return nil, err
	}
	matrixIn = dir
	m := &matrix{dir: dir, other: "go1.27.1", built: map[string]func() error{}}
	if strings.HasPrefix(runtime.Version(), "go1.27") {
		m.other = "go1.26.8"
	}
	cmd := exec.Command("go", "version")
	if cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+m.other); cmd.Run() != nil {
		m.other = ""
	}
	files := map[string][]byte{"profile.pgo": hotProfile()}
	for name, content := range matrixFiles {
		files[name] = []byte(content)
	}
	for name := range matrixFiles {
		if edit, ok := strings.CutPrefix(name, "edits/"); ok {
			overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(dir, "app/shared/shared.go"): filepath.Join(dir, name)}})
			if err != nil {
				return nil, err
			}
			files["overlay/"+strings.TrimSuffix(edit, ".txt")] = overlay
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			return nil, err
		}
	}
	for name := range variants {
		m.built[name] = sync.OnceValue(func() error { return m.build(name) })
	}
	return m, nil
}

// matrixIn is the directory to remove in the end.
var matrixIn string

func (m *matrix) build(name string) error {
	v := variants[name]
	in, pkg, mode := v.in, v.pkg, []string{"-buildmode=plugin"}
	if in == "" {
		in, pkg = "app", "./plug"
	}
	if strings.HasPrefix(name, "host") {
		pkg, mode = "./host", nil
	}
	fill := strings.NewReplacer("PROFILE", filepath.Join(m.dir, "profile.pgo"), "OVERLAY", filepath.Join(m.dir, "overlay"), "FIXTURE", m.dir, "OTHER", m.other)
	args := append([]string{"build", "-buildvcs=false", "-o", m.path(name)}, mode...)
	for _, a := range v.args {
		args = append(args, fill.Replace(a))
	}
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = filepath.Join(m.dir, in)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "CGO_ENABLED=1", "GOAMD64=v1", "GOEXPERIMENT=")
	for _, e := range v.env {
		cmd.Env = append(cmd.Env, fill.Replace(e))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// path gives where a binary is; names that are no variant are files.
func (m *matrix) path(name string) string {
	if _, ok := variants[name]; !ok {
		return filepath.Join(m.dir, name)
	}
	return filepath.Join(m.dir, "built", strings.ReplaceAll(name, " ", "_")+".so")
}

// binary builds what is not built yet.
func (m *matrix) binary(t *testing.T, name string) string {
	t.Helper()
	if build, ok := m.built[name]; ok {
		if err := build(); err != nil {
			t.Fatal(err)
		}
	}
	return m.path(name)
}

// opens has a process of its own open files in their order, and gives what it
// says of each: "ok" only where it lives, collects garbage, and answers after it.
func opens(t *testing.T, host string, files ...string) []string {
	t.Helper()
	const patience = time.Minute // ends what hangs
	cmd := exec.Command(host)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer func() {
		in.Close()
		_ = cmd.Wait()
		end.Stop()
	}()
	lines := bufio.NewScanner(out)
	ask := func(line string) string {
		if line != "" {
			fmt.Fprintln(in, line)
		}
		if !lines.Scan() {
			return "ended"
		}
		return lines.Text()
	}
	if answer := ask(""); answer != "ready true true" {
		t.Fatalf("%s says %q", host, answer)
	}
	var answers []string
	for _, file := range files {
		answer := ask(file)
		if answer != "ended" && ask("alive") != "alive" {
			answer = "died after " + answer
		}
		answers = append(answers, answer)
	}
	return answers
}

// hotProfile is a CPU profile in which shared.Hot spends its time in warm, in the
// form of pprof (github.com/google/pprof/proto/profile.proto): a field is its
// number<<3 and a number, or its number<<3|2 and that many bytes.
func hotProfile() []byte {
	number := func(field byte, n uint64) []byte {
		b := []byte{field << 3}
		for ; n >= 1<<7; n >>= 7 {
			b = append(b, byte(n)|1<<7)
		}
		return append(b, byte(n))
	}
	message := func(field byte, parts ...[]byte) []byte {
		content := bytes.Join(parts, nil)
		b := number(field, uint64(len(content)))
		b[0] |= 2
		return append(b, content...)
	}
	const samples, count, cpu, nanoseconds, warm, hot, file = 1, 2, 3, 4, 5, 6, 7
	var p []byte
	for _, unit := range [][2]uint64{{samples, count}, {cpu, nanoseconds}} {
		p = append(p, message(1, number(1, unit[0]), number(2, unit[1]))...)
	}
	p = append(p, message(2, number(1, 1), number(1, 2), number(2, 1000), number(2, 10_000_000_000))...)
	for _, id := range []uint64{1, 2} { // a line of each function; the second has its call in the one that it begins in
		p = append(p, message(4, number(1, id), message(4, number(1, id), number(2, 24)))...)
	}
	for id, name := range []uint64{warm, hot} {
		p = append(p, message(5, number(1, uint64(id)+1), number(2, name), number(3, name), number(4, file), number(5, 24))...)
	}
	for _, s := range []string{"", "samples", "count", "cpu", "nanoseconds", "example.com/app/shared.warm", "example.com/app/shared.Hot", "shared.go"} {
		p = append(p, message(6, []byte(s))...)
	}
	return p
}
