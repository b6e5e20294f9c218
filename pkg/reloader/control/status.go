package control

import (
	"strconv"
	"time"
)

// Status is the answer of GET /v1/status.
type Status struct {
	V          int               `json:"v"`
	Name       string            `json:"name"`
	PID        int               `json:"pid"`
	Socket     string            `json:"socket,omitempty"`
	Executable string            `json:"executable"`
	Package    string            `json:"package"` // import path of the host's main package
	GoVersion  string            `json:"go_version"`
	GOOS       string            `json:"goos"`
	GOARCH     string            `json:"goarch"`
	BuildID    string            `json:"build_id"`
	Flags      map[string]string `json:"flags"` // build settings that an artifact has to match
	Started    time.Time         `json:"started"`
	// Starting says that the host is not made yet: it restores what was live before,
	// and the program has bound nothing.
	Starting bool `json:"starting,omitempty"`
	// TrustedKeys are the ids of the keys of which one must have signed what is
	// loaded, sorted. Absent, nothing need be signed; empty, no key is trusted and
	// nothing can be loaded.
	TrustedKeys []string `json:"trusted_keys,omitzero"`
	Plugins     []Plugin `json:"plugins"`
	Memory      Memory   `json:"memory"`
	Stuck       int      `json:"stuck,omitempty"` // goroutines of initialisers and hooks that never returned
	// TooManyGoroutines says that there are more than can be looked through for
	// those in old generations.
	TooManyGoroutines bool `json:"too_many_goroutines,omitempty"`
	// OldGenerations is how many generations are in use though they are not live.
	OldGenerations    int   `json:"old_generations,omitempty"`
	MaxOldGenerations int   `json:"max_old_generations,omitempty"` // the host's limit
	MemoryBudgetBytes int64 `json:"memory_budget_bytes,omitempty"` // the host's limit of Memory.MappedBytes
	// RestartAdvised says which of these limits is reached, where the host is to
	// advise a restart then.
	RestartAdvised string `json:"restart_advised,omitempty"`
	// Restore tells what is kept for the next start, and what became of what was
	// kept for this one; absent where the host has no directory, or is not to restore.
	Restore *Restore `json:"restore,omitempty"`
}

// KindHost as [Plugin.Kind] is the host itself.
const KindHost = "host"

// Plugin is one plugin of a host: bound, loaded, or both. The host itself is
// among them as soon as one of its functions was replaced: its generations are
// patches, and generation 0 is the code that it was built with.
type Plugin struct {
	Name        string       `json:"name"`
	Kind        string       `json:"kind,omitempty"` // "host", or absent for a plugin
	Live        int          `json:"live"`           // generation that serves; 0 is the built-in
	Symbols     []Symbol     `json:"symbols,omitempty"`
	Generations []Generation `json:"generations,omitempty"`
	// Health is the window of the generation that was observed last, or is now.
	Health *Health `json:"health,omitempty"`
	// Panics, Calls and Errors are those of the built-in, as those of a generation.
	Panics int64 `json:"panics,omitempty"`
	Calls  int64 `json:"calls,omitempty"`
	Errors int64 `json:"errors,omitempty"`
	// Replaced says which code of this plugin's functions runs, where it is not
	// that of the artifact or binary that they came in; sorted.
	Replaced []Replaced `json:"replaced,omitempty"`
	// Finishing are the functions whose earlier code goroutines are still in;
	// sorted.
	Finishing []Finishing `json:"finishing,omitempty"`
}

// Replaced is a function that runs the code of a patch.
type Replaced struct {
	Function   string `json:"function"`       // such as "cart.(*Cart).Total"
	Generation int    `json:"generation"`     // the patch
	Base       int    `json:"base,omitempty"` // the generation that is patched; 0 is the host's own code
}

// Finishing is earlier code of a function that goroutines are in.
type Finishing struct {
	Function   string `json:"function"`
	Goroutines int    `json:"goroutines"`
}

// Symbol is what the host bound.
type Symbol struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Builtin bool   `json:"builtin"` // the host has its own implementation
}

// State is where a generation stands.
type State string

// The states of a generation.
const (
	StateLive    State = "live"
	StateRetired State = "retired"
	StateFailed  State = "failed" // opened, then refused; its code stays mapped
)

