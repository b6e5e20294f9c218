// Package initial has initialisers, embedded files and linknames over several
// private packages.
package initial

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"strings"
	_ "unsafe" // for go:linkname

	"example.com/conformance/api"
	"example.com/conformance/plugins/initial/alpha"
	"example.com/conformance/plugins/initial/beta"
	"example.com/conformance/plugins/initial/gamma"
	"example.com/conformance/plugins/initial/hidden"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "order of packages and functions", Run: func(w io.Writer) { fmt.Fprintln(w, strings.Join(gamma.Log, " ")) }},
		{Name: "variables that depend on others", Run: dependent},
		{Name: "variables of other private packages", Run: others},
		{Name: "embedded files", Run: embedded},
		{Name: "pull from the host's package", Run: pullHost},
		{Name: "pull from the runtime and the library", Run: pullStandard},
		{Name: "pull between private packages", Run: pullPrivate},
		{Name: "push to a private package", Run: func(w io.Writer) { fmt.Fprintln(w, hidden.Pushed(3)) }},
	}
}

// What initialisers gave is what is printed. All other variables are carried, those
// of the packages below included.
//
//hotgo:fresh
var (
	a    = b + 1
	b    = f(c)
	c    = note("c", 10*generation)
	d    = note("d", 1)
	e    = func() int { return a + d }()
	_    = note("blank", 0)
	x, y = pair(e)
	item = &api.Item{Name: alpha.Name, Price: api.Money(a)}
	loop func(int) int
)

func f(n int) int { return note("f", n*2) }

func pair(n int) (int, error) { return note("pair", n), api.ErrGone }

func note(s string, n int) int { gamma.Log = append(gamma.Log, "initial."+s); return n }

func init() { note("init 1", 0) }

func init() {
	note("init 2", 0)
	loop = func(n int) int {
		if n == 0 {
			return a
		}
		return loop(n - 1)
	}
}

func dependent(w io.Writer) { fmt.Fprintln(w, a, b, c, d, e, x, y, item.Name, item.Price, loop(3)) }

func others(w io.Writer) {
	beta.Counter++
	alpha.Items["new"] = &api.Item{Name: "new"}
	fmt.Fprintln(w, beta.Counter > 100, beta.Total(), len(alpha.Items), alpha.Items["one"].Name, alpha.Default, beta.Default == &alpha.Default)
}

//go:embed data/one.txt
var text string

//go:embed data/one.txt
var raw []byte

//go:embed data all:data/sub
var tree embed.FS

func embedded(w io.Writer) {
	fmt.Fprintf(w, "%q %d\n", text, len(raw))
	err := fs.WalkDir(tree, ".", func(path string, d fs.DirEntry, err error) error {
		b, _ := tree.ReadFile(path)
		fmt.Fprintln(w, path, d.IsDir(), len(b), err)
		return err
	})
	_, err2 := tree.Open("data/none")
	fmt.Fprintln(w, err, err2)
}

//go:linkname secret example.com/conformance/api.secret
func secret(n int) string

//go:linkname hiddenList example.com/conformance/api.hidden
var hiddenList []string

func pullHost(w io.Writer) { fmt.Fprintln(w, secret(generation), hiddenList) }

//go:linkname nanotime runtime.nanotime
func nanotime() int64

//go:linkname memhash runtime.memhash
func memhash(p *byte, seed, n uintptr) uintptr

// Nothing here imports time, and the host has no use for this.
//
//go:linkname absClock time.absClock
func absClock(seconds uint64) (hour, min, sec int)

func pullStandard(w io.Writer) {
	t := nanotime()
	s := []byte("hash")
	fmt.Fprintln(w, nanotime() >= t, memhash(&s[0], 1, 4) == memhash(&s[0], 1, 4))
	fmt.Fprintln(w, fmt.Sprint(absClock(3600*generation+61)))
}

//go:linkname whisper example.com/conformance/plugins/initial/hidden.whisper
func whisper(string) string

func pullPrivate(w io.Writer) { fmt.Fprintln(w, whisper("psst")) }

//go:linkname pushed example.com/conformance/plugins/initial/hidden.Pushed
func pushed(n int) string { return fmt.Sprint("pushed ", n, a) }
