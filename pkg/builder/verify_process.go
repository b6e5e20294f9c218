package builder

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// mapping is a file that a process has mapped.
type mapping struct {
	path  string // as the process sees it, without the mark of a removed file
	gone  bool   // it was removed, or another took its place
	inode uint64
	area  string // of its first part, "start-end": its name in /proc/PID/map_files
}

// mappings reads the files out of the content of /proc/PID/maps, each once, in
// the order of addresses.
func mappings(maps []byte) []mapping {
	const removed = " (deleted)"
	type file struct {
		dev   string
		inode uint64
	}
	var found []mapping
	seen := map[file]bool{}
	lines := bufio.NewScanner(bytes.NewReader(maps))
	for lines.Scan() {
		// start-end perms offset dev inode path; only the path may have blanks.
		field := strings.Fields(lines.Text())
		at := strings.Index(lines.Text(), "/")
		if len(field) < 6 || at < 0 || !strings.HasPrefix(field[5], "/") {
			continue
		}
		inode, err := strconv.ParseUint(field[4], 10, 64)
		id := file{field[3], inode}
		if err != nil || inode == 0 || seen[id] {
			continue
		}
		seen[id] = true
		path, gone := strings.CutSuffix(lines.Text()[at:], removed)
		found = append(found, mapping{path: path, gone: gone, inode: inode, area: field[0]})
	}
	return found
}

// processFile names a file of a process in /proc.
func processFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// process says what the process has: its processor, its C library, and unless it
// keeps account itself the plugins that it has loaded. Without a process it is
// what this machine would give it, if the binary is one of its own. What cannot be
// looked at becomes a mismatch of the report.
//
// Plugins come in the order of their addresses, for when they were loaded is
// nowhere. It makes no difference unless a load failed: what the runtime let in
// agrees with what came before.
func (r *Report) process() *abi.Process {
	proc := &abi.Process{}
	if r.host == nil || r.Host.Elsewhere || r.host.Machine != runtime.GOARCH || r.host.Settings["GOOS"] != runtime.GOOS {
		return proc
	}
	if cpuinfo, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		proc.CPU = abi.CPULevel(string(cpuinfo))
	}
	var mapped []mapping
	if pid := r.Host.PID; pid != 0 {
		maps, err := os.ReadFile(processFile(pid, "maps"))
		if err != nil {
			r.unseen(fmt.Sprintf("memory map of process %d", pid), err)
		}
		mapped = mappings(maps)
	}
	proc.Libraries = r.libraries(mapped)
	if !r.Host.Ledger {
		r.alreadyMapped(mapped)
		for _, m := range mapped {
			r.enter(proc, m)
		}
	}
	return proc
}

func (r *Report) unseen(what string, err error) {
	r.Add(Mismatch{
		Kind: MismatchUnknown, Weight: Warns, What: what, Host: err.Error(), Limit: "hotgo",
		Cause: "what the process has loaded may keep the artifact out", Way: "ask the host itself: hotgo verify --host SOCKET",
	})
}

// enter adds a mapped file to the ledger if it is a Go plugin. Of a file that
// cannot be read only the name tells whether it might be one.
func (r *Report) enter(proc *abi.Process, m mapping) {
	fp, err := abi.ReadFile(r.Host.find(m))
	var ae *abi.Error
	switch {
	case errors.As(err, &ae) && ae.Reason == abi.Unreadable && strings.Contains(filepath.Base(m.path), ".so"):
		r.unseen(m.path, err)
	case err == nil && fp.Kind == abi.Plugin:
		proc.Add(fp, m.path, false)
	}
}

// find gives a path that opens what a process has mapped: it may have been removed
// since, and the process may see other files by the same names.
func (h VerifyHost) find(m mapping) string {
	seen := filepath.Join(processFile(h.PID, "root"), m.path)
	if at, err := source.StampOf(seen); err == nil && at.Ino == m.inode {
		return seen
	}
	if at, err := source.StampOf(m.path); err == nil && at.Ino == m.inode {
		return m.path
	}
	return filepath.Join(processFile(h.PID, "map_files"), m.area)
}

// alreadyMapped tells a file that the process has open, or a path that it had.
func (r *Report) alreadyMapped(mapped []mapping) {
	artifact, err := source.StampOf(r.Artifact.Path)
	if err != nil || len(mapped) == 0 {
		return
	}
	path, err := filepath.Abs(r.Artifact.Path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return
	}
	for _, m := range mapped {
		at, err := source.StampOf(r.Host.find(m))
		same := err == nil && at.Ino == artifact.Ino && at.Dev == artifact.Dev
		if !same && m.path != path {
			continue
		}
		found := Mismatch{
			Kind: MismatchPath, What: "file", Host: "mapped as " + m.path, Artifact: path, Limit: "the Go runtime",
			Cause: "plugin.Open gives the plugin that it opened by this path before, whatever the file is now", Way: "load it from a path of its own",
		}
		if same && m.path != path {
			found.Cause = "the dynamic linker knows this file under another name and maps it no second time"
			found.Limit, found.Way = "the dynamic linker", "load a copy, with a plugin path of its own"
		}
		r.Add(found)
	}
}

// libraries reads which symbol versions the libraries define that the artifact
// asks for versions of: those that the process has mapped, else those beside its
// dynamic linker, where the C library and what belongs to it lie.
func (r *Report) libraries(mapped []mapping) map[string][]string {
	defined := map[string][]string{}
	if r.file == nil {
		return nil
	}
	beside := filepath.Dir(r.linker(mapped))
	for library := range r.file.Versions {
		path := ""
		for _, m := range mapped {
			if filepath.Base(m.path) == library {
				path = r.Host.find(m)
			}
		}
		if path == "" {
			path = filepath.Join(beside, library)
		}
		if versions, err := definedVersions(path); err == nil && len(versions) > 0 {
			defined[library] = versions
		}
	}
	return defined
}

// linker gives a path of the dynamic linker: the one that the process has mapped,
// else the one that the binary asks for, without links.
func (r *Report) linker(mapped []mapping) string {
	for _, m := range mapped {
		if filepath.Base(m.path) == filepath.Base(r.host.Interp) {
			return r.Host.find(m)
		}
	}
	if path, err := filepath.EvalSymlinks(r.host.Interp); err == nil {
		return path
	}
	return r.host.Interp
}

func definedVersions(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return abi.DefinedVersions(f, fi.Size())
}
