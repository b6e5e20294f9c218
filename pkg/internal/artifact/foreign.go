package artifact

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// foreignReason is why a foreign plugin is not thin.
const foreignReason = "not built by hotgo"

// Foreign makes up a manifest for a plugin that hotgo did not build, from what
// its file says; digest is that of the file. It has no name yet, see
// [Manifest.PluginFor]. What it was built from is not known, so its key is its
// digest: other bytes are another version.
//
// Errors: that it is no Go plugin, as an *[abi.Error]; [ErrDamaged] for an
// artifact of hotgo's that has lost its manifest.
func Foreign(fp *abi.Fingerprint, digest string) (Manifest, error) {
	if err := fp.RequirePlugin(); err != nil {
		return Manifest{}, err
	}
	if _, ours := fp.Symbols[Entry]; ours {
		return Manifest{}, fmt.Errorf("%w: it exports %s, as artifacts of hotgo's do, and has lost its manifest", ErrDamaged, Entry)
	}
	m := Manifest{
		V: Version, Foreign: true, Key: strings.TrimPrefix(digest, digestPrefix), Payload: digest,
		Package: fp.Package, PluginPath: fp.PluginPath, GoVersion: fp.GoVersion,
		GOOS: fp.Settings["GOOS"], GOARCH: fp.Machine, Link: "full", Reason: foreignReason, Untyped: true,
		Flags: maps.Clone(fp.Settings), Packages: map[string]string{}, Modules: map[string]string{},
	}
	for pkg, hash := range fp.Packages {
		m.Packages[pkg] = hash.String()
	}
	for _, mod := range fp.Modules {
		m.Modules[mod.Path] = mod.String()
	}
	for _, name := range slices.Sorted(maps.Keys(fp.Symbols)) {
		m.Symbols = append(m.Symbols, Symbol{Name: name, Kind: fp.Symbols[name].String()})
	}
	return m, nil
}

// SymbolNames lists what the plugin exports, in the order of the manifest.
func (m *Manifest) SymbolNames() []string {
	names := make([]string, len(m.Symbols))
	for i, s := range m.Symbols {
		names[i] = s.Name
	}
	return names
}

// unnamedPackage is what the go command calls a package that was given as a list
// of files (cmd/go/internal/load, Go 1.26): it says nothing about the plugin.
const unnamedPackage = "command-line-arguments"

// PluginFor decides which plugin of a host a foreign file is. bound has the
// symbols that the host binds, by plugin.
//
// It is the plugin that is called as the directory of the file's main package
// is, else the one plugin all of whose symbols the file exports.
//
// Errors: *[NameError], where none or several fit.
func (m *Manifest) PluginFor(bound map[string][]string) (string, error) {
	if base := path.Base(m.Package); m.Package != unnamedPackage {
		if _, ok := bound[base]; ok {
			return base, nil
		}
	}
	e := &NameError{Package: m.Package}
	exported := map[string]bool{}
	for _, s := range m.Symbols {
		exported[s.Name] = true
	}
	for _, plugin := range slices.Sorted(maps.Keys(bound)) {
		if len(bound[plugin]) == 0 {
			continue
		}
		c := Candidate{Plugin: plugin, Bound: slices.Compact(slices.Sorted(slices.Values(bound[plugin])))}
		for _, name := range c.Bound {
			if !exported[name] {
				c.Missing = append(c.Missing, name)
			}
		}
		e.Candidates = append(e.Candidates, c)
	}
	if fit := e.Fitting(); len(fit) == 1 {
		return fit[0], nil
	}
	return "", e
}

// NameError says that a foreign file does not tell which plugin of a host it is.
type NameError struct {
	Package    string      // of the file
	Candidates []Candidate // every plugin of which the host binds something, by name
}

// Candidate is a plugin of the host.
type Candidate struct {
	Plugin  string
	Bound   []string // symbols that the host binds, sorted
	Missing []string // of them, those that the file does not export
}

// Fitting lists the plugins of which the file exports everything: none, or several.
func (e *NameError) Fitting() []string {
	var fit []string
	for _, c := range e.Candidates {
		if len(c.Missing) == 0 {
			fit = append(fit, c.Plugin)
		}
	}
	return fit
}

// Error says how many fit.
func (e *NameError) Error() string {
	const file = "the file does not say which plugin it is: "
	switch fit := e.Fitting(); {
	case len(fit) > 0:
		return file + "it exports all that the host binds of " + strings.Join(fit, " and of ")
	case len(e.Candidates) == 0:
		return file + "the host binds nothing"
	case e.Package == unnamedPackage || e.Package == "":
		return file + "it exports all that the host binds of no plugin"
	}
	return file + fmt.Sprintf("the host has no plugin %s, and the file exports all that the host binds of no other", path.Base(e.Package))
}
