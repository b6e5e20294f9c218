package restore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// errPower ends everything from the step at which the power goes.
var errPower = errors.New("the power is gone")

// inode is a file as a machine has it that can lose power: what was synced is
// there for certain, the rest is there up to any byte.
type inode struct {
	content []byte
	synced  int
}

// machine runs a log in a real directory, and knows what a loss of power leaves.
type machine struct {
	left   int // steps until the power goes
	open   map[*os.File]*inode
	inodes map[string]*inode // by base name, as a running system sees them
	stable map[string]*inode // as they are on disk for certain
}

func (m *machine) step() error {
	if m.left == 0 {
		return errPower
	}
	m.left--
	return nil
}

func (m *machine) disk() Disk {
	d := System
	d.Create = func(path string) (*os.File, error) {
		if err := m.step(); err != nil {
			return nil, err
		}
		f, err := System.Create(path)
		m.open[f] = &inode{}
		m.inodes[filepath.Base(path)] = m.open[f]
		return f, err
	}
	d.Write = func(f *os.File, b []byte) (int, error) {
		m.open[f].content = append(m.open[f].content, b...) // some of it may arrive in any case
		if err := m.step(); err != nil {
			return 0, err
		}
		return System.Write(f, b)
	}
	d.Sync = func(f *os.File) error {
		if err := m.step(); err != nil {
			return err
		}
		m.open[f].synced = len(m.open[f].content)
		return nil
	}
	d.Rename = func(from, to string) error {
		if err := m.step(); err != nil {
			return err
		}
		from, to = filepath.Base(from), filepath.Base(to)
		m.inodes[to] = m.inodes[from]
		delete(m.inodes, from)
		return nil
	}
	d.SyncDir = func(string) error {
		if err := m.step(); err != nil {
			return err
		}
		m.stable = map[string]*inode{}
		for name, i := range m.inodes {
			m.stable[name] = i
		}
		return nil
	}
	d.Remove = func(path string) error { return System.Remove(path) }
	return d
}

// remains checks everything that the disk may have: the names as they were synced or as they
// are, and of what was not synced the first bytes.
func (m *machine) remains(t *testing.T, check func(State)) {
	t.Helper()
	for _, names := range []map[string]*inode{m.stable, m.inodes} {
		i := names[logName]
		if i == nil {
			check(State{})
			continue
		}
		for n := i.synced; n <= len(i.content); n++ {
			s, found, _ := newest(i.content[:n])
			if !found && n > 0 && i.synced > 0 {
				t.Fatalf("nothing is read of %d bytes, %d of which were synced", n, i.synced)
			}
			check(s)
		}
	}
}

// TestPowerLossLeavesTheStateBeforeOrAfter takes the power away at every step, and
// looks at everything that the disk may have then.
func TestPowerLossLeavesTheStateBeforeOrAfter(t *testing.T) {
	for steps := 0; ; steps++ {
		m := &machine{left: steps, open: map[*os.File]*inode{}, inodes: map[string]*inode{}, stable: map[string]*inode{}}
		l := open(t, t.TempDir())
		l.disk = m.disk()
		done, failed := 0, false
		for n := 1; n <= 4; n++ {
			if n == 3 {
				l.size = logSize // the file is written anew in between
			}
			if err := step(l, n); err != nil {
				failed = true
				break
			}
			done = n
		}
		seen := map[int]bool{}
		m.remains(t, func(s State) {
			if got := at(s); got != done && got != done+1 {
				t.Fatalf("power lost at step %d: change %d was done, and the disk has %d", steps, done, got)
			}
			seen[at(s)] = true
		})
		if !failed {
			if done != 4 || len(seen) != 1 {
				t.Fatal(fmt.Sprint("done ", done, ", the disk may have ", seen))
			}
			return
		}
	}
}
