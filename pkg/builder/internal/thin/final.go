package thin

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
)

// finish edits the object that the Go linker wrote, in place.
//
//   - Functions of the host lose the suffix by which the linker tells ABIs
//     apart in a shared library: the host has them without.
//   - The thread-local slot of the current goroutine is the host's. With a
//     definition of its own each artifact would take a piece of the little
//     static storage that the C library keeps for libraries loaded late, and
//     there would be an end to loading.
//   - A function that the artifact has for one ABI and takes from the host for
//     the other is two symbols of one name then. The artifact's own is called
//     by no one else and gives way.
//   - What nobody else may replace gets a visibility that says so: it needs no
//     lookup at load.
func finish(file string, visibility func(name string) elf.SymVis) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := edit(data, visibility); err != nil {
		return unfit("the object of the Go linker: %w", err)
	}
	return os.WriteFile(file, data, 0o600)
}

func edit(data []byte, visibility func(name string) elf.SymVis) error {
	le := binary.LittleEndian
	if len(data) < 64 || string(data[:6]) != "\x7fELF\x02\x01" {
		return fmt.Errorf("it is no ELF file")
	}
	shoff, shnum := le.Uint64(data[40:]), uint64(le.Uint16(data[60:]))
	if shoff > uint64(len(data)) || shnum*64 > uint64(len(data))-shoff {
		return fmt.Errorf("its sections are cut off")
	}
	head := func(i uint64) []byte { return data[shoff+i*64:][:64] }
	content := func(i uint64) ([]byte, error) {
		h := head(i)
		off, size := le.Uint64(h[24:]), le.Uint64(h[32:])
		if off > uint64(len(data)) || size > uint64(len(data))-off {
			return nil, fmt.Errorf("section %d is cut off", i)
		}
		return data[off:][:size], nil
	}
	for i := range shnum {
		h := head(i)
		switch elf.SectionType(le.Uint32(h[4:])) {
		case elf.SHT_NOBITS:
			if elf.SectionFlag(le.Uint64(h[8:]))&elf.SHF_TLS != 0 {
				le.PutUint64(h[32:], 0)
			}
		case elf.SHT_SYMTAB:
			table, err := content(i)
			if err != nil {
				return err
			}
			link := uint64(le.Uint32(h[40:]))
			if link >= shnum {
				return fmt.Errorf("its symbols have no names")
			}
			strs, err := content(link)
			if err != nil {
				return err
			}
			if err := editSymbols(table, strs, visibility); err != nil {
				return err
			}
		}
	}
	return nil
}

func editSymbols(table, strs []byte, visibility func(name string) elf.SymVis) error {
	le := binary.LittleEndian
	taken := map[string]bool{}     // names of functions that are the host's
	defined := map[string][]byte{} // global functions of the artifact
	for ; len(table) >= symSize; table = table[symSize:] {
		at := uint64(le.Uint32(table))
		if at >= uint64(len(strs)) {
			return fmt.Errorf("a symbol has no name")
		}
		end := bytes.IndexByte(strs[at:], 0)
		if end < 0 {
			return fmt.Errorf("a symbol's name has no end")
		}
		name := string(strs[at:][:end])
		bind, typ, undefined := elf.ST_BIND(table[4]), elf.ST_TYPE(table[4]), le.Uint16(table[6:]) == 0
		if bind == elf.STB_GLOBAL && !undefined && typ == elf.STT_FUNC {
			defined[name] = table
		}
		switch {
		case bind != elf.STB_GLOBAL:
		case name == "runtime.tlsg":
			le.PutUint16(table[6:], uint16(elf.SHN_UNDEF))
			clear(table[8:symSize])
		case undefined:
			if cut, ok := strings.CutSuffix(name, ".abiinternal"); ok {
				strs[at+uint64(len(cut))] = 0
				name = cut
			}
			taken[name] = true
		default:
			if v := visibility(name); v != elf.STV_DEFAULT {
				table[5] = table[5]&^3 | byte(v)
			}
		}
	}
	for name, entry := range defined {
		if taken[name] && len(name) > 1 {
			le.PutUint32(entry, le.Uint32(entry)+1) // no room for a new name
			entry[5] = entry[5]&^3 | byte(elf.STV_HIDDEN)
		}
	}
	return nil
}
