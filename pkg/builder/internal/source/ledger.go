package source

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
)

// # Asking the go command once
//
// `go list -deps` takes from 0.06 s to half a second, and most edits change
// nothing of what it says. A Ledger is kept with its answer: the stamp of
// everything that the answer was made from. [Ledger.Verify] takes the stamps
// again, a millisecond or two for a thousand packages, and tells an edit that
// only changed what files hold from one that may have changed the packages.
//
// What is in the ledger, of packages that can be edited (neither the standard
// library's nor the module cache's):
//
//   - directories, by the names in them that matter there: sources in a
//     package's; everything where files are embedded or included; go.mod and
//     vendor on the way up to the module's root. An editor that saves by
//     renaming changes a directory's stamp and no name in it.
//   - sources that belong to packages, by what the go command reads in them
//     (see shape). A changed file that still has its shape is read again, and
//     nothing else happens.
//   - sources that do not belong to packages: tests, and files that build
//     constraints exclude. An edit can bring one in, or make it a package of
//     another name. Such files are not read before their first edit, which
//     therefore asks the go command, once.
//   - files that C compilers, assemblers and cgo read. Any change asks the go
//     command.
//   - embedded files, by name; their contents are read again.
//   - files that choose packages: go.mod, go.sum, go.work, vendor/modules.txt.
//
// An answer is trusted only where nothing changed while it was given: whatever
// is younger than the question makes a doubt, and the question is asked again
// next time. So does a package that could not be loaded: what mends it may lie
// anywhere.
//
// Not in the ledger, because a change there is a change under the go command's
// feet: GOROOT, the module cache.

// Ledger says what a package graph was made from, and keeps what its packages'
// files held. Its methods must not be called concurrently; the units it gives
// may be used by anyone.
type Ledger struct {
	graph Graph
	files []*fileMark
	dirs  []*dirMark
	index map[fileKey]*fileMark
	units map[string]*Unit // by import path; those with an edited file are missing
	doubt string           // why the graph must not be used again; "" is no reason
}

// Listing is an answer of the go command with what it depends on beside the
// packages.
type Listing struct {
	Graph    Graph
	Cache    string   // the module cache's directory
	Choosing []string // absolute paths of files that choose packages; they need not exist
	// Foreign is a package that may have an error: it is known to be out of
	// this module's reach. "" is none.
	Foreign string
	Asked   time.Time // when the go command was asked
}

type fileKey struct {
	path string
	as   use
}

// fileMark is a file as it was seen last.
type fileMark struct {
	fileKey
	packages []string // import paths
	stamp    Stamp
	racy     bool      // equal stamps prove nothing
	file     *File     // what it held; nil until it is needed
	shape    *[32]byte // of a Go file; nil until it is needed
}

// NewLedger takes the stamps of all that an answer depends on. old is the
// ledger of the answer before, or nil: what has not changed since is taken
// over.
func NewLedger(l Listing, old *Ledger) *Ledger {
	if old == nil {
		old = &Ledger{}
	}
	n := &Ledger{graph: l.Graph, index: map[fileKey]*fileMark{}, units: map[string]*Unit{}}
	dirs := dirSet{}
	for path, p := range l.Graph {
		if p.Error != nil && path != l.Foreign {
			n.doubt = path + " could not be loaded"
		}
		if editable(p, l.Cache) {
			dirs.add(p)
		}
	}
	n.markDirs(dirs, old, l.Asked)
	names := map[string][]string{}
	for _, d := range n.dirs {
		names[d.path] = d.names
	}
	for path, p := range l.Graph {
		if editable(p, l.Cache) {
			n.markPackage(path, p, names[p.Dir])
		}
	}
	for _, path := range l.Choosing {
		n.mark(path, asChoice, "")
	}
	n.stampFiles(old, l.Asked)
	n.keepUnits(old)
	return n
}

// editable reports whether a package's files are the user's business. Copies
// in vendor are: there is nothing else that says what they are.
func editable(p *gotool.Package, cache string) bool {
	return !p.Standard && p.Dir != "" && (cache == "" || !strings.HasPrefix(p.Dir, cache+string(filepath.Separator)))
}

