package reloader

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"
)

// Options configure a Host. The zero value works.
type Options struct {
	// Name is what people call this host; "" is the executable's base name.
	Name string

	// Socket is the path of the control socket; "" picks it as
	// control.SocketPath describes. Its directory has to belong to this user
	// and to be writable by nobody else; it is created with mode 0700 where it
	// does not exist.
	Socket string

	// NoSocket keeps the host from listening at all. Handler still works.
	NoSocket bool

	// AllowUIDs and AllowGIDs may use the socket besides this process's own user
	// and root: users by their id, processes by one of their groups (on linux, also
	// the supplementary ones). They also have to be able to enter the socket's
	// directory; the default one is closed to others.
	AllowUIDs, AllowGIDs []int

	// ReadUIDs and ReadGIDs may use it to read: status, history, events and
	// metrics. They load nothing and roll nothing back.
	ReadUIDs, ReadGIDs []int

	// Authorize decides about requests to Handler where it is mounted on a router
	// of the embedder's, and names who asks, for history and Audit; "" is nobody in
	// particular. It is called for each request, concurrently, and must not use its
	// body. nil lets everybody read and nobody write: such requests come without a
	// user id, and whoever can load runs code in this process. Requests from pages
	// in browsers are refused before it is asked.
	Authorize func(*http.Request) (Access, string)

	// Audit gets every call of the control API after it was answered, those that
	// were refused and those that only read included; nil gets none. It is called
	// on the call's goroutine, concurrently.
	Audit func(ControlCall)

	// Dir keeps the journal and the copies of what was loaded. With "" nothing
	// stays: a copy is unlinked as soon as it is mapped. Otherwise what was live
	// and healthy is there again after a restart of the same build; see Restore.
	Dir string

	// Restore says whether, and when, what was live in an earlier process of the
	// same build is loaded again. "" means RestoreAtStart. Without Dir it means
	// nothing.
	Restore Restore

	// RestoreTimeout bounds how long New waits for it; 0 means 30 s. What takes
	// longer goes on in the background, and until then the built-ins serve.
	RestoreTimeout time.Duration

	// ConfirmAfter is how long a generation has to be live to count as healthy; 0
	// means 30 s. A health window that is not over yet puts it off. Close makes it so
	// at once. If the process ends before, in any other way, the generation is
	// quarantined: it is not restored, and refused until somebody releases it. Without
	// Dir it means nothing.
	ConfirmAfter time.Duration

	// DirBudget bounds the bytes of the artifacts in Dir; 0 means 1 GiB. Above it
	// those that nothing needs are removed, oldest first, but never what is live or
	// what a restart or a rollback would go back to.
	DirBudget int64

	// Logger gets one record for each event and each call that may change
	// something, on level debug for each other call, and some of the refused ones:
	// a burst of 20, then one a second, which say how many were left out. nil is
	// silent.
	Logger *slog.Logger

	// TrustedKeys are the keys of which one must have signed what is loaded, each
	// a minisign public key: its line of base64, or the text of a .pub file.
	// What is not signed by one of them, has expired, or was signed before what
	// was loaded last of the same plugin is refused, before anything of it is
	// believed. nil checks nothing; a list that is empty, but not nil, trusts
	// nobody.
	//
	// Dir remembers across restarts what was loaded last; without it, only this
	// process does.
	TrustedKeys []string

	// NoDowngrade refuses what was signed before what was loaded last also to
	// callers who say that they mean it. Rollback stays possible.
	NoDowngrade bool

	// Publish gets, once and from New, a name and a function that gives what
	// GET /metrics tells as a map of numbers. It is the way to expvar, which nothing
	// here imports, because its import opens /debug/vars on the default router:
	//
	//	Publish: func(name string, read func() any) { expvar.Publish(name, expvar.Func(read)) }
	//
	// nil publishes nothing. What is published outlives the host and its Close, so a
	// program with several hosts gives each a name.
	Publish func(name string, read func() any)

	// OpenTimeout bounds a plugin's initialisers; 0 means 30 s. One that takes
	// longer is given up: the load fails, and the goroutine that runs it stays
	// behind, because nothing can end it. Status counts such goroutines.
	OpenTimeout time.Duration

	// HookTimeout bounds each call of a hook; 0 means 10 s.
	HookTimeout time.Duration

	// MaxPause bounds how long the process may stand still while the state of a
	// plugin's generation is read for the next one; 0 means 1 s. State that takes longer is
	// refused, and the old generation goes on. What is shared and not looked at
	// takes microseconds whatever its size (docs/state.md).
	MaxPause time.Duration

	// HoldCalls bounds how long handles wait while state is on its way, for calls
	// that are under way to end and for the hooks of the new generation; 0 means 250 ms.
	HoldCalls time.Duration

	// MaxArtifactBytes bounds one artifact; 0 means 512 MiB.
	MaxArtifactBytes int64

	// MaxOldGenerations bounds how many old generations of all plugins may be in
	// use: those that are not live while a function of their own packages is on a
	// goroutine's stack, a HotStop that does not return for instance. A load that would open
	// another one while there are that many is over the limit. Patches, rollbacks
	// and versions that were opened before are not: they open none. 0 is no limit,
	// and there is none while the process has more than 100,000 goroutines.
	MaxOldGenerations int

	// MemoryBudget bounds the address space, in bytes, of all generations and
	// patches, which Go never unmaps. A load is over the limit if what is mapped
	// and the size of its artifact together exceed it. 0 is no limit.
	MemoryBudget int64

	// Window is how a load is observed that does not say so itself, as a push with
	// --health-window does. The zero value observes nothing.
	Window Window

	// PanicLimit is how many panics Contain may end, of one generation since it
	// became live, before the one before it is made live again. 0 is no limit beyond
	// that of health windows.
	PanicLimit int

	// NoHeapLook keeps the host from looking through its heap, when a generation has
	// retired, for what the program keeps of it (docs/state.md): it takes
	// about two seconds of a processor for a gigabyte of small objects, and 64 MB.
	NoHeapLook bool

	// OverLimit says what becomes of a load beyond MaxOldGenerations or
	// MemoryBudget; "" means OverLimitWarn.
	OverLimit OverLimit
}

