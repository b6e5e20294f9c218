package goobj

import (
	"encoding/binary"
	"fmt"
)

// magic begins the binary part (cmd/internal/goobj/objfile.go, Go 1.26 and
// 1.27: Magic).
const magic = "\x00go120ld"

// The blocks in the order in which their offsets stand in the header
// (cmd/internal/goobj/objfile.go, Go 1.26 and 1.27: BlkAutolib and following).
const (
	blockImports = iota
	blockPackages
	blockFiles
	blockDefs
	blockHashed64
	blockHashed
	blockNonPkgDefs
	blockNonPkgRefs
	blockRefFlags
	blockHash64
	blockHash
	blockRelocIndex
	blockAuxIndex
	blockDataIndex
	blockRelocs
	blockAux
	blockData
	blockRefNames
	blockCount
)

// headerSize is the length of what precedes the strings: magic, fingerprint,
// flags, and one offset for each block and for the end.
const headerSize = len(magic) + 8 + 4 + 4*(blockCount+1)

// Sizes in bytes of the records of the blocks.
const (
	importSize  = 16
	stringSize  = 8
	symbolSize  = 21
	refFlagSize = 10
	hash64Size  = 8
	hashSize    = 16
	indexSize   = 4
	relocSize   = 23
	auxSize     = 9
	refNameSize = 16
)

var recordSize = [blockCount]int{
	blockImports:    importSize,
	blockPackages:   stringSize,
	blockFiles:      stringSize,
	blockDefs:       symbolSize,
	blockHashed64:   symbolSize,
	blockHashed:     symbolSize,
	blockNonPkgDefs: symbolSize,
	blockNonPkgRefs: symbolSize,
	blockRefFlags:   refFlagSize,
	blockHash64:     hash64Size,
	blockHash:       hashSize,
	blockRelocIndex: indexSize,
	blockAuxIndex:   indexSize,
	blockDataIndex:  indexSize,
	blockRelocs:     relocSize,
	blockAux:        auxSize,
	blockData:       1,
	blockRefNames:   refNameSize,
}

var blockName = [blockCount]string{
	"imports", "packages", "files", "definitions", "short hashed definitions",
	"hashed definitions", "named definitions", "named references",
	"reference flags", "short hashes", "hashes", "relocation index",
	"auxiliary index", "data index", "relocations", "auxiliary symbols", "data",
	"reference names",
}

var le = binary.LittleEndian

// A VersionError says that an object is in a format that this package does not
// know, most likely that of another Go release.
type VersionError struct {
	// Magic is what stands where the magic of the known format is expected.
	Magic string
	// GoVersion is the release that wrote the object, by its own account, such
	// as "go1.26.8". It may be empty.
	GoVersion string
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("object file format %q, written by %q, is not supported", e.Magic, e.GoVersion)
}

// layout is the binary part of an object whose header was checked: blocks are
// in order, within the data, and hold whole records.
type layout struct {
	data    []byte
	offsets [blockCount + 1]uint32
}

// maxObject bounds an object so that every offset, count and index fits in an
// int on every platform.
const maxObject = 1<<31 - 1

func readLayout(data []byte, goVersion string) (*layout, error) {
	if len(data) >= len(magic) && string(data[:len(magic)]) != magic {
		return nil, &VersionError{Magic: string(data[:len(magic)]), GoVersion: goVersion}
	}
	if len(data) < headerSize {
		return nil, fmt.Errorf("the header is cut off: %d bytes of %d", len(data), headerSize)
	}
	if len(data) > maxObject {
		return nil, fmt.Errorf("%d bytes are too many", len(data))
	}
	l := &layout{data: data}
	end := uint32(headerSize)
	for i := range l.offsets {
		off := le.Uint32(data[headerSize-4*len(l.offsets)+4*i:])
		if off < end || uint64(off) > uint64(len(data)) {
			return nil, fmt.Errorf("offset %d of block %d is not in [%d, %d]", off, i, end, len(data))
		}
		l.offsets[i], end = off, off
	}
	if int(end) != len(data) {
		return nil, fmt.Errorf("%d bytes follow the end at %d", len(data)-int(end), end)
	}
	for i, size := range recordSize {
		if n := len(l.block(i)); n%size != 0 {
			return nil, fmt.Errorf("%s: %d bytes are not a number of %d byte records", blockName[i], n, size)
		}
	}
	return l, nil
}

func (l *layout) block(i int) []byte {
	a, b := l.offsets[i], l.offsets[i+1]
	return l.data[a:b:b]
}

// count is the number of records of block i.
func (l *layout) count(i int) int { return len(l.block(i)) / recordSize[i] }

// strings is the block between the header and the first table.
func (l *layout) strings() []byte { return l.data[headerSize:l.offsets[0]] }

// stringSpan gives where in the string block the string that record b begins
// with lies.
func (l *layout) stringSpan(b []byte) (start, end uint32, err error) {
	n, off := le.Uint32(b), le.Uint32(b[4:])
	if off < uint32(headerSize) || uint64(off)+uint64(n) > uint64(l.offsets[0]) {
		return 0, 0, fmt.Errorf("string at %d, %d bytes long, is not in [%d, %d]", off, n, headerSize, l.offsets[0])
	}
	start = off - uint32(headerSize)
	return start, start + n, nil
}

func getRef(b []byte) Ref { return Ref{Pkg: le.Uint32(b), Sym: le.Uint32(b[4:])} }

func appendRef(b []byte, r Ref) []byte {
	return le.AppendUint32(le.AppendUint32(b, r.Pkg), r.Sym)
}
