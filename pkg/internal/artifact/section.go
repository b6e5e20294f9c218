package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// How a manifest gets into a finished shared object, and out again.
//
// The linker's output, the payload, stays where it is. Behind it come
//
//	padding to 8 bytes · manifest · section names · section headers
//
// the last two being copies of the payload's with one section more, and three
// fields of the ELF header (e_shoff, e_shnum, e_shstrndx) are pointed at the
// new section headers. No segment changes, so to the dynamic linker nothing
// has happened; readelf and objcopy see a section like any other. It needs no
// binutils, and it is done on a temporary file before that is published.
//
// The section's content is two lines of JSON: the Manifest, then a seal. The
// seal has the length of the payload and the three original fields. With them
// everything that was added can be computed again from the payload and the
// manifest, and verifying does just that: it takes the payload's digest with
// the original fields in place, rebuilds the rest and compares it byte by
// byte. Whatever byte of the file changes, it shows. It does not show who
// changed it: that takes a signature.

// ErrNoManifest says that a file is no artifact of hotgo's: it has no manifest.
var ErrNoManifest = errors.New("no hotgo manifest")

// ErrDamaged says that a file has a manifest, but not the bytes that were
// written with it.
var ErrDamaged = errors.New("artifact is damaged")

// ErrNewer says that a later hotgo wrote the manifest.
var ErrNewer = errors.New("manifest of a newer hotgo")

// seal is the second line of the section.
type seal struct {
	Manifest string `json:"manifest"` // digest of the first line, with its line feed
	Size     int64  `json:"size"`     // bytes of the payload
	ShOff    uint64 `json:"shoff"`
	ShNum    uint16 `json:"shnum"`
	ShStrNdx uint16 `json:"shstrndx"`
}

// Append adds m to the ELF file at path, in place: use it on a file that
// nobody else can see yet. V and Payload of the manifest are filled in.
//
// Errors: what is wrong with m or with the file; the file is then unchanged
// or, after a failed write, useless.
func Append(path string, m Manifest) (err error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("add manifest: %w", err)
	}
	defer func() {
		if closeErr := file.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("add manifest: %w", closeErr)
		}
	}()
	info, err := file.Stat()
	if err != nil {
		return fmt.Errorf("add manifest: %w", err)
	}
	header, tail, err := seals(file, info.Size(), m)
	if err != nil {
		return fmt.Errorf("add manifest to %s: %w", path, err)
	}
	if _, err := file.WriteAt(tail, info.Size()); err != nil {
		return fmt.Errorf("add manifest: %w", err)
	}
	if _, err := file.WriteAt(header, 0); err != nil {
		return fmt.Errorf("add manifest: %w", err)
	}
	return nil
}

// seals gives the new ELF header of a payload and the bytes to put behind it.
func seals(payload io.ReaderAt, size int64, m Manifest) (header, tail []byte, err error) {
	f, err := readFrame(payload, size)
	if err != nil {
		return nil, nil, err
	}
	if m.Payload, err = FileDigest(io.NewSectionReader(payload, 0, size)); err != nil {
		return nil, nil, err
	}
	m.V = Version
	if err := m.validate(); err != nil {
		return nil, nil, err
	}
	content, err := encode(m, f, size)
	if err != nil {
		return nil, nil, err
	}
	tail, err = f.extend(payload, size, content)
	return f.header, tail, err
}

// encode gives the section's content.
func encode(m Manifest, f *frame, size int64) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // types have <- in them, and people read this
	if err := enc.Encode(m); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	s := seal{Manifest: digestBytes(b.Bytes()), Size: size, ShOff: f.shoff, ShNum: f.shnum, ShStrNdx: f.shstrndx}
	if err := enc.Encode(s); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	if b.Len() > maxManifest {
		return nil, fmt.Errorf("manifest has %d bytes: %d are the limit", b.Len(), maxManifest)
	}
	return b.Bytes(), nil
}