// Generation is one loaded version of a plugin.
type Generation struct {
	Generation    int       `json:"generation"`
	State         State     `json:"state"`
	Key           string    `json:"key"`
	Digest        string    `json:"digest"`
	Link          string    `json:"link,omitempty"`        // "thin" or "full"
	LinkReason    string    `json:"link_reason,omitempty"` // why not thin
	Foreign       bool      `json:"foreign,omitempty"`     // hotgo did not build it
	Loaded        time.Time `json:"loaded"`
	ArtifactBytes int64     `json:"artifact_bytes"`
	MappedBytes   int64     `json:"mapped_bytes"`     // address space; Go never unmaps it
	ResidentBytes int64     `json:"resident_bytes"`   // of that, in memory now
	Signer        string    `json:"signer,omitempty"` // id of the trusted key that signed it
	Reason        string    `json:"reason,omitempty"`
	Restored      bool      `json:"restored,omitempty"`  // at the start: it was live in the process before
	Proven        bool      `json:"proven,omitempty"`    // it was live for long enough to be restored at the next start
	Patch         bool      `json:"patch,omitempty"`     // it replaces functions of what runs already
	Base          int       `json:"base,omitempty"`      // of a patch: the generation that it is made for; 0 is the host
	Functions     []string  `json:"functions,omitempty"` // of a patch: what it replaces, sorted
	// Panics is how many panics of it Call.Contain has ended; Calls and Errors are what
	// the host has reported by Call.Observe.
	Panics int64 `json:"panics,omitempty"`
	Calls  int64 `json:"calls,omitempty"`
	Errors int64 `json:"errors,omitempty"`
	// OldS is how many seconds ago it was live last, or failed; 0 for a live one.
	OldS int64 `json:"old_s,omitempty"`
	// Goroutines is how many are in its code, or were started by it, though it is
	// not live; Inside says where, at most 16 places, those with most first.
	Goroutines int         `json:"goroutines,omitempty"`
	Inside     []Goroutine `json:"inside,omitempty"`
	// Retained is what the program still holds of it though it is not live. Nil where
	// nothing was found, or nobody has looked yet.
	Retained *Retained `json:"retained,omitempty"`
}

// Retained is what a look at the variables of the program and at all that they lead to
// has found of an old generation. It goes on with the old code, types and variables.
type Retained struct {
	Things  []RetainedThing `json:"things,omitempty"`
	More    int             `json:"more,omitempty"`    // things that are not listed
	Part    bool            `json:"part,omitempty"`    // the look ended before it had seen all
	Unknown string          `json:"unknown,omitempty"` // why nobody can look here
}

// RetainedThing is one thing that a variable of the program leads to, or that is to run.
type RetainedThing struct {
	// Path begins with the variable, or with "a timer", "a finalizer" or "a cleanup", and
	// has as much of the way from there as is known: "main.routes … (*main.route).handler".
	Path   string       `json:"path"`
	Kind   RetainedKind `json:"kind"`
	Name   string       `json:"name"`   // of the type, function or variable of the old generation
	Places int          `json:"places"` // how often it is there
}

// RetainedKind says what is held.
type RetainedKind string

// The kinds of what is held.
const (
	RetainedValue    RetainedKind = "value"    // of a type that the plugin defines
	RetainedFunction RetainedKind = "function" // also a method value, or a function literal
	RetainedVariable RetainedKind = "variable" // a pointer to it, or into it
)

// String is such as "main.routes … → a value of type *pricing.order, 3 times".
func (t RetainedThing) String() string {
	s := t.Path + " → " + string(t.Kind) + " " + t.Name
	if t.Kind == RetainedValue {
		s = t.Path + " → a value of type " + t.Name
	}
	if t.Places > 1 {
		s += ", " + strconv.Itoa(t.Places) + " times"
	}
	return s
}

// Goroutine is a place in the code of an old generation where goroutines are. In
// hosts with many goroutines, state, age and creator are not known.
type Goroutine struct {
	Goroutines int    `json:"goroutines"`
	Function   string `json:"function"` // such as "rules.(*Watcher).loop"
	File       string `json:"file,omitempty"`
	Line       int    `json:"line,omitempty"`
	State      string `json:"state,omitempty"`      // as the Go runtime has it: "chan receive"
	BlockedS   int64  `json:"blocked_s,omitempty"`  // seconds in that state, to the minute; from one minute on
	CreatedBy  string `json:"created_by,omitempty"` // the function that started it
}

// Memory sums up what loads have cost the host.
type Memory struct {
	MappedBytes   int64 `json:"mapped_bytes"`
	ResidentBytes int64 `json:"resident_bytes"`
	RSSBytes      int64 `json:"rss_bytes"` // of the whole process
}

// LoadRequest is the JSON form of POST /v1/load, for a file that host and
// caller both see. The host copies the file, then compares the digest. Without
// Signature it takes that in the file PATH.minisig.
type LoadRequest struct {
	Path      string `json:"path"`
	Digest    string `json:"digest"`
	Signature string `json:"signature,omitempty"` // text of the signature file
}

// RollbackRequest is the body of POST /v1/rollback. Without To the newest
// healthy generation before the live one is taken; 0 is the built-in, and for
// the host itself the code that it was built with.
type RollbackRequest struct {
	Plugin string `json:"plugin"`
	To     *int   `json:"to,omitempty"`
}

// History is the answer of GET /v1/history, oldest first.
type History struct {
	V      int     `json:"v"`
	Events []Event `json:"events"`
}
