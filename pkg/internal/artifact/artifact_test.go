package artifact

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// payload is a shared object of a few hundred bytes, as far as section headers
// go: one section of code, one of names.
func payload(bits32 bool, order binary.ByteOrder) []byte {
	headerSize, entry, class := 64, 64, byte(2)
	if bits32 {
		headerSize, entry, class = 52, 40, 1
	}
	names := "\x00.text\x00.shstrtab\x00"
	code := bytes.Repeat([]byte{0x90}, 61) // an odd size, so that padding is needed
	b := make([]byte, headerSize)
	b = append(append(b, code...), names...)
	shoff := len(b)
	f := &frame{order: order, is64: !bits32, header: b[:headerSize]}
	section := func(name, typ, off, size int) {
		s := make([]byte, entry)
		order.PutUint32(s, uint32(name))
		order.PutUint32(s[4:], uint32(typ))
		f.putAddr(s[f.at().off:], uint64(off))
		f.putAddr(s[f.at().size:], uint64(size))
		b = append(b, s...)
	}
	b = append(b, make([]byte, entry)...)
	section(1, 1, headerSize, len(code))
	section(7, 3, headerSize+len(code), len(names))

	copy(b, "\x7fELF")
	b[4], b[5], b[6] = class, 1, 1
	if order == binary.ByteOrder(binary.BigEndian) {
		b[5] = 2
	}
	order.PutUint16(b[16:], 3)
	order.PutUint16(b[18:], 62)
	order.PutUint32(b[20:], 1)
	order.PutUint16(b[f.at().shnum-2:], uint16(entry))
	f.header = b[:headerSize]
	f.point(uint64(shoff), 3, 2)
	return b
}

// manifest is one with something in most fields.
func manifest() Manifest {
	return Manifest{
		Plugin: "pricing", Key: strings.Repeat("0123456789abcdef", 4), Package: "example.com/shop/pricing",
		PluginPath: "hotgo/0123456789ab/pricing", GoVersion: "go1.26.8", GOOS: "linux", GOARCH: "amd64",
		Flags: map[string]string{"-trimpath": "true"}, Link: "full",
		Packages: map[string]string{"fmt": "0102030405060708"},
		Symbols:  []Symbol{{Name: "Feed", Kind: "func", Type: "func(chan<- int) <-chan bool"}},
		Sources:  []Source{{Path: "example.com/shop/pricing/rules.go", SHA256: strings.Repeat("ab", 32)}},
		Tool:     "0.1.0", Built: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC),
	}
}

// sealed writes a payload with manifest() to a file and gives path and bytes.
func sealed(t *testing.T, payload []byte) (path string, file []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.so")
	if err := os.WriteFile(path, payload, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Append(path, manifest()); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, file
}

func verify(file []byte) (Manifest, string, error) {
	return VerifyPayload(bytes.NewReader(file), int64(len(file)))
}

func TestManifestComesBackAsItWentIn(t *testing.T) {
	for name, p := range map[string][]byte{
		"64 bits, little endian": payload(false, binary.LittleEndian),
		"64 bits, big endian":    payload(false, binary.BigEndian),
		"32 bits, little endian": payload(true, binary.LittleEndian),
		"32 bits, big endian":    payload(true, binary.BigEndian),
	} {
		t.Run(name, func(t *testing.T) {
			path, file := sealed(t, p)
			want := manifest()
			sum := sha256.Sum256(p)
			want.V, want.Payload = Version, "sha256:"+hex.EncodeToString(sum[:])
			got, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("manifest (-in +out):\n%s", diff)
			}
			verified, digest, err := verify(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, verified); diff != "" {
				t.Errorf("verified manifest (-in +out):\n%s", diff)
			}
			if want, _ := FileDigest(bytes.NewReader(file)); digest != want {
				t.Errorf("digest %s, want %s", digest, want)
			}
		})
	}
}

func TestManifestIsASectionLikeAnyOther(t *testing.T) {
	p := payload(false, binary.LittleEndian)
	_, file := sealed(t, p)
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range f.Sections {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"", ".text", ".shstrtab", Section}, names); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
	content, err := f.Section(Section).Data()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(content, []byte(`"type":"func(chan<- int) <-chan bool"`)) {
		t.Errorf("people cannot read it: %s", content)
	}
	if s := f.Section(Section); s.Addr != 0 || s.Flags != 0 {
		t.Errorf("section is loaded: address %#x, flags %v", s.Addr, s.Flags)
	}
	// Nothing of the payload moved.
	const header = 64
	if !bytes.Equal(file[header:len(p)], p[header:]) {
		t.Error("payload was changed behind its header")
	}
}

func TestAppendIsDeterministic(t *testing.T) {
	p := payload(false, binary.LittleEndian)
	_, a := sealed(t, p)
	_, b := sealed(t, p)
	if !bytes.Equal(a, b) {
		t.Error("same payload, same manifest, other bytes")
	}
}

// Whatever byte is changed, removed or added, it shows.
func TestEveryChangedByteIsNoticed(t *testing.T) {
	for _, bits32 := range []bool{false, true} {
		_, file := sealed(t, payload(bits32, binary.LittleEndian))
		for i := range file {
			for _, flip := range []byte{1, 0x80, 0xff} {
				b := bytes.Clone(file)
				b[i] ^= flip
				if _, _, err := verify(b); err == nil {
					t.Fatalf("byte %d of %d changed by %#x: verified", i, len(file), flip)
				}
			}
		}
		for n := range file {
			if _, _, err := verify(file[:n]); err == nil {
				t.Fatalf("first %d of %d bytes: verified", n, len(file))
			}
		}
		if _, _, err := verify(append(bytes.Clone(file), 0)); !errors.Is(err, ErrDamaged) {
			t.Errorf("with a byte more: %v, want %v", err, ErrDamaged)
		}
	}
}

