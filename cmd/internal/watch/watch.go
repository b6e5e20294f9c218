// Package watch turns file-system events into batches of changed files and
// never loses the last edit.
//
// # Events are hints, the snapshot is the truth
//
// An event only says where to look. The watcher keeps what it last saw of
// every file that counts (see stamp.go), and when the events have come to rest
// it looks again: what differs is the batch. That one rule replaces a
// catalogue of editors. vim's probe file 4913, a backup renamed away and back,
// GoLand's ___jb_tmp___ and sed's temporary file have come and gone by the time
// anyone looks; a directory that was removed and made again, an overflow of
// the kernel's queue and a poll are the same comparison over more files. An
// event never needs to be understood, only to be followed by a look.
//
// # How nothing gets lost
//
//   - A directory is watched before it is listed, so a file made in between
//     shows up in one of the two.
//   - A file whose time stamp is too young to tell two writes apart is compared
//     by its contents.
//   - At most one batch waits for the consumer; later edits merge into it.
//   - When the kernel says that it dropped events, everything is compared and
//     the batch says [Batch.Rescan].
//   - Independently of all events everything is compared now and then. A change
//     that no event announced is reported, and proves that this file system
//     does not tell: from then on the watcher polls, and says so. This is the
//     self-test; it runs on the user's own edits because nothing may be written
//     into the user's tree, and a probe in a directory of ours would prove
//     nothing about another file system.
//
// # Limits
//
// No event tells of a change made under another name: of the target of a
// symbolic link to a file, or through another hard link. Nor does one when a
// directory above everything watched is renamed. The comparison that runs now
// and then finds these, within ten seconds. A write through mmap has no event
// either; it is found as late, and makes the watcher poll. Where a directory is
// watched every file in it counts, also a log that a program writes there:
// that is what [Options.Ignore] is for.
//
// # Files
//
// loop.go is the goroutine that owns everything; update.go changes what it
// watches; settle.go looks and makes batches; poll.go looks without being told.
// scope.go says what counts, and ignore.go knows the leftovers of editors;
// arrange.go decides which directories the kernel watches, and arm.go makes it
// so; stamp.go and snapshot.go remember files; debounce.go waits for rest, and
// gitlock.go for git; limit.go explains full tables; source.go is the seam to
// fsnotify.
package watch

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"
)

// What the zero values of [Options] mean.
const (
	// defaultQuiet is part of what the user waits for after every save. It is
	// longer than any pause within one save (measured with strace: vim, sed -i
	// and gofmt -w stay below 2 ms between two system calls on a local disk, an
	// fsync excepted, and that comes last). A save that pauses for longer gives
	// two batches: the first one's build finds that its sources changed.
	defaultQuiet = 10 * time.Millisecond
	// burstQuiet is the quiet time where more than oneSave paths have changed:
	// the pauses of a program that writes many files (a checkout, a formatter,
	// "save all") are those of the disk, and nobody waits at a keyboard for
	// each of the files.
	burstQuiet = 50 * time.Millisecond
	// oneSave is how many paths one save touches: the file, and a temporary one
	// beside it whose name is not known as a leftover.
	oneSave = 2
	// defaultMaxWait is for a stream of writes that never rests: a generator,
	// or a log file that a host writes beside its sources.
	defaultMaxWait = time.Second
	// defaultPoll is the pause between two looks when polling: with 500 files
	// on a local disk a look takes about a millisecond.
	defaultPoll = 250 * time.Millisecond
)

// ErrClosed is what methods of a closed Watcher return.
var ErrClosed = errors.New("watcher is closed")

// Set says what to watch. All paths are absolute. None has to exist: what is
// missing is noticed when it appears.
//
// Whatever is named here counts whatever its name. Of what is only found in a
// directory, hidden names, tests (_test.go) and the leftovers of editors never
// count.
type Set struct {
	Dirs  []string // every file in them; not the directories in them, except those made from now on
	Files []string // single files, such as go.mod; may lie in Dirs too, where a hidden name must count
	Trees []string // like Dirs, with all directories below; hidden ones, testdata, node_modules and _* excepted
}