func (l *Ledger) mark(path string, as use, pkg string) {
	key := fileKey{path, as}
	m := l.index[key]
	if m == nil {
		m = &fileMark{fileKey: key}
		l.index[key] = m
		l.files = append(l.files, m)
	}
	if pkg != "" {
		m.packages = append(m.packages, pkg)
	}
}

// markPackage marks the files of a package, and the sources beside them that
// are not part of it.
func (l *Ledger) markPackage(path string, p *gotool.Package, beside []string) {
	listed := map[string]bool{}
	names, as := uses(p)
	for i, name := range names {
		listed[name] = true
		l.mark(filepath.Join(p.Dir, name), as[i], path)
	}
	for _, name := range beside {
		if !listed[name] && goSource(name) {
			l.mark(filepath.Join(p.Dir, name), asIgnored, path)
		}
	}
}

// stampFiles takes the stamps of the marked files, and what is known of those
// that are still what they were.
func (l *Ledger) stampFiles(old *Ledger, asked time.Time) {
	stamps, errs := stampAll(len(l.files), func(i int) string { return l.files[i].path })
	for i, m := range l.files {
		m.stamp = stamps[i]
		was := old.index[m.fileKey]
		same := was != nil && was.stamp == m.stamp && !was.racy
		switch {
		case errs[i] != nil:
			l.doubt = errs[i].Error()
		case same:
			m.file, m.shape = was.file, was.shape
		case !m.stamp.Settled(asked):
			l.doubt = m.path + " may have changed while the go command ran"
		case m.as == asIgnored && was != nil:
			l.readShape(m) // it is being worked on
		}
	}
}

// readShape reads a file for its shape alone.
func (l *Ledger) readShape(m *fileMark) {
	f, err := readFile(m.path, asSource)
	if err != nil || f.Stamp != m.stamp {
		l.doubt = m.path + " changed after the go command ran"
		return
	}
	if s, err := shape(f.Data); err == nil {
		m.shape = &s
	}
}

// keepUnits takes over the units whose packages and files are the same.
func (l *Ledger) keepUnits(old *Ledger) {
	for path, u := range old.units {
		p := l.graph[path]
		if p == nil || p.Dir != u.Package.Dir || len(u.Files) == 0 {
			continue
		}
		names, as := uses(p)
		same := len(names) == len(u.Files)
		for i := 0; same && i < len(names); i++ {
			m := l.index[fileKey{filepath.Join(p.Dir, names[i]), as[i]}]
			same = m != nil && m.file != nil && u.Files[i].Name == names[i] && u.Files[i].Raw == m.file.Raw
		}
		if same {
			u = u.With(u.Files)
			u.Package, u.digests = p, &digests{}
			l.units[path] = u
		}
	}
}

// Unit gives a package with what its files hold. Files are read as far as they
// have changed since they were read last.
func (l *Ledger) Unit(path string) (*Unit, error) {
	if u := l.units[path]; u != nil {
		return u, nil
	}
	p := l.graph[path]
	u := &Unit{Package: p, digests: &digests{}}
	names, as := uses(p)
	for i, name := range names {
		m := l.index[fileKey{filepath.Join(p.Dir, name), as[i]}]
		if m == nil {
			// A package of the module cache, or a file that was made after
			// the ledger.
			f, err := readFile(filepath.Join(p.Dir, name), as[i])
			if err != nil {
				return nil, err
			}
			f.Name = name
			u.Files = append(u.Files, f)
			continue
		}
		if m.file == nil {
			start := time.Now()
			f, err := readFile(m.path, m.as)
			if err != nil {
				return nil, err
			}
			if f.Stamp != m.stamp {
				l.doubt = m.path + " changed after the go command ran"
			}
			m.take(f, start)
		}
		f := *m.file
		f.Name = name
		u.Files = append(u.Files, f)
	}
	l.units[path] = u
	return u, nil
}

