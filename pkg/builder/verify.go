package builder

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// # Whether an artifact fits a host
//
// [Verify] holds a file against a binary and, where one is named, against the
// process that runs it: everything that plugin.Open and the dynamic linker would
// look at, and what they would die of. Nothing is loaded. What it finds is a
// [Report], a value to be printed; [Builder.Explain] adds to it what only the
// sources can tell.
//
// A host that embeds the reloader knows more, for it has the ledger of what it
// has loaded. Whoever can ask it (a dry run over its control socket) should, and
// believe it.

// VerifyHost says what an artifact is held against. With the zero value it is
// looked at by itself.
type VerifyHost struct {
	Binary string // "" is the one that PID runs
	// PID is the process that runs the binary, on this machine; 0 is none. What
	// it has mapped counts as loaded.
	PID int
	// Ledger says that the process keeps account of its loads and is asked, too:
	// what it has mapped is then left to it.
	Ledger bool
	// Elsewhere says that the host does not run on this machine, or in a
	// container: neither this processor nor this C library are its own.
	Elsewhere bool
	// Bound are the symbols that the process binds of the artifact's plugin.
	Bound []BoundSymbol
}

// BoundSymbol is what a host wants of a plugin.
type BoundSymbol struct {
	Name string
	Type string // as a host's status has it; "" is not compared
}

// Report is what Verify found. It belongs to the caller.
type Report struct {
	Artifact Artifact // Path and Digest; without a manifest where hotgo did not build it
	Package  string   // import path of the plugin, "" where the file does not tell
	Foreign  bool     // it has no manifest
	Host     VerifyHost

	// Mismatches are all that was found, in the order of their kinds: first what
	// other differences follow from.
	Mismatches []Mismatch

	host, file *abi.Fingerprint // nil where unreadable, or not asked for
}

// What a mismatch is about, and how much it weighs.
type (
	MismatchKind = abi.MismatchKind
	Weight       = abi.Weight
)

// The weights.
const (
	Refuses = abi.Refuses // it keeps the artifact out
	Warns   = abi.Warns   // the artifact loads, and something may go wrong
	Notes   = abi.Notes   // nothing goes wrong
)

// The kinds of mismatches that callers add or tell apart.
const (
	MismatchFile     = abi.MismatchFile
	MismatchPlatform = abi.MismatchPlatform
	MismatchModule   = abi.MismatchModule
	MismatchPackage  = abi.MismatchPackage
	MismatchSource   = abi.MismatchSource // a body in a shared package that no hash shows
	MismatchPath     = abi.MismatchPath
	MismatchSymbol   = abi.MismatchSymbol
	MismatchAnswer   = abi.MismatchAnswer // what a host said when it was asked
	MismatchUnknown  = abi.MismatchUnknown
)

// Fits reports whether nothing keeps the artifact out.
func (r *Report) Fits() bool {
	return !slices.ContainsFunc(r.Mismatches, func(m Mismatch) bool { return m.Weight == Refuses })
}

// Doubtful reports whether something may go wrong with an artifact that fits.
func (r *Report) Doubtful() bool {
	return r.Fits() && slices.ContainsFunc(r.Mismatches, func(m Mismatch) bool { return m.Weight == Warns })
}

// Name names the plugin for people: as hosts call it, else by its file.
func (r *Report) Name() string {
	return cmp.Or(r.Artifact.Manifest.Plugin, filepath.Base(r.Artifact.Path))
}

// Headline picks at most limit of those mismatches that refuse, and leaves out
// package hashes that others explain.
func (r *Report) Headline(limit int) []Mismatch {
	refusing := slices.DeleteFunc(slices.Clone(r.Mismatches), func(m Mismatch) bool { return m.Weight != Refuses })
	return abi.Headline(refusing, limit)
}

// Next gives the command that gets past what was found, "" where nothing has to
// be done. host is how hotgo build may call the host.
func (r *Report) Next(host string) string {
	pkg := r.Package
	if pkg == "" || pkg == "command-line-arguments" || r.file == nil || r.file.Kind != abi.Plugin {
		pkg = "PLUGIN"
	}
	next := abi.Next(r.Mismatches, host, pkg)
	if r.Artifact.Manifest.Patch != nil && strings.HasPrefix(next, "hotgo build ") {
		return "hotgo build --mode patch --host " + host
	}
	return next
}

// Add enters a finding of another source, at the place of its kind.
func (r *Report) Add(m Mismatch) {
	r.Mismatches = append(r.Mismatches, m)
	slices.SortStableFunc(r.Mismatches, func(a, b Mismatch) int {
		return cmp.Or(cmp.Compare(a.Weight, b.Weight), cmp.Compare(a.Kind, b.Kind))
	})
}

