// Package digest turns the inputs of a build into a key. It is pure: what
// reads files and asks the toolchain lies elsewhere.
//
// # What is in the key
//
//   - the layout version below: what hotgo itself generates around the sources
//   - plugin name and import path
//   - go version, GOOS, GOARCH, GOAMD64 and its like, GOEXPERIMENT, GOFIPS140,
//     CGO_ENABLED, the C compiler with its version and every CGO_ flag
//   - every flag handed to the go command; the bytes of the -pgo profile
//   - private packages (those that get a fresh identity): Go files by their
//     tokens, everything else (embedded, C, assembly, headers, syso) by bytes
//   - the directory of private packages, unless -trimpath keeps it out of the
//     artifact
//   - packages of the user's modules that are shared with the host, and
//     vendored ones: bytes of every file
//   - other packages: module path, version and go.sum hash
//   - the Go language version of each module
//   - of the host: the package hashes that the artifact has to match
//   - the salt, which callers use to get a new identity for the same sources
//
// # What is out, and why
//
//   - comments and formatting of private Go files: they change line numbers
//     and nothing else, and an edit of them must not load anything. The price:
//     until the next edit of code, traces show the lines as they were built.
//     In shared packages they stay in, because line numbers are part of the
//     package hash that the runtime compares.
//   - test files, files that build constraints exclude
//   - the host's own packages that no plugin imports, and its build id: a host
//     that was rebuilt with other handlers takes the same artifacts
//   - VCS state, time, user, working directory, GOCACHE, GOPROXY, GOROOT's place
//   - hotgo's version: the layout version changes when the output would
package digest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// layout is raised when the generated code or the manifest's meaning changes,
// so that artifacts of an older hotgo are not taken for current ones.
const layout = 5

// Inputs is everything that decides an artifact.
type Inputs struct {
	Plugin     string            // name
	ImportPath string            // the user's
	Link       string            // "full" or "thin"
	Env        map[string]string // what the toolchain reports: go env, C compiler version
	Flags      []string          // of the go command, in order
	Profile    string            // sha256 of the -pgo profile, or ""
	Packages   []Package
	Host       map[string]string // import path -> package hash in the host
	Salt       string
}

// Role says how a package takes part in an artifact.
type Role string

// The roles of a package.
const (
	Private Role = "private" // gets a fresh identity
	Shared  Role = "shared"  // the user's, and the host has it
	Module  Role = "module"  // from the module cache: version and sum stand for its files
)

// Package is one package of the plugin's closure. Standard packages are left
// out: the Go version stands for them.
type Package struct {
	ImportPath string
	Role       Role
	Dir        string // of private packages when paths get into the artifact, else ""
	GoVersion  string // language version of its module
	Module     string // path@version and sum, for Role Module
	Files      []File

	sealed []byte // what Seal worked out, or nil
}

// Seal gives p with its part of the key worked out, for packages that go into
// many keys. Later changes of p's fields have no effect on the key.
func (p Package) Seal() Package {
	p.sealed = p.records(nil)
	return p
}

// records appends the package's part of a key. Order of files does not matter.
func (p Package) records(b []byte) []byte {
	if p.sealed != nil {
		return append(b, p.sealed...)
	}
	b = record(b, "package", p.ImportPath, string(p.Role), p.Dir, p.GoVersion, p.Module)
	files := slices.SortedFunc(slices.Values(p.Files), func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	for _, f := range files {
		b = record(b, "file", f.Name, hex.EncodeToString(f.Hash[:]))
	}
	return b
}

// File is one source file: its name in the package's directory and a hash of
// what matters in it.
type File struct {
	Name string
	Hash [32]byte
}

// Key hashes the inputs: 64 hex digits. Order of packages and files does not
// matter.
func Key(in Inputs) string {
	var b []byte
	b = record(b, "layout", fmt.Sprint(layout))
	b = record(b, "plugin", in.Plugin, in.ImportPath, in.Link, in.Salt)
	b = mapRecords(b, "env", in.Env)
	b = record(b, "flags", in.Flags...)
	b = record(b, "profile", in.Profile)
	order := make([]int, len(in.Packages))
	size := 0
	for i := range order {
		order[i] = i
		size += len(in.Packages[i].sealed)
	}
	slices.SortFunc(order, func(i, j int) int { return strings.Compare(in.Packages[i].ImportPath, in.Packages[j].ImportPath) })
	b = slices.Grow(b, size)
	for _, i := range order {
		b = in.Packages[i].records(b)
	}
	b = mapRecords(b, "host", in.Host)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// record appends a record that no other sequence of records can imitate: every
// string carries its length.
func record(b []byte, kind string, fields ...string) []byte {
	b = append(append(b, kind...), ' ')
	b = append(strconv.AppendInt(b, int64(len(fields)), 10), '\n')
	for _, f := range fields {
		b = append(strconv.AppendInt(b, int64(len(f)), 10), ':')
		b = append(append(b, f...), '\n')
	}
	return b
}

func mapRecords(b []byte, kind string, m map[string]string) []byte {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = record(b, kind, k, m[k])
	}
	return b
}
