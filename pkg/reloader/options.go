package reloader

import (
	"context"
	"fmt"
	"log/slog"
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

	// AllowUIDs may use the socket besides this process's own user and root.
	// They also have to be able to enter the socket's directory.
	AllowUIDs []int

	// Dir keeps the journal and the copies of what was loaded. With "" nothing
	// stays: a copy is unlinked as soon as it is mapped.
	Dir string

	// Logger gets one record for each event and each refused connection; nil
	// is silent.
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