// take remembers what was read of a file at the given time or later.
func (m *fileMark) take(f File, start time.Time) {
	m.file, m.stamp, m.racy = &f, f.Stamp, !f.Stamp.Settled(start)
}

// Verify looks whether the packages are still what the go command said. Then
// the ledger stands, and [Ledger.Unit] reads what was edited. Otherwise why
// says what changed, in words for a log, and newest is the time of the latest
// change seen; the ledger may then only be handed to [NewLedger].
func (l *Ledger) Verify() (why string, newest time.Time) {
	now := time.Now()
	note := func(s Stamp) {
		if t := s.Changed(); s.Kind != Absent && t.After(newest) {
			newest = t
		}
	}
	// One pass for files and directories: what takes the time is the kernel.
	n := len(l.files)
	stamps, errs := stampAll(n+len(l.dirs), func(i int) string {
		if i < n {
			return l.files[i].path
		}
		return l.dirs[i-n].path
	})
	if l.doubt != "" {
		// What is edited while one answer is made, and again right before the
		// next, must not leave that in doubt too: newest says what to wait for.
		for _, s := range stamps {
			note(s)
		}
		return l.doubt, newest
	}
	for i, s := range stamps {
		var reason string
		switch {
		case errs[i] != nil:
			reason = errs[i].Error()
		case i < n:
			m := l.files[i]
			if s == m.stamp && !m.racy {
				continue
			}
			note(s)
			reason = l.follow(m, s)
		default:
			d := l.dirs[i-n]
			if s == d.stamp && !d.racy {
				continue
			}
			note(s)
			reason = d.follow(s, now)
		}
		if why == "" {
			why = reason // go on: newest is of all
		}
	}
	return why, newest
}

// follow takes note of a file that is not what it was, or may not be. It gives
// the reason why the go command has to be asked, "" for none.
func (l *Ledger) follow(m *fileMark, now Stamp) (why string) {
	switch {
	case now.Kind != Regular && now != m.stamp:
		return m.path + " is gone, or no file any more"
	case now.Kind != Regular:
		return ""
	case m.as == asChoice:
		return m.path + " changed"
	case m.file == nil && m.shape == nil:
		return m.path + " changed, and was never read"
	}
	start := time.Now()
	as := m.as
	if as == asIgnored {
		as = asSource
	}
	f, err := readFile(m.path, as)
	if err != nil {
		return err.Error()
	}
	if m.file != nil && f.Raw == m.file.Raw {
		m.take(f, start) // touched
		m.file.decls = f.decls
		m.forget(l)
		return ""
	}
	switch m.as {
	case asForeign, asIncluded:
		return m.path + " changed, and tools other than the compiler read it"
	case asSource, asIgnored:
		if why := m.reshape(f.Data); why != "" {
			return why
		}
	}
	if m.as == asIgnored {
		m.stamp, m.racy = f.Stamp, !f.Stamp.Settled(start)
		return ""
	}
	m.take(f, start)
	m.forget(l)
	return ""
}

// forget has the packages that the file is of read again.
func (m *fileMark) forget(l *Ledger) {
	for _, path := range m.packages {
		delete(l.units, path)
	}
}

// reshape compares a Go file's shape with that of its new text.
func (m *fileMark) reshape(src []byte) (why string) {
	if m.shape == nil {
		s, err := shape(m.file.Data)
		if err != nil {
			return fmt.Sprintf("%s changed, and had errors: %v", m.path, err)
		}
		m.shape = &s
	}
	s, err := shape(src)
	switch {
	case err != nil:
		return fmt.Sprintf("%s has errors: %v", m.path, err)
	case s != *m.shape:
		return m.path + ": package, imports, constraints or directives changed"
	}
	return ""
}

// goSource reports whether a name is one that go/build looks into (Go 1.26,
// build.go, goodOSArchFile and fileListForExt).
func goSource(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return false
	}
	return slices.Contains(sourceExtensions, filepath.Ext(name))
}

var sourceExtensions = []string{
	".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx",
	".f", ".F", ".for", ".f90", ".s", ".S", ".sx", ".swig", ".swigcxx", ".syso",
}