// extend gives the bytes that follow a payload of that size to give it one
// section more with that content, and points the header at them. It is a
// function of its arguments alone; verifying relies on that.
func (f *frame) extend(payload io.ReaderAt, size int64, content []byte) ([]byte, error) {
	const (
		reserved   = 0xff00 // section numbers from here on mean something else
		progbits   = 1
		sectionPad = 8
	)
	headers, names, err := f.tables(payload, size)
	if err != nil {
		return nil, err
	}
	if f.shnum+1 >= reserved || f.shstrndx == 0 {
		return nil, fmt.Errorf("no room for a section: %d sections, names in %d", f.shnum, f.shstrndx)
	}
	if len(f.find(headers, names, Section)) > 0 {
		return nil, errors.New("it has a manifest already")
	}
	l := f.at()
	tail := make([]byte, 0, sectionPad+len(content)+len(names)+len(headers)+1024)
	pad := func() {
		for (uint64(size)+uint64(len(tail)))%sectionPad != 0 {
			tail = append(tail, 0)
		}
	}
	end := func() uint64 { return uint64(size) + uint64(len(tail)) }

	pad()
	contentAt := end()
	tail = append(tail, content...)

	namesAt, nameAt := end(), len(names)
	tail = append(tail, names...)
	tail = append(tail, Section...)
	tail = append(tail, 0)
	namesSize := end() - namesAt

	pad()
	headersAt := end()
	if !f.is64 && headersAt+uint64(len(headers)+l.entry) > 1<<32-1 {
		return nil, errors.New("no room for a section: the file has 4 GB")
	}
	strtab := headers[int(f.shstrndx)*l.entry:]
	f.putAddr(strtab[l.off:], namesAt)
	f.putAddr(strtab[l.size:], namesSize)
	tail = append(tail, headers...)

	section := make([]byte, l.entry)
	f.order.PutUint32(section, uint32(nameAt))
	f.order.PutUint32(section[4:], progbits)
	f.putAddr(section[l.off:], contentAt)
	f.putAddr(section[l.size:], uint64(len(content)))
	f.putAddr(section[l.align:], 1)
	tail = append(tail, section...)

	f.point(headersAt, f.shnum+1, f.shstrndx)
	return tail, nil
}

// Read gives the manifest of the artifact in r, which has size bytes. It
// checks that the manifest is whole and unchanged, but not the rest of the
// file, so it is quick; see [VerifyPayload].
//
// Errors: [ErrNoManifest], [ErrDamaged], [ErrNewer], or a failed read.
func Read(r io.ReaderAt, size int64) (Manifest, error) {
	_, m, _, err := read(r, size)
	return m, err
}

// ReadFile is [Read] for a file on disk.
func ReadFile(path string) (Manifest, error) {
	f, err := os.Open(path)
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	m, err := Read(f, info.Size())
	if err != nil {
		return Manifest{}, fmt.Errorf("read manifest of %s: %w", path, err)
	}
	return m, nil
}

