package reloader

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/symname"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/goplugin"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// inspection is what an artifact's file says.
type inspection struct {
	manifest artifact.Manifest
	digest   string
	print    *abi.Fingerprint
	itabs    []string // names of its interface tables, where they matter
	entry    uint64   // where the file has its entry, goplugin.Entry
	refers   []uint64 // nameHash of what it refers to and others define, sorted
}

// outcome is how opening an artifact ended.
type outcome int

const (
	opened     outcome = iota
	refused            // plugin.Open gave an error
	initFailed         // an initialiser panicked
	initHung           // an initialiser has not returned yet
	initLate           // the one that hung has returned after all, sound
	notUsable          // opened, but what it exports is no entry of ours
)

// platform is the process as a load sees it: the seam that lets the
// transaction be tested without loading anything. The host's queue is not
// enough to guard it, because several hosts may live in one process.
type platform struct {
	lock    sync.Locker // held from judge to record
	support func() error
	inspect func(f io.ReaderAt, size int64) (*inspection, error)
	judge   func(*inspection) ([]abi.Mismatch, error)
	// shared lists the packages of which earlier artifacts have the variables.
	shared func(*inspection) []abi.SharedPackage
	// hide edits the copy at path, which is opened next, for the runtime.
	hide func(path string) (hidden, error)
	open func(in *inspection, path string) (goplugin.Symbols, error)
	// record enters a load in the ledger and reports whether its code is mapped.
	record func(in *inspection, path, by string, how outcome) (mapped bool)
	host   func() (*abi.Fingerprint, error)
	// still runs f while nothing else runs: see livepatch.
	still   func(m livepatch.Moment, f func()) (time.Duration, error)
	patches *patching
	old     *lookout
}

// process is the ledger of this process: what its executable is, and what was
// mapped since it started.
type process struct {
	loading sync.Mutex
	host    func() (*abi.Fingerprint, error)
	itabs   *itabNames

	mu     sync.Mutex // guards what follows: a late initialiser reports outside loading
	ledger abi.Process
	known  map[string]bool // files that loads have opened, or that noticeOthers has looked at
}

// thisProcess belongs to all hosts of the process, since the runtime's tables do.
var thisProcess = sync.OnceValue(newProcess)

func newProcess() *platform {
	p := &process{host: sync.OnceValues(readExecutable), itabs: newItabNames(runtime.Version())}
	if cpuinfo, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		p.ledger.CPU = abi.CPULevel(string(cpuinfo))
	}
	return &platform{
		lock: &p.loading, support: supported, inspect: inspect, patches: newPatching(), old: newLookout(),
		judge: p.judge, shared: p.shared, hide: p.itabs.hide, open: open, record: p.record, host: p.host,
		still: standStill,
	}
}

// supported says why this process cannot load artifacts, if it cannot.
func supported() error {
	switch {
	case !goplugin.Supported:
		return &control.Error{
			Code:    control.CodeUnsupported,
			Message: fmt.Sprintf("this host cannot load plugins: it was built for %s/%s without cgo, or the system has no Go plugins", runtime.GOOS, runtime.GOARCH),
			Limit:   "the Go runtime", Next: "build the host with CGO_ENABLED=1 on Linux",
		}
	case runtime.GOOS != "linux":
		return &control.Error{
			Code:    control.CodeUnsupported,
			Message: "this host cannot load plugins: hotgo cannot check files of " + runtime.GOOS + " yet, and does not load what it has not checked",
			Limit:   "hotgo", Next: "run the host on Linux",
		}
	}
	return nil
}

// readExecutable reads the binary that runs, not the one that may have taken
// its place on disk since: that is what /proc/self/exe is for.
func readExecutable() (*abi.Fingerprint, error) {
	path, err := executable()
	if err != nil {
		return nil, err
	}
	return abi.ReadFile(path)
}

// executable gives a path under which the binary that runs can be read.
func executable() (string, error) {
	if runtime.GOOS == "linux" {
		return "/proc/self/exe", nil
	}
	return os.Executable()
}

