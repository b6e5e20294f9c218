//go:build linux && cgo

package reloader_test

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// region is a part of a plugin's file that the tests of mutations change: what
// the dynamic linker or the runtime follows. Code is not among them, nor is the
// plugin's data.
type region struct {
	name      string
	off, size int
	points    func(at int) bool // a byte that says where something is, not what it is like
}

// beyond reports whether a mutation of byte at made a reference lead to another
// place of the kind that it may lead to: then the tables are as right as they were,
// and only the linker could tell. Where that place is not even possible, the
// preflight has to refuse, and the host gets to see it.
func (r region) beyond(file []byte, at int) bool {
	return r.points != nil && r.points(at) && abi.CheckLoadable(bytes.NewReader(file), int64(len(file))) == nil
}

// grave reports whether something follows what stands in it, rather than shows it.
func (r region) grave() bool {
	switch r.name {
	case ".note.gnu.build-id", ".note.go.buildid", ".go.buildinfo", ".eh_frame_hdr", ".shstrtab":
		return false
	}
	return true
}

func always(int) bool { return true }

// regionsOf lists the regions of a plugin.
func regionsOf(t *testing.T, file []byte) []region {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	shoff := int(binary.LittleEndian.Uint64(file[40:]))
	regions := []region{
		{"file header", 0, 64, nil},
		{"program headers", 64, 56 * len(f.Progs), nil},
		{"section headers", shoff, 64 * len(f.Sections), nil},
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range f.Sections {
		r := region{name: s.Name, off: int(s.Offset), size: int(s.FileSize)}
		switch s.Name {
		case ".note.gnu.build-id", ".note.go.buildid", ".gnu.hash", ".hash", ".gnu.version", ".gnu.version_r",
			".dynamic", ".go.buildinfo", ".go.module", ".init_array", ".fini_array", ".eh_frame_hdr", ".shstrtab":
		case ".dynstr":
			// A name of another symbol, of those that the host may have.
			r.points = always
		case ".dynsym":
			const entry, name, info, value = 24, 4, 8, 8
			r.points = func(at int) bool {
				i, field := at/entry, at%entry
				undefined := i == 0 || symbols[i-1].Section == elf.SHN_UNDEF
				return field < name && undefined || field >= value
			}
		case ".rela.dyn", ".rela.plt":
			const entry, typ, sym = 24, 8, 12
			r.points = func(at int) bool { return at%entry < typ || at%entry >= sym }
		case ".gopclntab":
			r.name, r.size = "header of .gopclntab", 72
		default:
			continue
		}
		if r.size > 0 {
			regions = append(regions, r)
		}
	}
	// What the linker made of the packages' export data.
	for _, s := range symbols {
		const prefix = "go:link.pkghashbytes."
		if len(s.Name) > len(prefix) && s.Name[:len(prefix)] == prefix && s.Section != elf.SHN_UNDEF {
			regions = append(regions, region{s.Name, offsetOf(f, s.Value), 8, nil})
			break
		}
	}
	return regions
}

func offsetOf(f *elf.File, addr uint64) int {
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && addr >= p.Vaddr && addr < p.Vaddr+p.Filesz {
			return int(addr - p.Vaddr + p.Off)
		}
	}
	return 0
}

// manifestLine finds the first line of an artifact's manifest section, with its
// line feed.
func manifestLine(t *testing.T, file []byte) (begin, end int) {
	t.Helper()
	begin = bytes.LastIndex(file, []byte(`{"v":1,"plugin":`))
	if begin < 0 {
		t.Fatal("no manifest")
	}
	return begin, begin + bytes.IndexByte(file[begin:], '\n') + 1
}

// unseal takes the manifest off an artifact.
func unseal(t *testing.T, file []byte) []byte {
	t.Helper()
	_, end := manifestLine(t, file)
	var seal struct {
		Size     int    `json:"size"`
		ShOff    uint64 `json:"shoff"`
		ShNum    uint16 `json:"shnum"`
		ShStrNdx uint16 `json:"shstrndx"`
	}
	if err := json.Unmarshal(file[end:end+bytes.IndexByte(file[end:], '\n')], &seal); err != nil {
		t.Fatal(err)
	}
	b := bytes.Clone(file[:seal.Size])
	binary.LittleEndian.PutUint64(b[40:], seal.ShOff)
	binary.LittleEndian.PutUint16(b[60:], seal.ShNum)
	binary.LittleEndian.PutUint16(b[62:], seal.ShStrNdx)
	return b
}

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}
