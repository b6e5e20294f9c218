// Package abi reads from a Go binary what decides whether plugins fit it.
//
// The runtime checks a plugin only after the dynamic linker has mapped it, it
// names the first difference alone, and for some files it does not answer with
// an error but ends the process: a truncated file is a SIGBUS, a shared object
// without Go in it is a throw. What it refuses stays mapped and spoils later
// loads. So everything it would look at is read from the file beforehand:
// [Read] makes a [Fingerprint] of a binary, [Compare] holds an artifact's
// against the host's and against what the process has loaded so far
// ([Process]), and lists every [Mismatch]. [CheckLoadable] goes through the tables
// that the dynamic linker and the runtime would follow without looking.
//
// Package hashes judge, build info explains: equal hashes fit whatever the
// flags say, and -trimpath, for one, removes half of the flags from the build
// info. The few differences that kill without showing in a hash are checked by
// themselves (GOAMD64, the C library, initialisers that never returned).
//
// Nothing here has effects beyond reading the file it is given, and nothing
// depends on the machine it runs on: a Linux artifact can be judged anywhere.
// Files are taken to be hostile. A bad one gives an [Error], and costs memory
// and time in proportion to its size at most.
package abi

import "encoding/hex"

// Hash is the linker's fingerprint of one package's export data: its exported
// API, inlinable bodies, file paths and line numbers (cmd/internal/goobj
// FingerprintType, Go 1.26).
type Hash [8]byte

// String gives 16 hex digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Kind says what a Go binary is.
type Kind uint8

// The kinds of Go binaries.
const (
	Other      Kind = iota // a c-shared library, or a plugin that lacks what the runtime needs
	Executable             // a program
	Plugin                 // what plugin.Open accepts
)

// String gives the kind in words.
func (k Kind) String() string {
	switch k {
	case Executable:
		return "executable"
	case Plugin:
		return "plugin"
	}
	return "other"
}

// Module is one module of the build info.
type Module struct {
	Path    string
	Version string  // "(devel)" for one built from its source tree
	Sum     string  // "h1:…"; "" where the build info has none
	Replace *Module // what took its place, or nil
}

// String gives the version in the form people know from go.mod.
func (m Module) String() string {
	v := m.Version
	if v == "" {
		v = "(devel)"
	}
	if m.Replace == nil {
		return v
	}
	if m.Replace.Version == "" {
		return v + " => " + m.Replace.Path
	}
	return v + " => " + m.Replace.Path + " " + m.Replace.Version
}

// SymbolKind says what an exported name of a plugin stands for.
type SymbolKind uint8

// The kinds of symbols that plugin.Lookup can find.
const (
	Func SymbolKind = iota + 1
	Var
)

// String gives the Go keyword.
func (k SymbolKind) String() string {
	if k == Func {
		return "func"
	}
	return "var"
}

// Fingerprint is what a binary's file says about how it may be combined with
// others. It is a value that nothing changes after [Read] made it, and may be
// shared between goroutines.
type Fingerprint struct {
	Kind    Kind
	Class   string // "ELF64" or "ELF32", with ", big endian" where it is
	Machine string // as GOARCH names it, or "machine N"
	Interp  string // the dynamic linker that the file asks for; "" for plugins and static programs

	GoVersion string            // such as go1.26.8
	Package   string            // import path of the main package
	Main      Module            // the module that it is in
	Modules   []Module          // the other modules
	Settings  map[string]string // build settings: -race, -tags, GOAMD64, …
	BuildID   string            // Go's, with its slashes

	Packages   map[string]Hash       // import path -> hash, for every package that a plugin's is compared with
	Inits      map[string]uint64     // import path -> address in the file of its initialisation task
	PluginPath string                // identity of a plugin in a process, as an import path; "" for other kinds
	Symbols    map[string]SymbolKind // exported names of a plugin
	Exports    bool                  // an executable that can load plugins
	Needed     []string              // shared libraries that it asks for
	Versions   map[string][]string   // shared library -> symbol versions that it has to define, such as GLIBC_2.34, ascending

	notPlugin string  // why Kind is not Plugin, where the build mode says plugin
	load      segment // first loadable segment, to find the load address later
}

// RequirePlugin gives an [Error] with reason [NotPlugin] unless plugin.Open
// would take the file for a Go plugin.
func (f *Fingerprint) RequirePlugin() error {
	if f.Kind == Plugin {
		return nil
	}
	return fail(NotPlugin, "%s", f.kindDetail())
}

// kindDetail says in words what the file is instead of a plugin.
func (f *Fingerprint) kindDetail() string {
	if f.notPlugin != "" {
		return f.notPlugin
	}
	if mode := f.Settings["-buildmode"]; mode != "" {
		return "built with -buildmode=" + mode
	}
	return "no -buildmode=plugin in its build info"
}
