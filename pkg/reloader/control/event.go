// Package control speaks to hosts: the wire types of the control socket and
// a client for it.
//
// It is small on purpose. Nothing in its closure imports "plugin", so a tool
// that only pushes artifacts builds with CGO_ENABLED=0.
package control

import (
	"fmt"
	"time"
)

// EventVersion is the value of [Event.V]. A field may be added without
// raising it; a field that changes its meaning or goes away raises it.
const EventVersion = 1

// Kind says what an [Event] reports.
type Kind string

// The kinds of events, in the order in which one edit produces them.
const (
	KindStarted     Kind = "started"      // a watch began, or a host came up
	KindDetected    Kind = "detected"     // files changed
	KindBuilt       Kind = "built"        // an artifact is ready
	KindVerified    Kind = "verified"     // the preflight found nothing
	KindLoaded      Kind = "loaded"       // a generation is live
	KindUnchanged   Kind = "unchanged"    // nothing to load
	KindRestart     Kind = "restart"      // the change needs a new process
	KindRestarted   Kind = "restarted"    // the host was started again
	KindFailed      Kind = "failed"       // the old code keeps running
	KindRolledBack  Kind = "rolled-back"  // an earlier generation is live again
	KindHealthy     Kind = "healthy"      // a generation was observed, and stays
	KindWaiting     Kind = "waiting"      // a load waits for another one, or its window
	KindRetired     Kind = "retired"      // HotStop of an old generation returned, or was given up
	KindRestored    Kind = "restored"     // what was live in the process before is live again
	KindNotRestored Kind = "not-restored" // it is not, and why
	KindQuarantined Kind = "quarantined"  // the process before seems to have died of it
	KindReleased    Kind = "released"     // somebody has taken it out of quarantine
	KindSaved       Kind = "saved"        // the state of a plugin was written into a file
	KindRecalled    Kind = "recalled"     // a plugin goes on with the state of the process before, or why not
	KindSkipped     Kind = "skipped"      // a push did not begin with this host
	KindHostGone    Kind = "host-gone"    // a host ended or cannot be reached
	KindNote        Kind = "note"         // something worth knowing; nothing changed
)

// Verdict is what hotgo decided for an edit.
type Verdict string

// The verdicts.
const (
	Patched         Verdict = "patched"
	Swapped         Verdict = "swapped"
	Unchanged       Verdict = "unchanged"
	RestartRequired Verdict = "restart-required"
	Failed          Verdict = "failed"
)

// Event is one step in the life of a change. `hotgo watch -o json` prints one
// a line and GET /v1/events streams them. Fields that do not apply are absent.
type Event struct {
	V             int          `json:"v"`
	Time          time.Time    `json:"time"`
	Event         Kind         `json:"event"`
	Host          string       `json:"host,omitempty"`   // the host's name
	PID           int          `json:"pid,omitempty"`    // the host's process id
	Target        string       `json:"target,omitempty"` // what reaches the host, from where it was asked; hosts leave it out
	Plugin        string       `json:"plugin,omitempty"`
	Verdict       Verdict      `json:"verdict,omitempty"`
	Generation    int          `json:"generation,omitempty"`
	Key           string       `json:"key,omitempty"`
	Digest        string       `json:"digest,omitempty"` // "sha256:" and 64 hex digits
	Artifact      string       `json:"artifact,omitempty"`
	ArtifactBytes int64        `json:"artifact_bytes,omitempty"`
	Link          string       `json:"link,omitempty"`        // "thin" or "full"
	LinkReason    string       `json:"link_reason,omitempty"` // why not thin
	Foreign       bool         `json:"foreign,omitempty"`     // hotgo did not build it
	Functions     []string     `json:"functions,omitempty"`   // what a patch replaces, such as "cart.(*Cart).Total"
	Files         []string     `json:"files,omitempty"`       // what changed, for "detected"
	PhasesMS      *Phases      `json:"phases_ms,omitempty"`   // milliseconds
	TotalMS       float64      `json:"total_ms,omitempty"`    // last file event to new code answering
	Goroutines    int          `json:"goroutines,omitempty"`  // for "retired": how many still run its code
	Code          string       `json:"code,omitempty"`        // HG0001 or an [Error] code
	Reason        string       `json:"reason,omitempty"`
	Evidence      []Evidence   `json:"evidence,omitempty"`
	Notes         []Finding    `json:"notes,omitempty"` // what is worth knowing about a change that was made
	Next          string       `json:"next,omitempty"`  // the command to run
	Diagnostics   []Diagnostic `json:"diagnostics,omitempty"`
	Undone        int          `json:"undone,omitempty"`  // for "rolled-back": the generation that was unhealthy
	Health        *Health      `json:"health,omitempty"`  // of its window
	Signer        string       `json:"signer,omitempty"`  // id of the trusted key that signed the artifact
	DryRun        bool         `json:"dry_run,omitempty"` // the host was only asked; nothing was loaded
	Caller        *Caller      `json:"caller,omitempty"`  // who asked, where that is known
}

// Phases splits an event's time. Every figure is in milliseconds; a phase that
// did not run is absent.
type Phases struct {
	Detect  float64 `json:"detect,omitempty"`
	Plan    float64 `json:"plan,omitempty"`
	Compile float64 `json:"compile,omitempty"`
	Link    float64 `json:"link,omitempty"`
	Verify  float64 `json:"verify,omitempty"`
	Load    float64 `json:"load,omitempty"`
	Health  float64 `json:"health,omitempty"` // HotStart and HotHealth
	Switch  float64 `json:"switch,omitempty"`
	Pause   float64 `json:"pause,omitempty"` // in which the process stood still, a part of switch or state
	State   float64 `json:"state,omitempty"` // carrying state over, waiting included
}

// Diagnostic is one message of the compiler about the user's own file.
type Diagnostic struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Col     int    `json:"col,omitempty"`
	Message string `json:"message"`
}

// Finding is an entry of the catalogue of edits that applies to a change.
type Finding struct {
	Code   string `json:"code"` // such as HG0031
	Symbol string `json:"symbol,omitempty"`
	Text   string `json:"text"` // one sentence
}

// Caller is who asked a host for something: the process behind a connection to
// the control socket, or whoever came over a router of the embedder's.
type Caller struct {
	UID int `json:"uid"` // -1 for who came over a router
	GID int `json:"gid"`
	PID int `json:"pid"`
	// Name is who the embedder says that it is, Remote the address that the request
	// came from; both over a router alone.
	Name   string `json:"name,omitempty"`
	Remote string `json:"remote,omitempty"`
}

// String gives "uid 1000 pid 812", or what is known of who came over a router.
func (c Caller) String() string {
	switch {
	case c.UID >= 0:
		return fmt.Sprintf("uid %d pid %d", c.UID, c.PID)
	case c.Name != "" && c.Remote != "":
		return c.Name + " at " + c.Remote
	case c.Name+c.Remote != "":
		return c.Name + c.Remote
	}
	return "somebody"
}
