// Command target is the program that the tests of package livepatch change. It
// runs the scenario that its argument names in itself, and says "ok", or what
// went wrong.
package main

import (
	"fmt"
	"os"
	_ "plugin" // makes the linker list all symbols
	"reflect"
	"slices"

	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

var scenarios = map[string]func(*livepatch.Patcher) error{
	"calls":    calls,
	"rollback": rollback,
	"refusals": refusals,
	"locked":   locked,
	"loop":     loop,
	"nosplit":  nosplitLoop,
	"soak":     soak,
	"pause":    pause,
	"cost":     cost,
	"still":    still,
}

func main() {
	if err := scenarios[os.Args[1]](livepatch.New()); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ok")
}

// entry gives where a function begins.
func entry(function any) uintptr { return reflect.ValueOf(function).Pointer() }

func redirect(from, to any) livepatch.Redirect {
	return livepatch.Redirect{From: entry(from), To: entry(to)}
}

// expect compares what functions give with what they have to.
func expect(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}

// results calls everything that calls redirects.
func results() []string {
	var s stringer = &counter{n: 7}
	f := plain
	defer func(kept func(int) string) { plainKept = kept }(f)
	return []string{
		plain(3), f(3), plainKept(3), fmt.Sprint(one()), fmt.Sprint(identity(5)), fmt.Sprint(sum([]int{1, 2, 3})),
		s.String(), (&counter{n: 8}).String(), fmt.Sprint(&counter{n: 9}), fmt.Sprint(factorial(5)), fmt.Sprint(large(1)), fmt.Sprint(huge(1)),
		fmt.Sprint(floats(1.5, "x", 2, []byte("y"))), guarded(),
	}
}

// calls replaces functions of every shape, whoever calls them.
func calls(p *livepatch.Patcher) error {
	before := results()
	set := []livepatch.Redirect{
		redirect(plain, plain2), redirect(nothing, nothing2), redirect(one, one2), redirect(identity, identity2), redirect(sum, sum2),
		redirect((*counter).String, (*counter).string2), redirect(factorial, factorial2), redirect(large, large2), redirect(huge, huge2),
		redirect(floats, floats2), redirect(guarded, guarded2),
	}
	report, err := p.Set(set)
	if err != nil {
		return err
	}
	if nothing(); called.Load() != 1 {
		return fmt.Errorf("nothing was not replaced")
	}
	if report.Written != len(set) || report.Pause <= 0 || report.Tries != 1 || report.Unsealed != nil {
		return fmt.Errorf("report %+v", report)
	}
	if err := expect("replaced", results(), []string{
		"new 3", "new 3", "new 3", "2", "50", "60", "counter 7", "counter 8", "counter 9", "121", "101", "102", "3.5 X 3 Y", "recovered new",
	}); err != nil {
		return err
	}
	// Other targets for some, their own code for others.
	report, err = p.Set([]livepatch.Redirect{redirect(plain, plain3), redirect(one, one2)})
	if err != nil {
		return err
	}
	if report.Swapped != 1 || report.Written != 0 || report.Restored != len(set)-2 {
		return fmt.Errorf("report %+v", report)
	}
	want := slices.Clone(before)
	want[0], want[1], want[2], want[3] = "newer 3", "newer 3", "newer 3", "2"
	if err := expect("turned", results(), want); err != nil {
		return err
	}
	if report, err = p.Set([]livepatch.Redirect{redirect(plain, plain3), redirect(one, one2)}); err != nil || report != (livepatch.Report{}) {
		return fmt.Errorf("the same again: %+v, %v", report, err)
	}
	// A chain: old leads to new leads to newer.
	if _, err = p.Set([]livepatch.Redirect{redirect(plain, plain2), redirect(plain2, plain3)}); err != nil {
		return err
	}
	if err := expect("chain", plain(3), "newer 3"); err != nil {
		return err
	}
	if _, err = p.Set(nil); err != nil {
		return err
	}
	return expect("restored", results(), before)
}

// rollback looks at the bytes themselves.
func rollback(p *livepatch.Patcher) error {
	functions := []any{plain, nothing, one, identity, sum, (*counter).String, factorial, large, huge, floats}
	others := []any{plain2, nothing2, one2, identity2, sum2, (*counter).string2, factorial2, large2, huge2, floats2}
	before := text()
	var set []livepatch.Redirect
	for i, f := range functions {
		was, err := p.Bytes(entry(f), 8)
		if err != nil {
			return err
		}
		set = append(set, livepatch.Redirect{From: entry(f), To: entry(others[i]), Was: was})
	}
	for range 3 {
		if _, err := p.Set(set); err != nil {
			return err
		}
		if slices.Equal(text(), before) {
			return fmt.Errorf("nothing was written")
		}
		for _, r := range set {
			if now, err := p.Bytes(r.From, len(r.Was)); err != nil || !slices.Equal(now, r.Was) {
				return fmt.Errorf("bytes are said to be %x, %v; want %x", now, err, r.Was)
			}
		}
		if permissions := writableCode(); permissions != "" {
			return fmt.Errorf("left writable: %s", permissions)
		}
		if _, err := p.Set(nil); err != nil {
			return err
		}
		if !slices.Equal(text(), before) {
			return fmt.Errorf("the code is not what it was")
		}
	}
	return nil
}
