//go:build unix

package scripttest

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/goproxytest"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hotgo/hotgo/pkg/builder"
)

// update makes "cmp got GOLDEN" write the golden into the script.
var update = flag.Bool("update", false, "rewrite the golden files")

// Commands of the scripts that follow a plugin through its life:
//
//	fixture NAME                copy testdata/fixture/NAME here, with a go.mod;
//	                            its server says what its plugin says, 100 times a second
//	fleet N NAME COMMAND…       start NAME1 to NAMEN, each with its number as last argument
//	example NAME                copy examples/NAME to examples/NAME, with a go.mod
//	serves NAME REGEXP          what the host says from now on matches
//	distinct FILE TO            write the lines of a file without repetitions
//	count NAME FILE TEXT A B    raise TEXTA to TEXTB in a file by one at a time, and wait
//	                            each time until the host says something new
//	vimsave FILE OLD NEW        replace text and save as vim does,
//	codesave FILE OLD NEW       as VS Code does,
//	golandsave FILE OLD NEW     as GoLand does
//	normalise FILE TO           write JSON lines with what differs from run to run
//	                            replaced by the name of its kind
//	built PKG FILE              build a host as hotgo run does, which writes down what from
//	goproxy DIR                 serve the modules in DIR (one txtar for each version)

func cmdFixture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fixture name")
	}
	from := filepath.Join(ts.Getenv("SCRIPT_REPO"), "cmd", "testdata", "fixture", args[0])
	ts.Check(os.CopyFS(ts.MkAbs("."), os.DirFS(from)))
	cmdGomod(ts, false, []string{"example.com/" + args[0]})
}

func cmdFleet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: fleet n name command args...")
	}
	size, err := strconv.Atoi(args[0])
	ts.Check(err)
	for n := range size {
		number := strconv.Itoa(n + 1)
		cmdStart(ts, false, append(slices.Insert(slices.Clone(args[2:]), 0, args[1]+number), number))
	}
}

func cmdExample(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: example name")
	}
	dir := filepath.Join("examples", args[0])
	ts.Check(os.CopyFS(ts.MkAbs(dir), os.DirFS(filepath.Join(ts.Getenv("SCRIPT_REPO"), dir))))
	cmdGomod(ts, false, []string{"example.com/" + args[0]})
}

// cmdServes wants the second line from now on to match: the first may have
// been on its way.
func cmdServes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: serves name regexp")
	}
	re, err := regexp.Compile("^(?:" + args[1] + ")$")
	ts.Check(err)
	file := args[0] + ".out"
	before := strings.Count(said(ts, file), "\n")
	var line string
	eventually(ts, args[0]+" to say something", func() bool {
		lines := strings.Split(said(ts, file), "\n")
		if len(lines) < before+3 { // the last one is incomplete
			return false
		}
		line = lines[before+1]
		return true
	})
	if !re.MatchString(line) {
		ts.Fatalf("%s says %q", args[0], line)
	}
}

func cmdDistinct(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: distinct file to")
	}
	var out strings.Builder
	last := ""
	for line := range strings.Lines(said(ts, args[0])) {
		if line != last && strings.HasSuffix(line, "\n") {
			out.WriteString(line)
		}
		last = line
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(out.String()), 0o666))
}

func cmdCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: count name file text a b")
	}
	from, err := strconv.Atoi(args[3])
	ts.Check(err)
	to, err := strconv.Atoi(args[4])
	ts.Check(err)
	for n := from; n < to; n++ {
		before := lastLine(ts, args[0]+".out")
		cmdEdit(ts, false, []string{args[1], args[2] + strconv.Itoa(n), args[2] + strconv.Itoa(n+1)})
		eventually(ts, args[0]+" to say something else than "+before, func() bool {
			return lastLine(ts, args[0]+".out") != before
		})
	}
}

// lastLine is the last complete line.
func lastLine(ts *testscript.TestScript, file string) string {
	lines := strings.Split(said(ts, file), "\n")
	return lines[max(0, len(lines)-2)]
}

// cmdSave replaces text in a file and saves as an editor does.
func cmdSave(save func(path string, text []byte) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 3 {
			ts.Fatalf("usage: vimsave|codesave|golandsave file old new")
		}
		text := ts.ReadFile(args[0])
		if !strings.Contains(text, args[1]) {
			ts.Fatalf("%s does not contain %q", args[0], args[1])
		}
		ts.Check(save(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2]))))
	}
}

// vimSave is vim 9 with its defaults: a swap file, a probe named 4913, the file
// renamed to its backup, a new file written, backup and swap file removed.
func vimSave(path string, text []byte) error {
	dir, base := filepath.Split(path)
	swap, probe := dir+"."+base+".swp", dir+"4913"
	return inTurn(
		func() error { return os.WriteFile(swap, []byte("b0VIM 9.1"), 0o600) },
		func() error { return os.WriteFile(probe, nil, 0o644) },
		func() error { return os.Remove(probe) },
		func() error { return os.Rename(path, path+"~") },
		func() error { return writeInPieces(path, os.O_CREATE|os.O_EXCL, text) },
		func() error { return os.Chmod(path, 0o644) },
		func() error { return os.Remove(path + "~") },
		func() error { return os.Remove(swap) },
	)
}

