package abi

import (
	"bytes"
	"encoding/binary"
	"runtime/debug"
)

// buildInfo reads the Go release and the module data that the go command wrote
// into section .go.buildinfo (debug/buildinfo, Go 1.18 and later: inline
// strings). It reports false where there is no such section: then the file is
// not a Go binary.
func (m *image) buildInfo() (goVersion string, info *debug.BuildInfo, ok bool, err error) {
	const (
		magic      = "\xff Go buildinf:"
		headerSize = 32
		inline     = 2 // flag: the strings follow the header
	)
	sec, ok := m.section(".go.buildinfo")
	if !ok {
		return "", nil, false, nil
	}
	b, err := m.data(sec, maxSmall)
	if err != nil {
		return "", nil, false, err
	}
	if len(b) < headerSize || !bytes.HasPrefix(b, []byte(magic)) || b[15]&inline == 0 {
		return "", nil, false, fail(Malformed, "section %s without its header", sec.name)
	}
	version, rest, ok1 := inlineString(b[headerSize:])
	mod, _, ok2 := inlineString(rest)
	if !ok1 || !ok2 {
		return "", nil, false, fail(Malformed, "strings of section %s end too early", sec.name)
	}
	// 16 bytes on either side let `go version` find the text in an image that
	// lacks the section (cmd/go/internal/modload/build.go).
	if len(mod) >= 33 && mod[len(mod)-17] == '\n' {
		mod = mod[16 : len(mod)-16]
	} else {
		mod = nil
	}
	info, err = debug.ParseBuildInfo(string(mod))
	if err != nil {
		return "", nil, false, &Error{Reason: Malformed, Detail: "build info", Err: err}
	}
	return string(version), info, true, nil
}

// inlineString takes a length as varint and that many bytes.
func inlineString(b []byte) (s, rest []byte, ok bool) {
	n, k := binary.Uvarint(b)
	if k <= 0 || n > uint64(len(b)-k) {
		return nil, nil, false
	}
	return b[k : k+int(n)], b[k+int(n):], true
}

// buildID reads Go's build id from its note; "" where there is none.
func (m *image) buildID() (string, error) {
	const (
		header   = 16 // sizes of name and content, type, name "Go\0\0"
		noteType = 4
		maxNote  = 4096
	)
	sec, ok := m.section(".note.go.buildid")
	if !ok {
		return "", nil
	}
	b, err := m.data(sec, maxNote)
	if err != nil {
		return "", err
	}
	if len(b) < header || string(b[12:header]) != "Go\x00\x00" || m.order.Uint32(b[8:]) != noteType {
		return "", nil
	}
	n := m.order.Uint32(b[4:])
	if uint64(n) > uint64(len(b)-header) {
		return "", fail(Malformed, "build id of %d bytes", n)
	}
	return string(b[header : header+n]), nil
}

// fromDebug takes over a module as package runtime/debug has it.
func fromDebug(m *debug.Module) Module {
	mod := Module{Path: m.Path, Version: m.Version, Sum: m.Sum}
	if m.Replace != nil {
		r := fromDebug(m.Replace)
		mod.Replace = &r
	}
	return mod
}