// inspect reads everything a load needs from an artifact. The order gives the
// clearest error: whether it is a whole Go plugin at all, then whether every byte
// is as hotgo wrote it, if hotgo did, then whether its tables can be followed.
func inspect(f io.ReaderAt, size int64) (*inspection, error) {
	fp, err := abi.Read(f, size)
	if err != nil {
		return nil, err
	}
	if err := fp.RequirePlugin(); err != nil {
		return nil, err
	}
	m, digest, err := artifact.VerifyPayload(f, size)
	if errors.Is(err, artifact.ErrNoManifest) {
		m, digest, err = foreign(f, size, fp)
	}
	if err != nil {
		return nil, err
	}
	if err := abi.CheckLoadable(f, size); err != nil {
		return nil, err
	}
	in := &inspection{manifest: m, digest: digest, print: fp}
	return in, in.readNames(f, size)
}

// open maps the file at path, which is what in was read from.
func open(in *inspection, path string) (goplugin.Symbols, error) {
	if in.manifest.Foreign {
		return goplugin.OpenForeign(path, in.manifest.SymbolNames())
	}
	return goplugin.Open(path)
}

// readNames reads from the symbols where the entry is, and what others define.
func (in *inspection) readNames(f io.ReaderAt, size int64) error {
	entry := symname.Escape(in.print.PluginPath) + "." + goplugin.Entry
	err := abi.EachDynamicSymbol(f, size, func(s abi.DynamicSymbol) {
		switch {
		case !s.Defined:
			in.refers = append(in.refers, nameHash(string(s.Name)))
		case string(s.Name) == entry:
			in.entry = s.Value
		}
	})
	slices.Sort(in.refers)
	return err
}

func (p *process) judge(in *inspection) ([]abi.Mismatch, error) {
	host, err := p.host()
	if err != nil {
		return nil, fmt.Errorf("read this host's executable: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.noticeOthers()
	return abi.Compare(host, in.print, &p.ledger), nil
}

func (p *process) shared(in *inspection) []abi.SharedPackage {
	host, err := p.host()
	if err != nil {
		return nil // judge has said so
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ledger.Shared(host, in.print)
}

// noticeOthers enters what the program has opened with plugin.Open itself, as far as
// the files are where they were: such a plugin has its path, and its packages are
// the first. What the file of one looked like that was replaced meanwhile nobody can
// tell; there the runtime's own check remains. Each file is read once. The caller holds
// mu.
func (p *process) noticeOthers() {
	self, _ := os.Executable()
	for _, m := range mappedCode() {
		if p.known[m.path] || m.path == self {
			continue
		}
		p.know(m.path)
		if !m.unchanged() {
			continue
		}
		if fp, err := abi.ReadFile(m.path); err == nil && fp.Kind == abi.Plugin {
			p.ledger.Add(fp, "the program itself, from "+m.path, false)
		}
	}
}

func (p *process) know(path string) {
	if p.known == nil {
		p.known = map[string]bool{}
	}
	p.known[path] = true
}

// record: see abi.Process for what each outcome leaves behind.
func (p *process) record(in *inspection, path, by string, how outcome) (mapped bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.know(path)
	defer func() {
		if mapped {
			p.itabs.add(in.itabs)
		}
	}()
	switch how {
	case opened, notUsable:
		p.ledger.Add(in.print, by, false)
	case refused:
		// dlopen's own refusal leaves nothing behind, the runtime's does.
		if !isMapped(path) {
			return false
		}
		p.ledger.Add(in.print, by, true)
	case initHung:
		// It may go on at any moment and initialise what it has not reached
		// yet, so all of it is out of bounds until it returns.
		p.ledger.Add(in.print, by, true)
	case initFailed:
		stuck, err := stuckInits(in.print, path)
		if err != nil {
			p.ledger.Add(in.print, by, true)
			break
		}
		p.ledger.AddStuck(in.print, by, stuck)
	case initLate:
		p.ledger.Recovered(by)
	}
	return true
}

func stuckInits(fp *abi.Fingerprint, path string) (stuck []string, err error) {
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mem.Close()) }()
	return fp.StuckInits(path, maps, mem)
}

// isMapped reports whether this process has mapped the file at path. Where
// that cannot be told the answer is yes, which refuses more.
func isMapped(path string) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	return err != nil || strings.Contains(string(maps), " "+path)
}
