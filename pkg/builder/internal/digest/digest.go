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
	"hash"
	"sort"
)

// layout is raised when the generated code or the manifest's meaning changes,
// so that artifacts of an older hotgo are not taken for current ones.
const layout = 1

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
	h := sha256.New()
	put(h, "layout", fmt.Sprint(layout))
	put(h, "plugin", in.Plugin, in.ImportPath, in.Link, in.Salt)
	putMap(h, "env", in.Env)
	put(h, "flags", in.Flags...)
	put(h, "profile", in.Profile)
	pkgs := append([]Package{}, in.Packages...)
	sort.Slice(pkgs, func(i, j int) bool { return pkgs[i].ImportPath < pkgs[j].ImportPath })
	for _, p := range pkgs {
		put(h, "package", p.ImportPath, string(p.Role), p.Dir, p.GoVersion, p.Module)
		files := append([]File{}, p.Files...)
		sort.Slice(files, func(i, j int) bool { return files[i].Name < files[j].Name })
		for _, f := range files {
			put(h, "file", f.Name, hex.EncodeToString(f.Hash[:]))
		}
	}
	putMap(h, "host", in.Host)
	return hex.EncodeToString(h.Sum(nil))
}

// put writes a record that no other sequence of records can imitate: every
// string carries its length.
func put(h hash.Hash, kind string, fields ...string) {
	fmt.Fprintf(h, "%s %d\n", kind, len(fields))
	for _, f := range fields {
		fmt.Fprintf(h, "%d:%s\n", len(f), f)
	}
}

func putMap(h hash.Hash, kind string, m map[string]string) {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		put(h, kind, k, m[k])
	}
}