// hookGrace is what a hook gets on top of its context's deadline to return.
const hookGrace = time.Second

func (o *Options) complete() error {
	if o.Name == "" {
		o.Name = "host"
		if exe, err := os.Executable(); err == nil {
			o.Name = strings.TrimSuffix(filepath.Base(exe), ".exe")
		}
	} else if err := validName(o.Name); err != nil {
		return err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.OpenTimeout, 30*time.Second)
	setDefault(&o.HookTimeout, 10*time.Second)
	setDefault(&o.MaxPause, time.Second)
	setDefault(&o.HoldCalls, 250*time.Millisecond)
	setDefault(&o.MaxArtifactBytes, 512<<20)
	if o.OpenTimeout < 0 || o.HookTimeout < 0 || o.MaxPause < 0 || o.HoldCalls < 0 || o.MaxArtifactBytes < 0 {
		return fmt.Errorf("check options: a negative limit (OpenTimeout %v, HookTimeout %v, MaxPause %v, HoldCalls %v, MaxArtifactBytes %d)",
			o.OpenTimeout, o.HookTimeout, o.MaxPause, o.HoldCalls, o.MaxArtifactBytes)
	}
	if o.MaxOldGenerations < 0 || o.MemoryBudget < 0 {
		return fmt.Errorf("check options: a negative limit (MaxOldGenerations %d, MemoryBudget %d)", o.MaxOldGenerations, o.MemoryBudget)
	}
	if err := o.checkIDs(); err != nil {
		return err
	}
	if err := o.completeRestore(); err != nil {
		return err
	}
	if o.PanicLimit < 0 {
		return fmt.Errorf("check options: a negative limit (PanicLimit %d)", o.PanicLimit)
	}
	var err error
	if o.Window, err = o.Window.Complete(); err != nil {
		return fmt.Errorf("check options: Window: %w", err)
	}
	setDefault(&o.OverLimit, OverLimitWarn)
	switch o.OverLimit {
	case OverLimitWarn, OverLimitRefuse, OverLimitAdvise:
	default:
		return fmt.Errorf("check options: OverLimit is %q, which is none of warn, refuse and advise", o.OverLimit)
	}
	if o.Dir != "" {
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return fmt.Errorf("check options: %w", err)
		}
		o.Dir = dir
	}
	return nil
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// validName: the name is printed, matched against targets and put into metrics.
func validName(name string) error {
	bad := func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r) || strings.ContainsRune(`/\*?[`, r)
	}
	if len(name) > 100 || strings.ContainsFunc(name, bad) {
		return fmt.Errorf("check options: %.120q cannot be a host's name: at most 100 bytes, without spaces and /\\*?[", name)
	}
	return nil
}

// logEnabled avoids building records for a silent logger.
func (h *Host) logEnabled(level slog.Level) bool {
	return h.opts.Logger.Enabled(context.Background(), level)
}
