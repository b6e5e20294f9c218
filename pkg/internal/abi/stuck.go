package abi

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// StuckInits tells which packages of an artifact began to initialise and did
// not end, by looking at the memory of the process that loaded it. path is the
// file as the process opened it, maps the content of /proc/PID/maps and mem
// /proc/PID/mem.
//
// Each package with something to initialise has a task, which begins with a
// 32-bit state: 0 not begun, 1 begun, 2 done (runtime/proc.go, initTask, Go
// 1.26). Only the copy of a package that was first in the process is used, so
// packages that others brought stay at 0 here and are not reported.
//
// It gives an error where the file is not mapped or cannot be read; what is
// stuck is then unknown. Call it when the load has failed or timed out, not
// while the result could still change.
func (f *Fingerprint) StuckInits(path string, maps io.Reader, mem io.ReaderAt) ([]string, error) {
	const begun = 1
	base, err := f.loadAddress(path, maps)
	if err != nil {
		return nil, err
	}
	var stuck []string
	for pkg, addr := range f.Inits {
		var state [4]byte
		if _, err := mem.ReadAt(state[:], int64(base+addr)); err != nil {
			return nil, fmt.Errorf("read the initialisation state of %s: %w", pkg, err)
		}
		// A plugin is loaded by a process of its own machine, and so is this.
		if binary.NativeEndian.Uint32(state[:]) == begun {
			stuck = append(stuck, pkg)
		}
	}
	slices.Sort(stuck)
	return stuck, nil
}

// loadAddress gives what has to be added to the file's addresses to get those
// of the process.
func (f *Fingerprint) loadAddress(path string, maps io.Reader) (uint64, error) {
	const page = 4096 // of which every real page size is a multiple
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		// start-end perms offset dev inode path
		field := strings.Fields(lines.Text())
		if len(field) < 6 || !strings.HasSuffix(lines.Text(), " "+path) {
			continue
		}
		begin, _, _ := strings.Cut(field[0], "-")
		start, err1 := strconv.ParseUint(begin, 16, 64)
		off, err2 := strconv.ParseUint(field[2], 16, 64)
		if err1 != nil || err2 != nil {
			return 0, fmt.Errorf("parse memory map %q", lines.Text())
		}
		if off == f.load.off&^(page-1) {
			return start - f.load.addr&^(page-1), nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, fmt.Errorf("read memory map: %w", err)
	}
	return 0, fmt.Errorf("%s is not mapped", path)
}
