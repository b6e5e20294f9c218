package abi

import (
	"io"
	"os"
)

// DynamicSymbol is an entry of a file's dynamic symbol table.
type DynamicSymbol struct {
	Name    []byte // as the linker spells it; valid during the call only
	Value   uint64 // address in the file
	Size    uint64 // in bytes
	Defined bool   // false: another file has to bring it
}

// EachDynamicSymbol calls fn for every named entry of the dynamic symbol table of
// the ELF file in r, which has size bytes, in the order of the file.
//
// Errors: *[Error].
func EachDynamicSymbol(r io.ReaderAt, size int64, fn func(DynamicSymbol)) (err error) {
	defer func() { // as in Read
		if p := recover(); p != nil {
			err = fail(Malformed, "reading its symbols failed: %v", p)
		}
	}()
	m, err := openImage(r, size)
	if err != nil {
		return err
	}
	syms, err := m.readSymbols()
	if err != nil {
		return err
	}
	for i := range syms.len() {
		s := syms.at(i)
		if name := cstring(syms.names, uint64(s.name), maxName); len(name) > 0 {
			fn(DynamicSymbol{Name: name, Value: s.value, Size: s.size, Defined: s.section != 0})
		}
	}
	return nil
}

// EachDynamicSymbolOf is EachDynamicSymbol for the file at path.
func EachDynamicSymbolOf(path string, fn func(DynamicSymbol)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return EachDynamicSymbol(f, info.Size(), fn)
}
