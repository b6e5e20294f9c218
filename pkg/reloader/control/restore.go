package control

import "time"

// Restore is what a host keeps so that its next process has the same code.
type Restore struct {
	// Off says why nothing is kept and nothing was restored, though there is a
	// directory; then the rest is absent.
	Off string `json:"off,omitempty"`
	// Error says why the last change is not written down: after a restart it is
	// not known.
	Error         string        `json:"error,omitempty"`
	Artifacts     int           `json:"artifacts"` // files that are kept
	Bytes         int64         `json:"bytes"`     // of these, and of the copies that are mapped
	BudgetBytes   int64         `json:"budget_bytes"`
	ConfirmAfterS float64       `json:"confirm_after_s"` // how long a generation has to be live to be proven, in seconds
	NotRestored   []NotRestored `json:"not_restored,omitempty"`
	Quarantined   []Quarantined `json:"quarantined,omitempty"`
}

// NotRestored is what was live in an earlier process and is not in this one. It is
// forgotten once something else of the plugin is loaded.
type NotRestored struct {
	Plugin string `json:"plugin"`
	Digest string `json:"digest"`
	Key    string `json:"key"`
	Code   string `json:"code"` // CodeOtherBuild, or why a load was refused
	Reason string `json:"reason"`
	Path   string `json:"path,omitempty"` // of the artifact on the host's disk, while it is kept
}

// Quarantined is an artifact that a host refuses until it is released: a process
// that had it ended before it had proved healthy.
type Quarantined struct {
	Plugin string    `json:"plugin"`
	Digest string    `json:"digest"`
	Key    string    `json:"key"`
	Reason string    `json:"reason"`
	Since  time.Time `json:"since"`
	Path   string    `json:"path,omitempty"` // of the artifact on the host's disk, while it is kept
}

// CodeOtherBuild as [NotRestored.Code]: it was live in another build of the host.
const CodeOtherBuild = "other-build"

// RuleQuarantined is the [Error.Rule] of a load that is refused because the artifact
// is quarantined.
const RuleQuarantined = "HG0110"
