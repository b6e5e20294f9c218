package hosttest

import "fmt"

// ledgerLayouts are what types of the ledger are in one version after the other.
var ledgerLayouts = [...]map[string]string{
	{"account": "n int; name string", "key": "struct{ a, b int }", "tally": "struct{ n int32 }", "entry": "struct{ by int }"},
	{"account": "name string; n int64; last []int", "key": "struct{ b, a int64 }", "tally": "struct{ pad [3]string; n int64 }", "entry": "struct{ note any; by int64 }"},
	{"account": "last []int; extra map[string]*account; n int64", "key": "struct{ a, b int }", "tally": "struct{ n int64; of *account }", "entry": "struct{ by int32; note any }"},
	{"account": "n uint64", "key": "struct{ c string; b, a int32 }", "tally": "struct{ n uint64 }", "entry": "struct{ by uint16; more [4]byte }"},
}

// LedgerLayouts is how many versions of the ledger have types of their own.
const LedgerLayouts = len(ledgerLayouts)

// ledgerHooks are what hooks a version has.
var ledgerHooks = []string{
	"",
	"func HotStart(ctx context.Context) error { started = total; return nil }\n\nfunc HotHealth(context.Context) error {\n\tif started > total {\n\t\treturn errors.New(\"it ran backwards\")\n\t}\n\treturn nil\n}\n",
	"func HotStart(ctx context.Context) error { go func() { <-ctx.Done() }(); return nil }\n",
}

// Ledger gives the text of a version of plugin ledger, which counts deposits in variables
// of many kinds, each kind for itself. Versions that follow each other differ in types
// and hooks; the number goes as far as one likes.
func Ledger(n int) string {
	layout := ledgerLayouts[n%len(ledgerLayouts)]
	return fmt.Sprintf(`package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

const version = %d

type (
	account struct{ %s }
	key     %s
	tally   %s
	entry   %s
	opener  interface{ open() int }
)

func (a *account) open() int { return int(a.n) }

var (
	mu       sync.Mutex
	total    int
	accounts = map[int]*account{}
	tallies  = map[key]tally{}
	entries  []entry
	openers  [8]opener
	first    = &openers[0]
	atomics  atomic.Int64
	started  int
	_        = []any{context.Background, errors.New}
)

// Deposit acknowledges one deposit.
func Deposit(who int) int {
	atomics.Add(1)
	runtime.Gosched() // who stops here is in none of the plugin's instructions
	mu.Lock()
	defer mu.Unlock()
	total++
	a := accounts[who]
	if a == nil {
		a = &account{}
		accounts[who] = a
		if who < len(openers) {
			openers[who] = a
		}
	}
	a.n++
	var k key
	k.a = 1
	t := tallies[k]
	t.n++
	tallies[k] = t
	if len(entries) == 0 || entries[len(entries)-1].by >= 1000 {
		entries = append(entries, entry{})
	}
	entries[len(entries)-1].by++
	return version
}

// Via deposits after somebody else's function has returned.
func Via(other func()) {
	other()
	Deposit(0)
}

// Count says what each kind of variable has counted.
func Count() string {
	mu.Lock()
	defer mu.Unlock()
	inAccounts, opened, entered := 0, 0, 0
	for who, a := range accounts {
		inAccounts += int(a.n)
		if who < len(openers) {
			opened += int(a.n) - openers[who].open()
		}
	}
	if *first != openers[0] {
		opened++
	}
	for _, e := range entries {
		entered += int(e.by)
	}
	var k key
	k.a = 1
	return fmt.Sprint(total, inAccounts, int(tallies[k].n), entered, atomics.Load(), opened)
}

%s`, n, layout["account"], layout["key"], layout["tally"], layout["entry"], ledgerHooks[n%len(ledgerHooks)])
}