// Verify says whether the artifact in a file fits a host. The file may be any:
// one that is damaged, no plugin, or not built by hotgo is judged like others.
// It changes nothing, needs no Go toolchain, and may be called concurrently.
//
// Errors: those of opening and reading the artifact; *HostError where the host's
// binary cannot be read or is no Go program.
func Verify(path string, host VerifyHost) (*Report, error) {
	r := &Report{Artifact: Artifact{Path: path}, Host: host}
	if err := r.readHost(); err != nil {
		return nil, err
	}
	if err := r.readFile(); err != nil {
		return nil, err
	}
	r.judge(r.process())
	return r, nil
}

// HostError says that a host's binary cannot be judged by.
type HostError struct {
	Binary string
	Err    error
}

// Error gives the cause, which names the file.
func (e *HostError) Error() string { return "read the host: " + e.Err.Error() }

// Unwrap gives the cause.
func (e *HostError) Unwrap() error { return e.Err }

func (r *Report) readHost() (err error) {
	if r.Host.Binary == "" && r.Host.PID != 0 {
		r.Host.Binary = processFile(r.Host.PID, "exe")
	}
	if r.Host.Binary == "" {
		return nil
	}
	if r.host, err = abi.ReadFile(r.Host.Binary); err != nil {
		return &HostError{Binary: r.Host.Binary, Err: err}
	}
	return nil
}

// readFile reads fingerprint and manifest. What is wrong with the file's content
// becomes a mismatch.
func (r *Report) readFile() error {
	path := r.Artifact.Path
	fp, err := abi.ReadFile(path)
	var ae *abi.Error
	if errors.As(err, &ae) {
		m := abi.Unloadable(ae)
		if m == nil {
			return fmt.Errorf("read the artifact: %w", err)
		}
		r.Add(*m)
	} else if err != nil {
		return err
	}
	r.file = fp
	if err := r.readManifest(path); err != nil || !r.Fits() {
		return err
	}
	return r.followTables(path)
}

// followTables looks for what would end a process that loads the file, although it
// is whole.
func (r *Report) followTables(path string) error {
	if r.file.Kind != abi.Plugin {
		return nil // judge says so
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var ae *abi.Error
	if !errors.As(abi.CheckLoadable(f, r.Artifact.Bytes), &ae) {
		return nil
	}
	m := abi.Unloadable(ae)
	if m == nil {
		return fmt.Errorf("read the artifact: %w", ae)
	}
	r.Add(*m)
	return nil
}

func (r *Report) readManifest(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	r.Artifact.Bytes = fi.Size()
	if r.Artifact.Digest, err = artifact.FileDigest(f); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if r.file == nil {
		return nil // the digest says which file it was
	}
	r.Package = r.file.Package
	m, _, err := artifact.VerifyPayload(f, fi.Size())
	switch {
	case err == nil:
		r.Artifact.Manifest, r.Package = m, m.Package
	case errors.Is(err, artifact.ErrNoManifest):
		if _, err := artifact.Foreign(r.file, r.Artifact.Digest); errors.Is(err, artifact.ErrDamaged) {
			r.Add(abi.Damaged(err))
			return nil
		}
		r.Foreign = true
		r.Add(foreign())
	case errors.Is(err, artifact.ErrNewer):
		r.Add(Mismatch{
			Kind: MismatchFile, What: "manifest", Host: fmt.Sprintf("version %d", artifact.Version), Artifact: "newer", Limit: "hotgo",
			Cause: err.Error(), Way: "use the hotgo that built it, here and in the host",
		})
	default:
		// What it says of itself serves to name it.
		if m, err := artifact.Read(f, fi.Size()); err == nil {
			r.Artifact.Manifest, r.Package = m, m.Package
		}
		r.Add(abi.Damaged(err))
	}
	return nil
}

// foreign is the note on a file that hotgo did not build.
func foreign() Mismatch {
	return Mismatch{
		Kind: abi.MismatchOrigin, Weight: Notes, What: "origin", Artifact: "not built by hotgo", Limit: "hotgo",
		Cause: "it has no manifest and is judged by the file alone",
	}
}

// judge compares what was read.
func (r *Report) judge(proc *abi.Process) {
	add := func(all []Mismatch) {
		for _, m := range all {
			r.Add(m)
		}
	}
	switch {
	case r.file == nil:
		return
	case r.host == nil:
		if err := r.file.RequirePlugin(); err != nil {
			var ae *abi.Error
			if errors.As(err, &ae) {
				r.Add(*abi.Unloadable(ae))
			}
		}
		return
	}
	add(abi.Compare(r.host, r.file, proc))
	add(abi.Doubts(r.host, r.file, proc))
	m := r.Artifact.Manifest
	if m.Link == "thin" {
		if other := abi.OtherBuild(r.host, m.HostBuild); other != nil {
			r.Add(*other)
		}
	}
	if p := m.Patch; p != nil && p.Base != "" && !r.Host.Ledger {
		r.Add(Mismatch{
			Kind: MismatchUnknown, Weight: Warns, What: "base", Artifact: "patches the version " + p.Base[:min(len(p.Base), 12)], Limit: "hotgo",
			Cause: "it replaces functions of a version that was loaded, and only a host that has loaded it takes it", Way: "ask the host: hotgo verify --host SOCKET",
		})
	}
	add(r.symbols())
}
