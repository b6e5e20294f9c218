package artifact

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// frame is the part of an ELF header that says where the section headers are,
// and the section headers as they stand in the file.
type frame struct {
	order    binary.ByteOrder
	is64     bool
	header   []byte // the ELF header, from the file's beginning
	shoff    uint64
	shnum    uint16
	shstrndx uint16
}

// errNotELF says that a file has no ELF header.
var errNotELF = errors.New("not an ELF file")

// Limits of what is read for a manifest. They are generous: a plugin that
// contains two thousand packages has a manifest of about a megabyte.
const (
	maxManifest = 32 << 20 // bytes
	maxNames    = 1 << 20  // bytes of section names
	maxSections = 1 << 14
)

// readFrame reads the ELF header.
func readFrame(r io.ReaderAt, size int64) (*frame, error) {
	const (
		header32, header64 = 52, 64
		little, big        = 1, 2
	)
	if size < header32 {
		return nil, errNotELF
	}
	b := make([]byte, min(size, header64))
	if err := readAt(r, b, 0); err != nil {
		return nil, err
	}
	f := &frame{is64: b[4] == 2}
	switch {
	case !bytes.HasPrefix(b, []byte("\x7fELF")), b[4] != 1 && b[4] != 2:
		return nil, errNotELF
	case b[5] == little:
		f.order = binary.LittleEndian
	case b[5] == big:
		f.order = binary.BigEndian
	default:
		return nil, errNotELF
	}
	if f.is64 && len(b) < header64 {
		return nil, errNotELF
	}
	f.header = b[:header32]
	if f.is64 {
		f.header = b
	}
	f.shoff = f.addr(f.header[f.at().shoff:])
	f.shnum = f.order.Uint16(f.header[f.at().shnum:])
	f.shstrndx = f.order.Uint16(f.header[f.at().shnum+2:])
	if entry := f.order.Uint16(f.header[f.at().shnum-2:]); f.shoff != 0 && int(entry) != f.at().entry {
		return nil, fmt.Errorf("section header entries of %d bytes", entry)
	}
	return f, nil
}

// layout has the offsets of fields in the ELF header and in a section header
// (gABI 4.1), and the size of the latter.
type layout struct {
	shoff, shnum       int // ELF header; e_shstrndx follows e_shnum
	off, size, link    int // section header
	align, entry, word int
}

func (f *frame) at() layout {
	if f.is64 {
		return layout{shoff: 40, shnum: 60, off: 24, size: 32, link: 40, align: 48, entry: 64, word: 8}
	}
	return layout{shoff: 32, shnum: 48, off: 16, size: 20, link: 24, align: 32, entry: 40, word: 4}
}

// addr reads an address-sized field.
func (f *frame) addr(b []byte) uint64 {
	if f.is64 {
		return f.order.Uint64(b)
	}
	return uint64(f.order.Uint32(b))
}

// putAddr writes an address-sized field.
func (f *frame) putAddr(b []byte, v uint64) {
	if f.is64 {
		f.order.PutUint64(b, v)
		return
	}
	f.order.PutUint32(b, uint32(v))
}

// point makes the header refer to another table of section headers.
func (f *frame) point(shoff uint64, shnum, shstrndx uint16) {
	f.shoff, f.shnum, f.shstrndx = shoff, shnum, shstrndx
	f.putAddr(f.header[f.at().shoff:], shoff)
	f.order.PutUint16(f.header[f.at().shnum:], shnum)
	f.order.PutUint16(f.header[f.at().shnum+2:], shstrndx)
}

// tables reads the section headers and the section names.
func (f *frame) tables(r io.ReaderAt, size int64) (headers, names []byte, err error) {
	switch {
	case f.shoff == 0 || f.shnum == 0:
		return nil, nil, errors.New("no section headers")
	case f.shnum > maxSections:
		return nil, nil, fmt.Errorf("%d sections", f.shnum)
	case f.shstrndx >= f.shnum:
		return nil, nil, fmt.Errorf("section names in section %d of %d", f.shstrndx, f.shnum)
	}
	n := uint64(f.shnum) * uint64(f.at().entry)
	if !inside(f.shoff, n, size) {
		return nil, nil, fmt.Errorf("section headers at bytes %d to %d of %d: the file is truncated", f.shoff, f.shoff+n, size)
	}
	headers = make([]byte, n)
	if err := readAt(r, headers, f.shoff); err != nil {
		return nil, nil, err
	}
	off, n := f.extent(headers, int(f.shstrndx))
	if n > maxNames || !inside(off, n, size) {
		return nil, nil, fmt.Errorf("section names at bytes %d to %d of %d", off, off+n, size)
	}
	names = make([]byte, n)
	return headers, names, readAt(r, names, off)
}

// extent gives where the content of section i lies.
func (f *frame) extent(headers []byte, i int) (off, size uint64) {
	h := headers[i*f.at().entry:]
	return f.addr(h[f.at().off:]), f.addr(h[f.at().size:])
}

// find gives the indexes of the sections of that name.
func (f *frame) find(headers, names []byte, name string) []int {
	var found []int
	want := append([]byte(name), 0)
	for i := range int(f.shnum) {
		at := uint64(f.order.Uint32(headers[i*f.at().entry:]))
		if at < uint64(len(names)) && bytes.HasPrefix(names[at:], want) {
			found = append(found, i)
		}
	}
	return found
}

// inside reports whether n bytes at off lie in a file of that size.
func inside(off, n uint64, size int64) bool {
	return off <= uint64(size) && n <= uint64(size)-off
}

// readAt fills b from off. A short file is io.ErrUnexpectedEOF.
func readAt(r io.ReaderAt, b []byte, off uint64) error {
	n, err := r.ReadAt(b, int64(off))
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read bytes %d to %d: %w", off, off+uint64(len(b)), err)
}