// read gives manifest and seal, and the raw content of their section.
func read(r io.ReaderAt, size int64) (content []byte, m Manifest, s seal, err error) {
	f, err := readFrame(r, size)
	if err != nil {
		return nil, m, s, fmt.Errorf("%w: %w", ErrNoManifest, err)
	}
	if f.shoff == 0 {
		return nil, m, s, fmt.Errorf("%w: no section headers", ErrNoManifest)
	}
	headers, names, err := f.tables(r, size)
	if err != nil {
		// Our section headers are at the end, so this is what a file looks
		// like of which only the beginning arrived.
		return nil, m, s, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	found := f.find(headers, names, Section)
	switch len(found) {
	case 0:
		return nil, m, s, ErrNoManifest
	case 1:
	default:
		return nil, m, s, fmt.Errorf("%w: %d manifests", ErrDamaged, len(found))
	}
	off, n := f.extent(headers, found[0])
	if n > maxManifest || !inside(off, n, size) {
		return nil, m, s, fmt.Errorf("%w: manifest at bytes %d to %d of %d", ErrDamaged, off, off+n, size)
	}
	content = make([]byte, n)
	if err := readAt(r, content, off); err != nil {
		return nil, m, s, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	m, s, err = decode(content)
	return content, m, s, err
}

// decode takes the section's content apart and checks it.
func decode(content []byte) (m Manifest, s seal, err error) {
	cut := bytes.IndexByte(content, '\n') + 1
	if err := json.Unmarshal(content[cut:], &s); err != nil {
		return m, s, fmt.Errorf("%w: seal: %w", ErrDamaged, err)
	}
	if digestBytes(content[:cut]) != s.Manifest {
		return m, s, fmt.Errorf("%w: the manifest was changed", ErrDamaged)
	}
	// The version first: what else a later one has may not even decode.
	var version struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(content[:cut], &version); err != nil {
		return m, s, fmt.Errorf("%w: manifest: %w", ErrDamaged, err)
	}
	if version.V > Version {
		return m, s, fmt.Errorf("%w: version %d, this one knows %d", ErrNewer, version.V, Version)
	}
	if err := json.Unmarshal(content[:cut], &m); err != nil {
		return m, s, fmt.Errorf("%w: manifest: %w", ErrDamaged, err)
	}
	if err := m.validate(); err != nil {
		return Manifest{}, s, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return m, s, nil
}

// validate checks the fields that file names and comparisons are made of.
func (m *Manifest) validate() error {
	if m.V < 1 {
		return fmt.Errorf("manifest version %d", m.V)
	}
	if err := ValidName(m.Plugin); err != nil {
		return err
	}
	if err := ValidKey(m.Key); err != nil {
		return err
	}
	return ValidDigest(m.Payload)
}

// VerifyPayload checks every byte of the artifact in r, which has size bytes,
// and gives its manifest and the digest of the whole file. It reads the file
// once.
//
// Errors: as for [Read].
func VerifyPayload(r io.ReaderAt, size int64) (m Manifest, digest string, err error) {
	content, m, s, err := read(r, size)
	if err != nil {
		return Manifest{}, "", err
	}
	damaged := func(format string, args ...any) (Manifest, string, error) {
		return Manifest{}, "", fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
	}
	f, err := readFrame(r, size)
	if err != nil {
		return damaged("%w", err)
	}
	now := bytes.Clone(f.header)
	if s.Size < int64(len(now)) || s.Size > size {
		return damaged("payload of %d bytes in a file of %d", s.Size, size)
	}
	f.point(s.ShOff, s.ShNum, s.ShStrNdx)
	original := bytes.Clone(f.header)

	// What was added, once more.
	tail, err := f.extend(r, s.Size, content)
	if err != nil {
		return damaged("%w", err)
	}
	if !bytes.Equal(f.header, now) || s.Size+int64(len(tail)) != size {
		return damaged("its sections are not those that were written")
	}
	got := make([]byte, len(tail))
	if err := readAt(r, got, uint64(s.Size)); err != nil {
		return damaged("%w", err)
	}
	if !bytes.Equal(got, tail) {
		return damaged("its sections are not those that were written")
	}

	// Payload and file are the same bytes but for the header and the tail.
	payload, whole := sha256.New(), sha256.New()
	payload.Write(original)
	whole.Write(now)
	body := io.NewSectionReader(r, int64(len(now)), s.Size-int64(len(now)))
	if _, err := io.Copy(io.MultiWriter(payload, whole), body); err != nil {
		return Manifest{}, "", fmt.Errorf("read artifact: %w", err)
	}
	whole.Write(tail)
	if got := digestOf(payload); got != m.Payload {
		return damaged("its code has digest %s, the manifest says %s", got, m.Payload)
	}
	return m, digestOf(whole), nil
}
