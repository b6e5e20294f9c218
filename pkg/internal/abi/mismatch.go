package abi

// Mismatch is one difference between a host and an artifact, or another thing
// that is worth knowing before the one loads the other.
type Mismatch struct {
	What     string // a package's import path, a flag, "go version", …
	Host     string
	Artifact string

	Kind   MismatchKind
	Weight Weight
	Rule   string // code of the catalogue of refused edits, such as HG0091; "" where it has none
	Limit  string // who set the limit
	Cause  string // one sentence on why it is so, as far as can be told; may be ""
	Way    string // what to do about it, a sentence or a command; may be ""

	// Files are source files that differ from those that the host was built
	// from, absolute and sorted, and RequiredBy the modules that ask for the
	// artifact's version of a module. The two files do not tell: whoever has the
	// sources at hand fills them in.
	Files      []string
	RequiredBy []string

	prepare string // command that comes before building the artifact again; may be ""
}

// Weight says what a mismatch does to a load.
type Weight uint8

// The weights.
const (
	Refuses Weight = iota // it keeps the artifact out
	Warns                 // the artifact loads, and something may go wrong
	Notes                 // nothing goes wrong
)

// String gives the weight in a word.
func (w Weight) String() string {
	switch w {
	case Warns:
		return "warning"
	case Notes:
		return "note"
	}
	return "refused"
}

// MismatchKind groups mismatches by what they are about.
type MismatchKind uint8

// The kinds of mismatches, in the order in which they are listed: what is at the
// bottom first.
const (
	MismatchFile     MismatchKind = iota + 1 // the artifact is damaged, or not a plugin
	MismatchPlatform                         // machine, class, C library, processor level
	MismatchGo                               // Go release
	MismatchHost                             // the host cannot load plugins at all
	MismatchBuild                            // it was made for another build of the host
	MismatchFlag                             // a build setting
	MismatchModule                           // version of a module whose packages differ
	MismatchPackage                          // hash of a package
	MismatchSource                           // source of a shared package that no hash shows
	MismatchPath                             // file or plugin path are in the process already
	MismatchPoisoned                         // a package's initialisation never ended
	MismatchSymbol                           // what the host binds is missing, or of another type
	MismatchRelease                          // a fault of the Go release
	MismatchOrigin                           // who built the artifact
	MismatchAnswer                           // what a host said when it was asked
	MismatchUnknown                          // what could not be looked at
)

var kindNames = [...]string{
	MismatchFile: "file", MismatchPlatform: "platform", MismatchGo: "go", MismatchHost: "host", MismatchBuild: "build",
	MismatchFlag: "flag", MismatchModule: "module", MismatchPackage: "package", MismatchSource: "source",
	MismatchPath: "path", MismatchPoisoned: "poisoned", MismatchSymbol: "symbol", MismatchRelease: "release",
	MismatchOrigin: "origin", MismatchAnswer: "answer", MismatchUnknown: "unknown",
}

// String gives the kind in a word.
func (k MismatchKind) String() string {
	if int(k) < len(kindNames) && kindNames[k] != "" {
		return kindNames[k]
	}
	return kindNames[MismatchUnknown]
}

// Who sets a limit.
const (
	limitLoader  = "the dynamic linker"
	limitRuntime = "the Go runtime"
	limitCPU     = "the processor"
	limitThin    = "hotgo: a thin artifact fits the one binary that it was linked against"
)
