package reloader

import (
	"reflect"
	"runtime"
	"slices"
	"sync"

	"github.com/hotgo/hotgo/pkg/reloader/internal/goplugin"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// patching is this process as a patch sees it: its code, the runtime's tables of
// functions, and the names that artifacts have brought. It is a seam, as platform
// is, and belongs to all hosts of the process.
type patching struct {
	ledger *nameLedger
	// support says why functions of this process cannot be replaced.
	support func() error
	// bias gives how far the host's code is from where its file has it.
	bias func() (uintptr, error)
	// loaded gives the same for an artifact that was opened.
	loaded func(in *inspection, entry goplugin.Symbols) uintptr
	// name gives the function that begins at an address, "" where none does; of
	// gives where the function begins that an address belongs to.
	name func(entry uintptr) string
	of   func(pc uintptr) uintptr
	// check tells whether a function can be redirected and begins with was.
	check func(entry uintptr, was []byte) error
	// set makes these the redirections of a host, and no others.
	set func(h *Host, set []livepatch.Redirect) (livepatch.Report, error)
	// stacks calls visit with the code addresses of each goroutine's stack. It
	// gives false, and calls nothing, where there are too many.
	stacks func(visit func(pcs []uintptr)) bool
}

// newPatching gives the process itself.
func newPatching() *patching {
	patcher := livepatch.New()
	sets := &redirections{apply: patcher.Set, of: map[*Host][]livepatch.Redirect{}}
	return &patching{
		ledger: newNameLedger(), support: patcher.Supported, bias: patcher.Bias, loaded: loadedBias,
		name: livepatch.FunctionAt, of: livepatch.FunctionOf, check: patcher.Check, set: sets.set, stacks: stacks,
	}
}

func loadedBias(in *inspection, entry goplugin.Symbols) uintptr {
	if in.manifest.Foreign {
		return 0 // the entry is ours; no patch is made for such a generation
	}
	return reflect.ValueOf(entry).Pointer() - uintptr(in.entry)
}

// redirections are those of all hosts of the process, which the patcher takes as
// one set.
type redirections struct {
	apply func([]livepatch.Redirect) (livepatch.Report, error)

	mu sync.Mutex
	of map[*Host][]livepatch.Redirect
}

func (r *redirections) set(h *Host, set []livepatch.Redirect) (livepatch.Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := set
	for other, s := range r.of {
		if other != h {
			all = append(slices.Clone(all), s...)
		}
	}
	report, err := r.apply(all)
	if err == nil {
		r.of[h] = set
	}
	return report, err
}

// mostStacks is the number of goroutines up to which they are looked through:
// each costs about a microsecond.
const mostStacks = 100_000

// stacks reads the 32 innermost frames of every goroutine.
func stacks(visit func(pcs []uintptr)) bool {
	var records []runtime.StackRecord
	for n := runtime.NumGoroutine(); ; {
		if n > mostStacks {
			return false
		}
		records = make([]runtime.StackRecord, n+n/8+16)
		var ok bool
		if n, ok = runtime.GoroutineProfile(records); ok {
			records = records[:n]
			break
		}
	}
	for i := range records {
		visit(records[i].Stack())
	}
	return true
}
