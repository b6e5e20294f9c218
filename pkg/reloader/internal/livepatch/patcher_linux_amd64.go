//go:build cgo

package livepatch

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// Patcher is what redirects the functions of this process. There must be one at
// most, since it takes the code that it finds for the original. Its methods may
// be called concurrently.
type Patcher struct {
	world   func() (*world, error)
	protect func(addr, n, how uintptr) error // mprotect; the seam for systems that refuse it

	mu      sync.Mutex
	entries map[uintptr]*entry
	pools   []*pool
}

// entry is a function that is redirected, or was.
type entry struct {
	at       uintptr
	name     string
	original uint64  // its first eight bytes
	to       uintptr // where it leads; 0: its own code is there
	slot     slot
	watch    watch // while it is written
}

// New gives the patcher. It does nothing yet.
func New() *Patcher {
	return &Patcher{world: sync.OnceValues(findWorld), protect: protect, entries: map[uintptr]*entry{}}
}

// Supported says why this process cannot be patched, as far as can be told
// without doing it. The first call reads the executable's symbols.
//
// Errors: *[Error] with Unsupported.
func (p *Patcher) Supported() error {
	_, err := p.world()
	return err
}

// Bias is how far the executable's code is from where its file has it.
//
// Errors: as Supported.
func (p *Patcher) Bias() (uintptr, error) {
	w, err := p.world()
	if err != nil {
		return 0, err
	}
	return w.bias, nil
}

// Bytes gives n bytes of the code of the function that begins at addr, as they
// are where it is not redirected.
//
// Errors: *[Error] with Unfit where that is no function, or a shorter one.
func (p *Patcher) Bytes(addr uintptr, n int) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes(addr, n)
}

// bytes is Bytes for a caller who holds p.mu.
func (p *Patcher) bytes(addr uintptr, n int) ([]byte, error) {
	if n <= 0 || addr == 0 || FunctionOf(addr) != addr || FunctionOf(addr+uintptr(n)-1) != addr {
		return nil, fail(Unfit, FunctionAt(addr), "there is no function with %d bytes at %#x", n, addr)
	}
	code := codeAt(addr, n)
	if e := p.entries[addr]; e != nil && e.to != 0 {
		var original [entrySize]byte
		binary.LittleEndian.PutUint64(original[:], e.original)
		copy(code, original[:])
	}
	return code, nil
}