func TestForeignFilesAreNotCalledDamaged(t *testing.T) {
	_, file := sealed(t, payload(false, binary.LittleEndian))
	text := bytes.Replace(file, []byte(`"plugin":"pricing"`), []byte(`"plugin":"pricier"`), 1)
	code := bytes.Clone(file)
	code[70] ^= 1
	noSections := payload(false, binary.LittleEndian)
	binary.LittleEndian.PutUint64(noSections[40:], 0)
	for _, c := range []struct {
		name         string
		file         []byte
		read, verify error
	}{
		{"empty", nil, ErrNoManifest, ErrNoManifest},
		{"text", []byte(strings.Repeat("text ", 100)), ErrNoManifest, ErrNoManifest},
		{"plugin of somebody else", payload(false, binary.LittleEndian), ErrNoManifest, ErrNoManifest},
		{"no sections at all", noSections, ErrNoManifest, ErrNoManifest},
		{"only the beginning arrived", file[:len(file)/2], ErrDamaged, ErrDamaged},
		{"manifest changed by hand", text, ErrDamaged, ErrDamaged},
		{"code changed", code, nil, ErrDamaged}, // Read does not look
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Read(bytes.NewReader(c.file), int64(len(c.file))); !errors.Is(err, c.read) {
				t.Errorf("Read: %v, want %v", err, c.read)
			}
			if _, _, err := verify(c.file); !errors.Is(err, c.verify) {
				t.Errorf("VerifyPayload: %v, want %v", err, c.verify)
			}
		})
	}
}

// A careful forger makes the manifest's own digest right; the code is still
// not what the manifest says.
func TestManifestOfAnotherPayloadIsNoticed(t *testing.T) {
	other := payload(false, binary.LittleEndian)
	other[70] ^= 1
	_, file := sealed(t, payload(false, binary.LittleEndian))
	_, foreign := sealed(t, other)
	mixed := append(bytes.Clone(foreign[:len(other)]), file[len(other):]...)
	copy(mixed, file[:64])
	if _, err := Read(bytes.NewReader(mixed), int64(len(mixed))); err != nil {
		t.Fatalf("Read: %v", err)
	}
	if _, _, err := verify(mixed); !errors.Is(err, ErrDamaged) {
		t.Errorf("VerifyPayload: %v, want %v", err, ErrDamaged)
	}
}

func TestManifestOfANewerVersionIsNotCalledDamaged(t *testing.T) {
	p := payload(false, binary.LittleEndian)
	f, err := readFrame(bytes.NewReader(p), int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	m := manifest()
	m.V = Version + 1
	content, err := encode(m, f, int64(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	tail, err := f.extend(bytes.NewReader(p), int64(len(p)), content)
	if err != nil {
		t.Fatal(err)
	}
	file := append(bytes.Clone(p), tail...)
	copy(file, f.header)
	if _, err := Read(bytes.NewReader(file), int64(len(file))); !errors.Is(err, ErrNewer) {
		t.Errorf("got %v, want %v", err, ErrNewer)
	}
}

func TestAppendRefusesWithoutTouchingTheFile(t *testing.T) {
	noSections := payload(false, binary.LittleEndian)
	binary.LittleEndian.PutUint64(noSections[40:], 0)
	_, twice := sealed(t, payload(false, binary.LittleEndian))
	for _, c := range []struct {
		name   string
		file   []byte
		change func(*Manifest)
	}{
		{"not an ELF file", []byte(strings.Repeat("text ", 100)), nil},
		{"no section headers", noSections, nil},
		{"has one already", twice, nil},
		{"bad plugin name", payload(false, binary.LittleEndian), func(m *Manifest) { m.Plugin = "../x" }},
		{"bad key", payload(false, binary.LittleEndian), func(m *Manifest) { m.Key = "short" }},
		{"manifest too large", payload(false, binary.LittleEndian), func(m *Manifest) { m.Reason = strings.Repeat("x", maxManifest) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.so")
			if err := os.WriteFile(path, c.file, 0o600); err != nil {
				t.Fatal(err)
			}
			m := manifest()
			if c.change != nil {
				c.change(&m)
			}
			if err := Append(path, m); err == nil {
				t.Error("no error")
			}
			if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, c.file) {
				t.Errorf("file was changed (%v)", err)
			}
		})
	}
}

// Read gives a valid manifest or one of its errors, whatever the bytes; and
// nothing that VerifyPayload accepts differs from what Append would write.
func FuzzRead(f *testing.F) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, bits32 := range []bool{false, true} {
			p := payload(bits32, order)
			f.Add(p)
			header, tail, err := seals(bytes.NewReader(p), int64(len(p)), manifest())
			if err != nil {
				f.Fatal(err)
			}
			file := append(bytes.Clone(p), tail...)
			copy(file, header)
			f.Add(file)
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		r := bytes.NewReader(file)
		m, err := Read(r, int64(len(file)))
		if err != nil {
			if !errors.Is(err, ErrNoManifest) && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		if err := m.validate(); err != nil {
			t.Errorf("invalid manifest: %v", err)
		}
		verified, digest, err := VerifyPayload(r, int64(len(file)))
		if err != nil {
			return
		}
		if diff := cmp.Diff(m, verified); diff != "" {
			t.Errorf("Read and VerifyPayload differ:\n%s", diff)
		}
		if want, _ := FileDigest(r); digest != want {
			t.Errorf("digest %s, want %s", digest, want)
		}
	})
}
