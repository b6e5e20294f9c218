//go:build cgo

package livepatch

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"unsafe"
)

// slot is the way from one entry to wherever it leads at the moment.
type slot struct {
	code    uintptr
	pointer uintptr
}

// pool is a page of code, all of it slots and never changed, and a page of
// their pointers behind it.
type pool struct {
	base uintptr
	used int
}

const slotsInPool = pageSize / slotSize

func (p *pool) take() slot {
	code := p.base + uintptr(p.used)*slotSize
	p.used++
	return slot{code: code, pointer: code + pageSize}
}

// near reports whether a jump at entry reaches the slots of a pool at base.
func near(base, entry uintptr) bool {
	return max(base, entry)-min(base, entry) < reach
}

// slotFor gives a fresh slot for an entry. The caller holds p.mu.
func (p *Patcher) slotFor(entry uintptr) (slot, error) {
	for _, pool := range p.pools {
		if pool.used < slotsInPool && near(pool.base, entry) {
			return pool.take(), nil
		}
	}
	base, err := newPool(entry)
	if err != nil {
		return slot{}, err
	}
	fresh := &pool{base: base}
	p.pools = append(p.pools, fresh)
	return fresh.take(), nil
}

// newPool maps a pool as near to entry as there is room.
func newPool(entry uintptr) (uintptr, error) {
	const tries = 16
	var refused []uintptr // the lowest addresses may be forbidden
	var err error
	for range tries {
		// Other threads map memory as well, and the system puts the next mapping
		// just where there is room next to an artifact: look anew each time.
		var maps []byte
		if maps, err = os.ReadFile("/proc/self/maps"); err != nil {
			return 0, &Error{Reason: NoMemory, Detail: "the memory map of this process cannot be read", Err: err}
		}
		for _, base := range refused {
			line := strconv.FormatUint(uint64(base), 16) + "-" + strconv.FormatUint(uint64(base)+2*pageSize, 16) + " ---p\n"
			maps = insertMapping(maps, base, line)
		}
		base, ok := findGap(maps, entry)
		if !ok {
			break
		}
		if err = mapAt(base, 2*pageSize); err != nil {
			refused = append(refused, base)
			continue
		}
		code := slotCode(pageSize)
		copy(unsafe.Slice(at[byte](base), pageSize), bytes.Repeat(code[:], slotsInPool))
		if err = protect(base, pageSize, readExecute); err != nil {
			unmap(base, 2*pageSize)
			return 0, &Error{Reason: Denied, Detail: denied, Err: err}
		}
		return base, nil
	}
	return 0, &Error{Reason: NoMemory, Detail: "there is no free memory within 2 GB of the code", Err: err}
}

// findGap gives the address for a pool in the gap between two mappings that is
// nearest to entry: at the upper end of one below, at the lower end of one
// above. maps is in the format of /proc/PID/maps, ascending.
func findGap(maps []byte, entry uintptr) (base uintptr, ok bool) {
	const (
		lowest  = 1 << 16 // what the kernel gives nobody (vm.mmap_min_addr)
		highest = 1<<47 - pageSize
		spare   = 1 << 20 // below: nothing grows upwards but what brk(2) gives, which begins after the program
	)
	best := ^uintptr(0)
	consider := func(at uintptr) {
		if d := max(at, entry) - min(at, entry); near(at, entry) && d < best {
			base, best, ok = at, d, true
		}
	}
	gap := func(from, to uintptr) { // what is free
		from = max(from, lowest)
		if to <= from || to-from < 2*pageSize {
			return
		}
		if to <= entry {
			consider(to - 2*pageSize)
			return
		}
		if to-from >= spare+2*pageSize { // not in the way of the heap of the C library
			from += spare
		}
		consider(from)
	}
	free := uintptr(0)
	for line := range bytes.Lines(maps) {
		from, to, ok := parseRange(line)
		if !ok {
			continue
		}
		gap(free, from)
		free = max(free, to)
	}
	gap(free, highest)
	return base, ok
}

// parseRange reads the beginning of a line of /proc/PID/maps.
func parseRange(line []byte) (from, to uintptr, ok bool) {
	addresses, _, _ := strings.Cut(string(line), " ")
	low, high, _ := strings.Cut(addresses, "-")
	a, err1 := strconv.ParseUint(low, 16, 64)
	b, err2 := strconv.ParseUint(high, 16, 64)
	return uintptr(a), uintptr(b), err1 == nil && err2 == nil && a < b
}

// insertMapping puts a line into maps where it belongs.
func insertMapping(maps []byte, at uintptr, line string) []byte {
	var out []byte
	done := false
	for l := range bytes.Lines(maps) {
		if from, _, ok := parseRange(l); ok && !done && from > at {
			out, done = append(out, line...), true
		}
		out = append(out, l...)
	}
	if !done {
		out = append(out, line...)
	}
	return out
}
