package reloader

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/peercred"
	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/restore"
)

// # What outlives the process
//
// Below Options.Dir a host of a name has a directory of its own, with the artifacts
// that were live and a log of what is to be live. It belongs to one process at a
// time. Around each load and rollback two records are written: before anything is
// opened, what is tried; after the switch, what serves. A third follows when that
// has served for Options.ConfirmAfter, or at Close. Package restore says what the
// next process makes of them.
//
// Writing them costs two syncs of a small file, so a host without Dir does none of
// it. Where they cannot be written, the load goes on and says so: its code is live,
// and only the next process will not know.

// stateDir begins the name of the directory.
const stateDir = "state-"

// codeNotKept is the code of notes on what the next process will not know.
const codeNotKept = "not-kept"

// keeper writes down what serves. Its methods may be called on nil: that is a host
// without Dir, with Options.Restore off, or on a system that loads nothing. All but the
// status and timers are called by who holds the queue.
type keeper struct {
	h     *Host
	off   string // why nothing is kept, "" if it is
	log   *restore.Log
	files *restore.Artifacts
	lock  *os.File
	build string // of the host
	order int    // of the artifact opened last

	mu      sync.Mutex
	watches map[*generation]*time.Timer // what has yet to prove itself
	missing []control.NotRestored
	told    []string // for the journal, once there is one
	guilty  []restore.Quarantined
	ended   bool
}

func (k *keeper) on() bool { return k != nil && k.off == "" }

// openKeeper opens the state and settles what the process before left open. Where
// that cannot be, the host starts without, unless Options.Restore is strict.
func openKeeper(h *Host) (*keeper, error) {
	if h.opts.Dir == "" || h.opts.Restore == RestoreOff || h.platform.support() != nil {
		return nil, nil
	}
	k := &keeper{h: h, watches: map[*generation]*time.Timer{}}
	err := k.open(filepath.Join(h.opts.Dir, stateDir+h.opts.Name))
	if err == nil {
		return k, nil
	}
	err = errors.Join(err, k.close())
	if h.opts.Restore == RestoreStrict {
		return nil, fmt.Errorf("restore: %w", err)
	}
	k.off = shortText(err.Error())
	return k, nil
}

func (k *keeper) open(dir string) (err error) {
	if err := peercred.EnsureDir(dir); err != nil {
		return err
	}
	if k.lock, err = claimState(dir); err != nil {
		return err
	}
	var problem string
	if k.log, problem, err = restore.Open(dir); err != nil {
		return err
	}
	if problem != "" {
		k.told = append(k.told, problem)
	}
	artifacts := filepath.Join(dir, "artifacts")
	if err := peercred.EnsureDir(artifacts); err != nil {
		return err
	}
	if k.files, err = restore.OpenArtifacts(artifacts); err != nil {
		return err
	}
	fp, err := k.h.platform.host()
	switch {
	case err != nil:
		return fmt.Errorf("read this host's executable: %w", err)
	case fp.BuildID == "":
		return errors.New("this host has no build ID, by which its builds are told apart (it was linked with -buildid=)")
	}
	k.build = fp.BuildID
	for _, w := range k.log.State().Wanted(k.build) {
		k.order = max(k.order, w.Entry.Order)
	}
	run := restore.Run{Boot: bootID(), PID: os.Getpid(), Began: time.Now(), Window: k.h.opts.ConfirmAfter.String()}
	// Without this record a death during the restoring would go unnoticed.
	return k.log.Change(func(s *restore.State) { k.guilty = s.Begin(run, time.Now()) })
}

// bootID tells this start of the machine from others; "" where that is not known.
func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// errStateTaken is what a process is told whose state another one uses.
type errStateTaken struct{ dir string }

func (e errStateTaken) Error() string {
	return fmt.Sprintf("another process uses %s; nothing is restored here, and nothing kept for a restart. Give each process an Options.Dir or a Name of its own (HOTGO_DIR, HOTGO_NAME)", e.dir)
}

