//go:build cgo

package livepatch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestJumpKeepsWhatIsBehindIt(t *testing.T) {
	for _, c := range []struct {
		entry, slot uintptr
		want        []byte
	}{
		{0x401000, 0x400000, []byte{0xe9, 0xfb, 0xef, 0xff, 0xff, 6, 7, 8}},
		{0x401000, 0x40100d, []byte{0xe9, 8, 0, 0, 0, 6, 7, 8}},
		{0x10000000, 0x10000000 + reach - 1, []byte{0xe9, 0xfa, 0xff, 0xef, 0x7f, 6, 7, 8}},
	} {
		was := binary.LittleEndian.Uint64([]byte{1, 2, 3, 4, 5, 6, 7, 8})
		got := binary.LittleEndian.AppendUint64(nil, jumpTo(c.entry, c.slot, was))
		if !slices.Equal(got, c.want) {
			t.Errorf("from %#x to %#x: % x, want % x", c.entry, c.slot, got, c.want)
		}
	}
	if got, want := slotCode(4096), [8]byte{0xff, 0x25, 0xfa, 0x0f, 0, 0, 0xcc, 0xcc}; got != want {
		t.Errorf("slot: % x, want % x", got, want)
	}
}

func TestCheckForStackSpaceIsRecognised(t *testing.T) {
	for _, c := range []struct {
		what string
		code []byte
		want bool
	}{
		{"small frame, near", []byte{0x49, 0x3b, 0x66, 0x10, 0x76, 0x20}, true},
		{"small frame, far", []byte{0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 1, 2, 0, 0}, true},
		{"large frame, byte", []byte{0x4c, 0x8d, 0x64, 0x24, 0xc8, 0x4d, 0x3b, 0x66, 0x10, 0x76}, true},
		{"large frame", []byte{0x4c, 0x8d, 0xa4, 0x24, 0x70, 0xfc, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10}, true},
		{"huge frame", []byte{0x49, 0x89, 0xe4, 0x49, 0x81, 0xec, 0xd0, 0x22, 0, 0}, true},
		{"comparison without a branch", []byte{0x49, 0x3b, 0x66, 0x10, 0x90, 0x90}, false},
		{"lea without a comparison", []byte{0x4c, 0x8d, 0x64, 0x24, 0xc8, 0x90, 0x90, 0x90, 0x90}, false},
		{"leaf", []byte{0xb8, 1, 0, 0, 0, 0xc3}, false},
		{"too short", []byte{0x49, 0x3b, 0x66}, false},
		{"cut off", []byte{0x4c, 0x8d, 0xa4, 0x24, 0x70}, false},
		{"nothing", nil, false},
	} {
		if got := checksStack(c.code); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

func TestJumpsIntoTheHeadAreFound(t *testing.T) {
	for _, c := range []struct {
		what       string
		code       []byte
		back, call bool
	}{
		{"leaf", []byte{0xb8, 1, 0, 0, 0, 0xc3}, false, false},
		{"loop to the third byte", []byte{0xeb, 3, 0x48, 0xff, 0xc8, 0x48, 0x85, 0xc0, 0x7f, 0xf8, 0xc3}, true, false},
		{"loop to the sixth byte", []byte{0xb8, 1, 0, 0, 0, 0x48, 0xff, 0xc8, 0x75, 0xfb, 0xc3}, false, false},
		{"loop to the entry", []byte{0x48, 0xff, 0xc8, 0x75, 0xfb, 0xc3}, false, false},
		{"far loop to the fifth byte", []byte{0x55, 0x48, 0x89, 0xe5, 0x90, 0xe9, 0xfa, 0xff, 0xff, 0xff}, true, false},
		{"far condition to the fifth byte", []byte{0x55, 0x48, 0x89, 0xe5, 0x90, 0x0f, 0x85, 0xf9, 0xff, 0xff, 0xff}, true, false},
		{"switch", []byte{0xff, 0xe0}, true, false},
		{"switch with a prefix", []byte{0x41, 0xff, 0xe1}, true, false},
		{"increment", []byte{0xff, 0xc0}, false, false},
		{"call", []byte{0xe8, 0, 0, 0, 0}, false, true},
		{"call of a register", []byte{0xff, 0xd1}, false, true},
		{"nothing", nil, false, false},
	} {
		if got := mayJumpBack(c.code); got != c.back {
			t.Errorf("%s: may jump back: %v", c.what, got)
		}
		if got := mayCall(c.code); got != c.call {
			t.Errorf("%s: may call: %v", c.what, got)
		}
	}
}

// Wherever a jump to one of the bytes in question is put into whatever code, it
// is found.
func FuzzJumpBackIsNeverMissed(f *testing.F) {
	f.Add([]byte{0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90}, uint(5), byte(2), byte(0x75))
	f.Add(make([]byte, 300), uint(200), byte(0), byte(0xe9))
	f.Fuzz(func(t *testing.T, code []byte, where uint, target, op byte) {
		to := 1 + int(target)%(jumpSize-1)
		if len(code) < 6 {
			return
		}
		at := int(where % uint(len(code)-5))
		switch {
		case op&0xf0 == 0x70, op == 0xeb:
			if d := to - at - 2; d < -128 {
				return
			}
			code[at], code[at+1] = op, byte(to-at-2)
		case op == 0xe9:
			code[at] = op
			binary.LittleEndian.PutUint32(code[at+1:], uint32(to-at-5))
		default:
			code[at], code[at+1] = 0x0f, 0x80|op&0xf
			binary.LittleEndian.PutUint32(code[at+2:], uint32(to-at-6))
		}
		if !mayJumpBack(code) {
			t.Errorf("jump to %d at %d is missed: % x", to, at, code)
		}
	})
}

func TestSlotsAreAsNearAsThereIsRoom(t *testing.T) {
	const program = "00400000-00a00000 r-xp 0 08:01 1 /host\n00a00000-01000000 rw-p 0 00:00 0\n"
	for _, c := range []struct {
		what, maps string
		entry      uintptr
		want       uintptr
	}{
		{"below the program", program, 0x401000, 0x3fe000},
		{"behind it", "00010000-00a00000 r-xp\n", 0x401000, 0xb00000},
		{"in a small gap", "00010000-00a00000 r-xp\n00a02000-70000000 rw-p\n", 0x401000, 0xa00000},
		{"the nearer of two", "00010000-20000000 r-xp\n20400000-7f000000 r-xp\n", 0x30000000, 0x203fe000},
		{"nothing mapped", "", 0x401000, 0x110000},
	} {
		if got, ok := findGap([]byte(c.maps), c.entry); !ok || got != c.want {
			t.Errorf("%s: %#x, %v; want %#x", c.what, got, ok, c.want)
		}
	}
	if got, ok := findGap([]byte("00001000-ff000000 r-xp\n"), 0x401000); ok {
		t.Errorf("out of reach: %#x", got)
	}
}

func FuzzGapIsFreeAndInReach(f *testing.F) {
	f.Add(uint64(1), 5, uint64(0x400000))
	f.Add(uint64(7), 200, uint64(0x7f0012345000))
	f.Fuzz(func(t *testing.T, seed uint64, n int, entry uint64) {
		if n < 0 || n > 1000 || entry >= 1<<47 {
			return
		}
		r := rand.New(rand.NewPCG(seed, 0))
		var maps []byte
		var taken []span
		for at := uintptr(1 << 16); n > 0 && at < 1<<46; n-- {
			at += uintptr(r.Uint64N(1<<uint(r.IntN(40)+1))) &^ (pageSize - 1)
			to := at + uintptr(1+r.IntN(1<<20))*pageSize
			maps = fmt.Appendf(maps, "%x-%x r-xp 0 00:00 0\n", at, to)
			taken = append(taken, span{at, to})
			at = to
		}
		base, ok := findGap(maps, uintptr(entry))
		if !ok {
			return
		}
		if base%pageSize != 0 || !near(base, uintptr(entry)) {
			t.Errorf("%#x for %#x", base, entry)
		}
		for _, s := range taken {
			if base < s.to && s.from < base+2*pageSize {
				t.Errorf("%#x is taken by %#x-%#x", base, s.from, s.to)
			}
		}
	})
}

func TestOnlyKnownReleasesArePatched(t *testing.T) {
	for version, want := range map[string]bool{
		"go1.26.8": true, "go1.26": true, "go1.27rc1": true, "go1.27.1 X:nodwarf5": true, "go1.26.8-bigcorp": true,
		"go1.25.9": false, "go1.28": false, "go1.260": false, "devel go1.27-abcdef": false, "": false,
	} {
		if got := knownRelease(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

func TestProgramWithoutSymbolsIsRefused(t *testing.T) {
	// This test's binary cannot load plugins.
	p := New()
	var e *Error
	if err := p.Supported(); !errors.As(err, &e) || e.Reason != Unsupported {
		t.Errorf("got %v", err)
	}
	if _, err := p.Set([]Redirect{{From: 1, To: 2}}); !errors.As(err, &e) || e.Reason != Unsupported {
		t.Errorf("got %v", err)
	}
}

func TestPatcherLeavesItselfAlone(t *testing.T) {
	if ownPackage != "github.com/hotgo/hotgo/pkg/reloader/internal/livepatch" {
		t.Errorf("own package is %q", ownPackage)
	}
	for function, want := range map[string]bool{
		ownPackage + ".(*Patcher).Set": true, ownPackage + "s.F": false, "runtime.GC": true, "main.main": false,
	} {
		if got := untouchable(function); got != want {
			t.Errorf("%s: %v", function, got)
		}
	}
}

func TestFunctionsAreNamedByTheirEntry(t *testing.T) {
	addr := reflect.ValueOf(outer).Pointer()
	if got := FunctionAt(addr); got != ownPackage+".outer" {
		t.Errorf("entry of a function that begins with inlined code: %q", got)
	}
	if got := FunctionAt(addr + 1); got != "" {
		t.Errorf("middle: %q", got)
	}
	if got := FunctionAt(0); got != "" {
		t.Errorf("nil: %q", got)
	}
}

//go:noinline
func outer(n int) int { return inner(n) }

func inner(n int) int { return n*n + 1 }
