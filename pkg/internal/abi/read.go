package abi

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// ReadFile is [Read] for a file on disk. path may be /proc/PID/exe.
//
// Errors: *[Error], with the path.
func ReadFile(path string) (*Fingerprint, error) {
	// Looked at before it is opened, for opening a named pipe waits for a writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{Path: path, Reason: Unreadable, Detail: "it is not a regular file"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer f.Close()
	if info, err = f.Stat(); err != nil {
		return nil, unreadable(path, err)
	}
	fp, err := Read(f, info.Size())
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Path = path
		}
		return nil, err
	}
	return fp, nil
}

// unreadable wraps an error of package os, which names the path itself.
func unreadable(path string, err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &Error{Path: path, Reason: Unreadable, Err: err}
}

// Read takes the fingerprint of the binary in r, which has size bytes. It
// accepts every Go binary; [Fingerprint.RequirePlugin] tells plugins apart.
// r may be read concurrently by others.
//
// Errors: *[Error].
func Read(r io.ReaderAt, size int64) (fp *Fingerprint, err error) {
	// Everything below checks before it indexes. Should one check be missing,
	// then an upload must not take down the host that it is uploaded to.
	defer func() {
		if p := recover(); p != nil {
			fp, err = nil, fail(Malformed, "reading it failed: %v", p)
		}
	}()

	m, err := openImage(r, size)
	if err != nil {
		return nil, err
	}
	version, info, ok, err := m.buildInfo()
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, fail(NotGo, "it has no section .go.buildinfo")
	}
	fp = &Fingerprint{
		Class:     m.class(),
		Machine:   m.goarch(),
		GoVersion: version,
		Package:   info.Path,
		Main:      fromDebug(&info.Main),
		Settings:  map[string]string{},
	}
	for _, dep := range info.Deps {
		fp.Modules = append(fp.Modules, fromDebug(dep))
	}
	for _, s := range info.Settings {
		fp.Settings[s.Key] = s.Value
	}
	fp.load, _ = m.segment(ptLoad)

	if fp.Interp, err = m.interpreter(); err != nil {
		return nil, err
	}
	if fp.BuildID, err = m.buildID(); err != nil {
		return nil, err
	}
	if fp.Needed, fp.Versions, err = m.libraries(); err != nil {
		return nil, err
	}
	syms, err := m.readSymbols()
	if err != nil {
		return nil, err
	}
	if fp.Packages, fp.Inits, err = syms.packages(); err != nil {
		return nil, err
	}
	if err := fp.classify(m, syms); err != nil {
		return nil, err
	}
	return fp, nil
}

// classify sets the fields that depend on what kind of binary it is.
func (f *Fingerprint) classify(m *image, syms *symbols) error {
	switch mode := f.Settings["-buildmode"]; {
	case mode == "exe", mode == "pie", m.typ == etExec:
		f.Kind = Executable
		f.Exports = f.Interp != "" && len(f.Packages) > 0
	case mode == "plugin":
		f.Kind = Other
		switch {
		case m.typ != etDyn || f.Interp != "":
			f.notPlugin = fmt.Sprintf("it is not a shared object (ELF type %d)", m.typ)
		case len(f.Packages) == 0:
			f.notPlugin = "it has no package hashes"
		default:
			var err error
			if f.PluginPath, f.notPlugin, err = m.pluginPath(f.Packages); err != nil {
				return err
			}
			if f.PluginPath != "" {
				f.Kind = Plugin
				f.Symbols = syms.exported(f.PluginPath)
			}
		}
	}
	return nil
}

// interpreter reads which dynamic linker the file asks for.
func (m *image) interpreter() (string, error) {
	const maxPath = 4096
	s, ok := m.segment(ptInterp)
	if !ok {
		return "", nil
	}
	if s.filesz > maxPath {
		return "", fail(Malformed, "interpreter path of %d bytes", s.filesz)
	}
	b, err := m.bytes("interpreter path", s.off, s.filesz)
	if err != nil {
		return "", err
	}
	return string(cstring(b, 0, maxPath)), nil
}