// Options configure a Watcher. The zero value works.
type Options struct {
	Quiet        time.Duration          // a batch ends when nothing happened for so long (50 ms at least while many files change); 0 means 10 ms
	MaxWait      time.Duration          // a batch ends at the latest so long after its first event; 0 means 1 s
	Poll         bool                   // use no events at all
	PollInterval time.Duration          // pause between two looks when polling; 0 means 250 ms
	Ignore       func(path string) bool // more that never counts, such as our own output; not asked about paths of the Set; called from the watcher's goroutine
	Logger       *slog.Logger           // nil is silent

	// lookEvery replaces the pause between looks that no event asked for.
	// Tests set it where such a look would hide that an event was missed.
	lookEvery time.Duration
}

// Batch is a set of edits that belong together.
type Batch struct {
	Files  []string  // absolute, sorted, each once: made, changed or removed
	Rescan bool      // events were lost: Files is what a comparison found; treat everything as changed
	First  time.Time // first and last event (or, polling, look) of the batch
	Last   time.Time
}

// Watcher watches a [Set]. Its methods may be called concurrently.
type Watcher struct {
	batches chan Batch
	notes   chan string
	updates chan update
	stop    chan struct{} // closed by Close
	stopped chan struct{} // closed when the goroutine has ended
	once    sync.Once
	err     error // of closing the source; read after stopped
}

// update is a call of Update on its way to the goroutine.
type update struct {
	set  Set
	done chan struct{}
}

// New starts a watcher that watches nothing until [Watcher.Update]. The caller
// has to Close it. A limit of the system is no error: the watcher polls then
// and says so in a note.
func New(opts Options) (*Watcher, error) { return start(opts, openSource) }

// start is New with another source of events.
func start(opts Options, open func() (*source, error)) (*Watcher, error) {
	if opts.Quiet < 0 || opts.MaxWait < 0 || opts.PollInterval < 0 {
		return nil, fmt.Errorf("start watcher: negative duration in %v, %v, %v", opts.Quiet, opts.MaxWait, opts.PollInterval)
	}
	opts.Quiet = orDefault(opts.Quiet, defaultQuiet)
	opts.MaxWait = max(orDefault(opts.MaxWait, defaultMaxWait), opts.Quiet)
	opts.PollInterval = orDefault(opts.PollInterval, defaultPoll)
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{
		batches: make(chan Batch),
		notes:   make(chan string),
		updates: make(chan update),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
	l := newLoop(w, opts)
	if opts.Poll {
		l.polling = true
	} else if src, err := open(); err != nil {
		l.fallBack(err)
	} else {
		l.src = src
	}
	go l.run()
	return w, nil
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// Update replaces what is watched. It may be called at any time and costs
// little where little changed.
//
// Edits after its return are reported. Of what it adds, edits before its
// return are not: who read files before they were watched has to read them
// again. An edit of what stays in the set is reported whenever it happened.
//
// Errors: [ErrClosed]; a path that is not absolute, and then nothing changed.
func (w *Watcher) Update(set Set) error {
	for _, paths := range [][]string{set.Dirs, set.Files, set.Trees} {
		for _, p := range paths {
			if !filepath.IsAbs(p) {
				return fmt.Errorf("watch %q: path is not absolute", p)
			}
		}
	}
	u := update{set: set, done: make(chan struct{})}
	select {
	case w.updates <- u:
	case <-w.stop:
		return ErrClosed
	}
	select {
	case <-u.done:
		return nil
	case <-w.stopped:
		return ErrClosed
	}
}

// Batches gives the edits. At most one batch waits here: edits that happen
// until it is received merge into it. Close closes the channel.
func (w *Watcher) Batches() <-chan Batch { return w.batches }

// Notes gives one sentence for people whenever the watcher has to work another
// way than asked, such as polling because a limit of the system is reached.
// Each is given once; nothing waits for a receiver. Close closes the channel.
func (w *Watcher) Notes() <-chan string { return w.notes }

// Close ends the watcher and returns when its goroutines and descriptors are
// gone. A batch that nobody received is dropped. Close may be called again.
func (w *Watcher) Close() error {
	w.once.Do(func() { close(w.stop) })
	<-w.stopped
	return w.err
}