// codeSave is VS Code: truncated and written in place.
func codeSave(path string, text []byte) error {
	return writeInPieces(path, os.O_TRUNC, text)
}

// golandSave is GoLand's "safe write": a file beside it, two renames, and the
// old one removed.
func golandSave(path string, text []byte) error {
	return inTurn(
		func() error { return writeInPieces(path+"___jb_tmp___", os.O_CREATE|os.O_EXCL, text) },
		func() error { return os.Rename(path, path+"___jb_old___") },
		func() error { return os.Rename(path+"___jb_tmp___", path) },
		func() error { return os.Remove(path + "___jb_old___") },
	)
}

func inTurn(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// writeInPieces writes as programs do that stream: a reader may see half.
func writeInPieces(path string, flags int, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|flags, 0o644)
	if err != nil {
		return err
	}
	for _, piece := range [][]byte{text[:len(text)/2], text[len(text)/2:]} {
		if _, err := f.Write(piece); err != nil {
			f.Close()
			return err
		}
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// volatile is what differs from run to run in JSON output, and what goldens
// have in its place. The rest of a line stays as it was written, so goldens
// show the order and the form of the fields too.
var volatile = []struct {
	re *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`"(time|started|loaded|since|until)":"[^"]*"`), `"$1":"TIME"`},
	{regexp.MustCompile(`sha256:[0-9a-f]{64}`), `sha256:DIGEST`},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), `KEY`},
	{regexp.MustCompile(`-[0-9a-f]{12}\.so\b`), `-KEY.so`},
	// Hosts say what a release of Go is known for: abi.KnownIssue.
	{regexp.MustCompile(`\{[^{}]*"event":"note",[^{}]*\(go\.dev/issue/[0-9]+\)"\},?`), ``},
	// Phases that can take less than a microsecond are absent at times, and ages of
	// less than a second.
	{regexp.MustCompile(`"(verify|health|switch|pause|old_s)":[0-9.e+-]+,?`), ``},
	{regexp.MustCompile(`,}`), `}`},
	{regexp.MustCompile(`"(pid|uid|gid|[a-z_]*bytes|[a-z_]*_ms|runs|detect|plan|compile|link|load|state)":[0-9.e+-]+`), `"$1":0`},
	{regexp.MustCompile(`"build_id":"[^"]*"`), `"build_id":"ID"`},
	// Scripts run for both ways of linking. link_modes holds what is said of each.
	{regexp.MustCompile(`"link":"(?:thin|full)",(?:"(?:link_)?reason":"asked for",)?(?:"host_build":"[^"]+",)?`), `"link":"LINK",`},
	{regexp.MustCompile(`"go(_version)?":"[^"]*"`), `"go$1":"VERSION"`},
	{regexp.MustCompile(`"flags":\{[^}]*\}`), `"flags":{"FLAG":"VALUE"}`},
	{regexp.MustCompile(`"(goos|goarch)":"[^"]*"`), `"$1":"PLATFORM"`},
	{regexp.MustCompile(`-[0-9]+\.sock\b`), `-PID.sock`},
	{regexp.MustCompile(`\(pid [0-9]+\)`), `(pid PID)`},
	{regexp.MustCompile(`/hotgo-[0-9]+\b`), `/hotgo-UID`},
}

func cmdNormalise(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: normalise file to")
	}
	text := said(ts, args[0])
	if args[0] == "stdout" {
		text = ts.ReadFile("stdout")
	}
	text = strings.ReplaceAll(text, ts.Getenv("WORK"), "$WORK")
	for _, v := range volatile {
		text = v.re.ReplaceAllString(text, v.by)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o666))
}

// cmdBuilt builds a host whose sources hotgo knows from then on.
func cmdBuilt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: built pkg file")
	}
	env := os.Environ()
	for _, name := range []string{"HOME", "TMPDIR", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS", "GOTOOLCHAIN"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	b, err := builder.New(builder.Options{
		WorkDir: ts.MkAbs("."), Dir: filepath.Join(ts.Getenv("XDG_CACHE_HOME"), "hotgo", "artifacts"), Env: env,
	})
	ts.Check(err)
	_, err = b.BuildHost(context.Background(), args[0], ts.MkAbs(args[1]))
	ts.Check(err)
	ts.Check(b.Close())
}

// cmdGoproxy makes the modules of a directory the only ones there are, in a
// module cache of the script's own.
func cmdGoproxy(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: goproxy dir")
	}
	server, err := goproxytest.NewServer(ts.MkAbs(args[0]), "")
	ts.Check(err)
	ts.Defer(server.Close)
	ts.Setenv("GOPROXY", server.URL)
	ts.Setenv("GONOSUMDB", "*")
	ts.Setenv("GOMODCACHE", filepath.Join(ts.Getenv("WORK"), ".modcache"))
	ts.Setenv("GOFLAGS", "-mod=mod -modcacherw")
}
