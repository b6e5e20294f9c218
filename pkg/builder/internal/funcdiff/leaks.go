package funcdiff

import (
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// # What a function keeps
//
// A caller may leave a variable on its stack and pass its address, if the
// function that it calls does not keep it. The compiler works that out for each
// parameter, and compiles callers accordingly. So what a function keeps is a part
// of its contract, as its signature is. The compiler prints it with -m
// -d=escapemutationscalls=1 (cmd/compile/internal/escape/escape.go, Go 1.26 and
// 1.27: finish, paramTag):
//
//	cart.go:31:12: leaking param: item
//	cart.go:31:12: leaking param content: item
//	cart.go:31:12: leaking param: item to result ~r0 level=1
//	cart.go:31:12: mutates param: item derefs=0
//	cart.go:31:12: calls param: f derefs=0
//	cart.go:31:12: item does not escape
//
// Whether a function writes to what it gets counts as well: a caller may pass a
// string's bytes without copying them to one that does not. Parameters that it
// says nothing of have no pointers.

// LeakFlags make the compiler print what ParseLeaks reads. They change no code.
var LeakFlags = []string{"-m", "-d=escapemutationscalls=1"}

// ParseLeaks reads what the compiler printed with -m, for the functions that d
// declares: the linker's name of a function -> what it keeps, as a text that is
// the same whenever it is. Functions that keep nothing are left out.
func (d *Declarations) ParseLeaks(output string) map[string]string {
	found := map[string][]string{}
	for line := range strings.Lines(output) {
		at, message, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || !strings.Contains(message, " param") {
			continue
		}
		p, ok := d.params[filepath.Base(at)]
		if !ok {
			continue // of a function literal: nobody else calls those by name
		}
		kind, rest, _ := strings.Cut(message, ": ")
		_, flow, _ := strings.Cut(rest, " ") // the name before it may change
		found[p.function] = append(found[p.function], strconv.Itoa(p.index)+" "+kind+" "+p.flow(flow))
	}
	leaks := map[string]string{}
	for f, list := range found {
		sort.Strings(list)
		leaks[f] = strings.Join(list, "; ")
	}
	return leaks
}

// flow writes the number of a result in place of its name in "to result name
// level=1".
func (p param) flow(text string) string {
	fields := strings.Fields(text)
	if len(fields) == 4 && fields[1] == "result" {
		if i := slices.Index(p.results, fields[2]); i >= 0 {
			fields[2] = "~r" + strconv.Itoa(i)
		}
	}
	return strings.Join(fields, " ")
}