// Check tells whether the function that begins at from can be redirected, and
// that its code is what it is taken for: was, where that is not empty.
//
// Errors: *[Error].
func (p *Patcher) Check(from uintptr, was []byte) error {
	if err := p.Supported(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.checked(from, was)
	return err
}

// Set makes these redirections the ones that are in force, and no others: new
// ones are written, those that lead elsewhere are turned, and functions that are
// not among them have their own code again. The world is stopped once, and
// everything changes at once; or not at all, where nothing is to be changed.
//
// Errors: *[Error]; then nothing has changed.
func (p *Patcher) Set(redirects []Redirect) (Report, error) {
	w, err := p.world()
	if err != nil {
		return Report{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	targets, err := p.prepare(redirects)
	if err != nil {
		return Report{}, err
	}
	c, report := p.plan(targets)
	if len(c.code)+len(c.pointers) == 0 {
		return report, nil
	}
	sealed, err := p.open(c.code)
	if err != nil {
		return Report{}, err
	}
	report.Pause, report.Tries, err = w.change(c)
	report.Unsealed = sealed()
	if err != nil {
		return Report{}, err
	}
	for at, e := range p.entries {
		e.to = targets[at]
	}
	return report, nil
}

// prepare checks the redirections and gives what is to be: entry → target. It
// makes entries and slots for functions that have none yet.
func (p *Patcher) prepare(redirects []Redirect) (map[uintptr]uintptr, error) {
	targets := make(map[uintptr]uintptr, len(redirects))
	for _, r := range redirects {
		if _, twice := targets[r.From]; twice {
			return nil, fail(Unfit, FunctionAt(r.From), "it is to be redirected twice")
		}
		e, err := p.checked(r.From, r.Was)
		if err != nil {
			return nil, err
		}
		if FunctionOf(r.To) != r.To || r.To == 0 {
			return nil, fail(Unfit, e.name, "no function begins at %#x, where it is to lead", r.To)
		}
		targets[r.From] = r.To
	}
	for from := range targets {
		// Each may lead to another that leads on; none may lead back.
		for to, steps := targets[from], 0; to != 0; to, steps = targets[to], steps+1 {
			if to == from || steps > len(targets) {
				return nil, fail(Unfit, p.entries[from].name, "it is to lead back to itself")
			}
		}
	}
	return targets, nil
}

// checked gives the entry at from, whose code has to begin with was.
func (p *Patcher) checked(from uintptr, was []byte) (*entry, error) {
	e, err := p.entry(from)
	if err != nil || len(was) == 0 {
		return e, err
	}
	have, err := p.bytes(from, len(was))
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(have, was) {
		return nil, &Error{
			Reason: Changed, Function: e.name, Want: was, Have: have,
			Detail: "its code is not what it was taken for: " + hex.EncodeToString(have) + ", not " + hex.EncodeToString(was),
		}
	}
	return e, nil
}

// entry gives what is known of the function at addr, finding it out if need be.
func (p *Patcher) entry(addr uintptr) (*entry, error) {
	if e := p.entries[addr]; e != nil {
		return e, nil
	}
	name := FunctionAt(addr)
	switch {
	case addr == 0 || FunctionOf(addr) != addr:
		return nil, fail(Unfit, "", "no function begins at %#x", addr)
	case addr%entrySize != 0:
		return nil, fail(Unfit, name, "it begins at %#x, which is no multiple of %d", addr, entrySize)
	case FunctionOf(addr+entrySize-1) != addr:
		return nil, fail(Unfit, name, "it is too small to be redirected")
	case untouchable(name):
		return nil, fail(Unfit, name, "it runs where nothing can be replaced: in the runtime, below it, or while a system call is made")
	}
	e := &entry{at: addr, name: name, original: *at[uint64](addr)}
	if !checksStack(codeAt(addr, longestCheck)) {
		e.watch = exposed(addr, codeAt(addr, int(end(addr)-addr)))
	}
	var err error
	if e.slot, err = p.slotFor(addr); err != nil {
		return nil, err
	}
	p.entries[addr] = e
	return e, nil
}

// exposed says where nobody may be while the function that begins at addr, and
// consists of code, is written.
func exposed(addr uintptr, code []byte) watch {
	head := []span{{addr + 1, addr + jumpSize}}
	body := []span{{addr + 1, addr + uintptr(len(code))}}
	switch {
	case !mayJumpBack(code):
		return watch{interrupted: head}
	case !mayCall(code):
		return watch{interrupted: body}
	}
	return watch{interrupted: body, any: body} // it may be below what it called
}

// end gives an address behind the function that begins at addr, and behind the
// padding that follows it, which belongs to it as far as the runtime knows.
func end(addr uintptr) uintptr {
	const step = entrySize // no function begins in between: see entry
	to := addr + step
	for FunctionOf(to) == addr {
		to += step
	}
	return to
}

// untouchable reports whether a function may be running while the world is
// stopped, or is this package's, which cannot replace itself while it is at it.
func untouchable(name string) bool {
	return symname.RunsUnseen(name) || symname.Package(name) == ownPackage
}

var ownPackage = symname.Package(FunctionAt(reflect.ValueOf(New).Pointer()))

// plan says what to store. Slots that no entry leads to yet are set at once:
// nobody sees it.
func (p *Patcher) plan(targets map[uintptr]uintptr) (*change, Report) {
	c, report := new(change), Report{}
	for addr, e := range p.entries {
		switch to := targets[addr]; {
		case to == e.to:
		case to == 0:
			// Nobody can be inside of a jump.
			c.code = append(c.code, store{addr, e.original})
			report.Restored++
		case e.to == 0:
			atomic.StoreUint64(at[uint64](e.slot.pointer), uint64(to))
			c.code = append(c.code, store{addr, jumpTo(addr, e.slot.code, e.original)})
			c.watch.interrupted = append(c.watch.interrupted, e.watch.interrupted...)
			c.watch.any = append(c.watch.any, e.watch.any...)
			report.Written++
		default:
			c.pointers = append(c.pointers, store{e.slot.pointer, uint64(to)})
			report.Swapped++
		}
	}
	byAddress := func(a, b span) int { return cmp.Compare(a.from, b.from) }
	slices.SortFunc(c.watch.interrupted, byAddress)
	slices.SortFunc(c.watch.any, byAddress)
	slices.SortFunc(c.code, func(a, b store) int { return cmp.Compare(a.at, b.at) })
	return c, report
}

const denied = "this system does not let a program change its own code"

// open makes the pages of code writable that will be stored to, and has the
// kernel make this process's own copies of them now. seal takes it back.
func (p *Patcher) open(code []store) (seal func() error, err error) {
	var pages []span // one for each run of pages
	for _, s := range code {
		page := s.at &^ (pageSize - 1)
		switch n := len(pages); {
		case n > 0 && page < pages[n-1].to:
		case n > 0 && page == pages[n-1].to:
			pages[n-1].to += pageSize
		default:
			pages = append(pages, span{page, page + pageSize})
		}
	}
	opened := 0
	seal = func() error {
		var errs []error
		for _, run := range pages[:opened] {
			errs = append(errs, p.protect(run.from, run.to-run.from, readExecute))
		}
		return errors.Join(errs...)
	}
	for _, run := range pages {
		if err := p.protect(run.from, run.to-run.from, everything); err != nil {
			e := &Error{Reason: Denied, Detail: denied, Err: err}
			if sealErr := seal(); sealErr != nil {
				e.Err = errors.Join(err, sealErr)
			}
			return nil, e
		}
		opened++
	}
	for _, s := range code {
		// A store that changes nothing, and that no other thread can notice.
		now := *at[uint64](s.at)
		atomic.CompareAndSwapUint64(at[uint64](s.at), now, now)
	}
	return seal, nil
}

// The world is stopped at most so often for one change, and for so long in all.
// Who is in the way is ready to run and was interrupted a moment ago, so it is
// gone soon, unless it goes round in one small function.
const (
	mostTries = 100
	longest   = time.Second
)

// change makes c so, as soon as nobody is in the way.
func (w *world) change(c *change) (pause time.Duration, tries int, err error) {
	began := time.Now()
	for tries = 1; ; tries++ {
		pause, inTheWay := w.do(c)
		if inTheWay == 0 {
			return pause, tries, nil
		}
		if tries == mostTries || time.Since(began) > longest {
			return 0, tries, fail(Busy, FunctionAt(FunctionOf(inTheWay)), "a goroutine was in the middle of it each of the %d times that the world was stopped", tries)
		}
		runtime.Gosched()
		time.Sleep(time.Duration(tries) * 10 * time.Microsecond)
	}
}
