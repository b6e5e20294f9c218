//go:build cgo

package livepatch

import (
	"bytes"
	"encoding/binary"
)

// This file is the machine code: what is written, and what is looked for in
// what is there. All of it works on copies.

const (
	pageSize  = 4096
	entrySize = 8 // bytes that are stored at an entry at once, and its alignment
	jumpSize  = 5 // of those, the bytes that change
	slotSize  = 8
	// reach is how far a slot may be from an entry. A little less than 2 GB,
	// so that nobody needs to think about where the distance is measured from.
	reach = 1<<31 - 1<<20
)

// jumpTo gives the first eight bytes of a function, which are in was, with a
// jump from entry to slot in the first five.
func jumpTo(entry, slot uintptr, was uint64) uint64 {
	const low = 1<<(8*jumpSize) - 1
	distance := uint32(int32(int64(slot) - int64(entry) - jumpSize))
	return was&^low | uint64(distance)<<8 | 0xe9 // jmp rel32
}

// slotCode is a slot whose pointer lies distance bytes behind its first byte.
func slotCode(distance int) [slotSize]byte {
	var code [slotSize]byte
	copy(code[:], []byte{0xff, 0x25, 0, 0, 0, 0, 0xcc, 0xcc}) // jmp [rip+d]; int3; int3
	binary.LittleEndian.PutUint32(code[2:], uint32(distance-6))
	return code
}

// longestCheck is how many bytes checksStack needs to see.
const longestCheck = 16

// checksStack reports whether a function begins with the check for stack space.
// The three forms are those for small, large and huge frames. In each of them
// the second instruction, where it begins within the first five bytes, is in the
// unsafe point.
func checksStack(code []byte) bool {
	cut := func(prefix ...byte) bool {
		rest, ok := bytes.CutPrefix(code, prefix)
		if ok {
			code = rest
		}
		return ok
	}
	skip := func(n int) bool {
		ok := len(code) >= n
		code = code[min(n, len(code)):]
		return ok
	}
	switch {
	case cut(0x49, 0x3b, 0x66, 0x10): // cmp rsp, [r14+16]
		return cut(0x76) || cut(0x0f, 0x86) // jbe
	case cut(0x4c, 0x8d, 0x64, 0x24): // lea r12, [rsp+disp8]
		return skip(1) && cut(0x4d, 0x3b, 0x66, 0x10) // cmp r12, [r14+16]
	case cut(0x4c, 0x8d, 0xa4, 0x24): // lea r12, [rsp+disp32]
		return skip(4) && cut(0x4d, 0x3b, 0x66, 0x10)
	case cut(0x49, 0x89, 0xe4): // mov r12, rsp
		return cut(0x49, 0x81, 0xec) // sub r12, imm32
	}
	return false
}

// mayJumpBack reports whether a function may jump to its second to fifth byte.
// The bytes are not taken apart into instructions: every one of them is looked
// at as if an instruction began there, so the answer may be yes in vain, never
// no.
func mayJumpBack(code []byte) bool {
	into := func(target int) bool { return target > 0 && target < jumpSize }
	for i, op := range code {
		rest := code[i+1:]
		switch {
		case op >= 0x70 && op <= 0x7f, op == 0xeb, op >= 0xe0 && op <= 0xe3: // jcc, jmp, loop, jrcxz rel8
			if len(rest) >= 1 && into(i+2+int(int8(rest[0]))) {
				return true
			}
		case op == 0xe9: // jmp rel32
			if len(rest) >= 4 && into(i+5+rel32(rest)) {
				return true
			}
		case op == 0x0f: // jcc rel32
			if len(rest) >= 5 && rest[0]&0xf0 == 0x80 && into(i+6+rel32(rest[1:])) {
				return true
			}
		case op == 0xff: // jmp through a register or memory: of a switch, say
			if len(rest) >= 1 && rest[0]>>3&7 == 4 {
				return true
			}
		}
	}
	return false
}

// mayCall reports whether a function may call another, with the same caution.
func mayCall(code []byte) bool {
	for i, op := range code {
		if op == 0xe8 || op == 0xff && i+1 < len(code) && code[i+1]>>3&7 == 2 {
			return true
		}
	}
	return false
}

func rel32(b []byte) int { return int(int32(binary.LittleEndian.Uint32(b))) }