// close lets go of the state and writes nothing.
func (k *keeper) close() error {
	if k == nil {
		return nil
	}
	var err error
	if k.log != nil {
		err = k.log.Close()
	}
	if k.lock != nil {
		err = errors.Join(err, k.lock.Close())
		k.lock = nil
	}
	return err
}

// tell records what was found when the state was opened.
func (k *keeper) tell() {
	if k == nil {
		return
	}
	if k.off != "" {
		k.h.record(control.Event{Event: control.KindNote, Code: control.CodeRefused, Reason: k.off})
		return
	}
	for _, text := range k.told {
		k.h.record(control.Event{Event: control.KindNote, Code: control.CodeInternal, Reason: text})
	}
	for _, q := range k.guilty {
		k.h.record(control.Event{
			Event: control.KindQuarantined, Plugin: q.Plugin, Key: q.Key, Digest: q.Digest, Code: control.CodeRefused,
			Reason: q.Reason, Next: k.nextRelease(q.Digest),
		})
	}
	s := k.log.State()
	if len(s.Builds) == 0 || s.Builds[0].ID == k.build {
		return
	}
	for _, w := range s.Wanted(s.Builds[0].ID) {
		k.h.notRestored(w, control.Event{
			Code: control.CodeOtherBuild, Reason: "it was live in another build of this host, and is kept for that",
			Evidence: []control.Evidence{{What: "build ID", Host: k.build, Artifact: s.Builds[0].ID}},
		})
	}
}

// nextRelease is what to do with an artifact in quarantine.
func (k *keeper) nextRelease(digest string) string {
	return "hotgo push --release " + cmp.Or(k.pathOf(digest), "ARTIFACT")
}

// wish is an artifact to be restored.
type wish struct {
	restore.Trial
	Root bool // it is no patch of another one
}

func (k *keeper) wanted() []wish {
	var all []wish
	seen := map[string]bool{}
	for _, t := range k.log.State().Wanted(k.build) {
		all = append(all, wish{t, !seen[t.Plugin]})
		seen[t.Plugin] = true
	}
	return all
}

// note enters into the status what was not restored.
func (k *keeper) note(want restore.Trial, ev control.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.missing = append(k.missing, control.NotRestored{
		Plugin: want.Plugin, Digest: want.Entry.Digest, Key: want.Entry.Key, Code: ev.Code, Reason: ev.Reason,
	})
}

// end writes that this process ended as it should: what is live is proven.
func (k *keeper) end() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	k.ended = true
	for g, w := range k.watches {
		w.Stop()
		delete(k.watches, g)
	}
	k.mu.Unlock()
	if !k.on() {
		return k.close()
	}
	live := k.h.allLive()
	err := k.files.Sync(digests(live)...)
	if err == nil {
		err = k.log.Change(func(s *restore.State) {
			for _, g := range live {
				s.Prove(k.build, g.plugin, g.digest)
			}
			s.End()
		})
	}
	return errors.Join(err, k.close())
}

// allLive gives the generations that serve, with what they are patches of.
func (h *Host) allLive() (all []*generation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.plugins {
		all = append(all, p.standing()...)
	}
	return all
}

// standing gives what serves of a plugin, a patch after what it is a patch of;
// nothing for the built-in. The caller holds h.mu.
func (p *pluginState) standing() []*generation {
	g := p.serving()
	switch root := g.root(); {
	case g == nil:
		return nil
	case root == nil || root == g:
		return []*generation{g}
	default:
		return []*generation{root, g}
	}
}

func digests(all []*generation) (out []string) {
	for _, g := range all {
		out = append(out, g.digest)
	}
	return out
}

func entryOf(g *generation) restore.Entry {
	return restore.Entry{Digest: g.digest, Key: g.manifest.Key, Order: g.order, Loaded: g.loaded}
}

// orderOf gives an artifact that is opened its place among others.
func (k *keeper) orderOf(t *restore.Trial) int {
	switch {
	case !k.on():
		return 0
	case t != nil:
		return t.Entry.Order
	}
	k.order++
	return k.order
}
