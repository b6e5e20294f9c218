// Package artifact gives a built plugin its manifest, name and digest.
package artifact

import (
	"strings"
	"time"
)

// Section is the ELF section that holds the manifest, as JSON.
const Section = ".hotgo.manifest"

// Entry is the one function that an artifact of hotgo's exports:
// func(add func(name string, value any)). It calls add for every exported function
// of the user's plugin, and for every exported variable with a pointer to it.
const Entry = "HotgoSymbols"

// StateFunc names the function that lists the state of a package called name: the
// builder adds one to each private package. A main package has no exported function
// but Entry.
func StateFunc(name string) string {
	if name == "main" {
		return "hotgoState"
	}
	return "HotgoState"
}

// Generated reports whether a symbol is a function that the builder added. Nobody
// wrote it, and nobody wants to read of it.
func Generated(symbol string) bool {
	name := symbol[strings.LastIndexByte(symbol, '.')+1:]
	return name == Entry || name == StateFunc("") || name == StateFunc("main")
}

// Version is the value of [Manifest.V].
const Version = 1

// Manifest says what an artifact is and what it was built from. It explains;
// it proves nothing: a host checks the ELF file itself.
type Manifest struct {
	V          int               `json:"v"`
	Plugin     string            `json:"plugin"`
	Key        string            `json:"key"`     // 64 hex digits
	Payload    string            `json:"payload"` // "sha256:…" of the file before the manifest was added
	Package    string            `json:"package"` // the user's import path
	PluginPath string            `json:"plugin_path"`
	GoVersion  string            `json:"go_version"`
	GOOS       string            `json:"goos"`
	GOARCH     string            `json:"goarch"`
	Flags      map[string]string `json:"flags,omitempty"`
	Link       string            `json:"link"`                 // "full" or "thin"
	Reason     string            `json:"reason,omitempty"`     // why not thin
	HostBuild  string            `json:"host_build,omitempty"` // build ID of the only host that a thin one fits
	Joined     []string          `json:"joined,omitempty"`     // packages that a thin one brings, in part or whole: the host lacks them
	Private    map[string]string `json:"private,omitempty"`    // user's import path -> fresh one
	Packages   map[string]string `json:"packages,omitempty"`   // import path -> package hash, hex
	Symbols    []Symbol          `json:"symbols,omitempty"`
	Untyped    bool              `json:"untyped,omitempty"` // Symbols could not be read: hosts check after opening
	Sources    []Source          `json:"sources,omitempty"`
	Modules    map[string]string `json:"modules,omitempty"` // module path -> version
	Patch      *Patch            `json:"patch,omitempty"`   // of an artifact that replaces functions
	Builtin    *Builtin          `json:"builtin,omitempty"` // where the host was built with the plugin
	List       bool              `json:"list,omitempty"`    // it brings no code of the plugin: what Builtin says is all that is in it
	Tool       string            `json:"tool"`
	Built      time.Time         `json:"built"` // SOURCE_DATE_EPOCH, where set
	Foreign    bool              `json:"-"`     // made up for a file that has none; no file says it
}

// Symbol is an exported function or variable of the plugin.
type Symbol struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "func" or "var"
	Type string `json:"type"` // as package typename writes it, under the user's import paths
}

// Source is a file that the artifact was built from.
type Source struct {
	Path   string `json:"path"` // import path and file name
	SHA256 string `json:"sha256"`
}

// Builtin says what an artifact lists of the variables that the host's own code of
// the plugin has. The first generation goes on with their values.
type Builtin struct {
	Packages []string `json:"packages,omitempty"` // those with variables
	Own      []string `json:"own,omitempty"`      // in a list: all packages of the plugin that the host has
	Code     string   `json:"code,omitempty"`     // of the catalogue of edits
	Reason   string   `json:"reason,omitempty"`   // why there is no list; a clause
}
