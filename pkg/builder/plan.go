package builder

import (
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/digest"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// Plan is what building one plugin will do. It is a value: nothing has been
// compiled yet.
type Plan struct {
	Plugin     Plugin
	Host       Host
	Key        string    // 64 hex digits
	PluginPath string    // import path of the artifact's main package
	Link       string    // "full" or "thin"
	Reason     string    // why not thin, where it is not
	Private    []string  // import paths that get a fresh identity
	Shared     []string  // the user's packages that plugin and host share
	Flags      []string  // of the go command, such as -trimpath=true
	Cached     *Artifact // the store's artifact with this key, or nil
	Builtin    bool      // the host was built from this very code: generation 0 is it already

	workDir  string // the builder's, for paths in texts
	id       source.Identity
	private  []*source.Unit
	read     []*source.Unit    // every package whose files were read for the key
	reworded map[string][]byte // file of a shared package -> text that the host was built from
	inputs   digest.Inputs     // of the key, without the way of linking
	settings *settings
	env      *gotool.Environment
	host     *abi.Fingerprint
	builtin  *builtin     // nil where the host was not built with the plugin
	deps     source.Graph // all packages of plugin and host
	epoch    uint64       // of deps: it grows whenever the go command was asked
}

// ruleShared is the catalogue's code for a package that plugin and host share
// and that is no longer what the host was built from.
const ruleShared = "HG0090"

// plan works out one plugin from what the snapshot read.
func (s *scan) plan(ctx context.Context, plugin Plugin) (*Plan, error) {
	closure := s.closure(plugin.ImportPath)
	if err := s.loadErrors(plugin.Name, closure); err != nil {
		return nil, err
	}
	if err := s.moduleVersions(plugin.ImportPath); err != nil {
		return nil, err
	}
	p := &Plan{
		Plugin: plugin, Host: s.target.host,
		Flags: s.settings.flags, settings: s.settings, env: s.env, host: s.target.fp, reworded: map[string][]byte{},
		deps: s.graph, epoch: s.resident.epoch, workDir: s.b.opts.WorkDir,
	}
	if s.settings.pgoBroken != "" {
		return nil, &ConflictError{
			Message:  "the host was built with a profile that cannot be found",
			Evidence: []abi.Mismatch{{What: "-pgo", Host: s.settings.pgoBroken, Artifact: "no such file", Rule: ruleFlags}},
			Limit:    "the Go runtime: plugin and host must be built with the same profile",
			Next:     "put the profile back, or build the host with -pgo=off",
		}
	}
	p.Private, p.Shared = s.split(plugin.ImportPath)
	in := digest.Inputs{
		Plugin: plugin.Name, ImportPath: plugin.ImportPath, Salt: s.b.opts.Salt,
		Flags: append(append([]string{}, s.settings.flags...), "-ldflags="+s.b.opts.LDFlags),
		Env:   s.keyEnv(ctx),
	}
	if err := s.profile(&in); err != nil {
		return nil, err
	}
	for _, path := range p.Private {
		u, err := s.unit(path)
		if err != nil {
			return nil, err
		}
		p.private = append(p.private, u)
		p.read = append(p.read, u)
		in.Packages = append(in.Packages, u.Digest(digest.Private, !s.settings.trimpath))
	}
	if err := s.shared(p, &in); err != nil {
		return nil, err
	}
	if err := s.others(p, &in, closure); err != nil {
		return nil, err
	}
	p.inputs = in
	var err error
	if p.builtin, err = s.builtinCode(p); err != nil {
		return nil, err
	}
	link, reason := s.b.linkMode(s)
	if p.setLink(link, reason); link == "thin" {
		if reason, known := s.b.recallUnfit(p.Key); known {
			p.setLink("full", reason)
		}
	}
	if p.Link == "full" && s.b.opts.Link == "thin" {
		return nil, s.b.refuseFull(plugin.Name, p.Reason)
	}
	p.Builtin = s.builtin(p)
	p.Cached, err = s.b.stored(p.Plugin.Name, p.Key)
	return p, err
}

// builtin reports whether the host's built-in is what the plan would build.
func (s *scan) builtin(p *Plan) bool {
	if s.baseline == nil || s.baseline.Assumed || s.target.fp == nil {
		return false
	}
	for _, u := range p.private {
		path := u.Package.ImportPath
		_, linked := s.target.fp.Packages[path]
		_, known := s.baseline.Packages[path]
		if files, _ := s.changedFiles(u); !linked || !known || len(files) > 0 {
			return false
		}
	}
	return true
}

// shared adds the user's packages that the host has. They must be what the
// host was built from.
func (s *scan) shared(p *Plan, in *digest.Inputs) error {
	var changed []abi.Mismatch
	for _, path := range p.Shared {
		u, err := s.unit(path)
		if err != nil {
			return err
		}
		p.read = append(p.read, u)
		if s.baseline != nil && s.baseline.Packages[path].Files != nil {
			files, reworded := s.changedFiles(u)
			for _, f := range files {
				changed = append(changed, abi.Mismatch{What: path, Host: "as built", Artifact: s.short(f) + " changed", Rule: ruleShared})
			}
			if reworded && len(files) == 0 {
				u = s.asBuilt(p, u)
			}
		}
		in.Packages = append(in.Packages, u.Digest(digest.Shared, false))
	}
	if changed == nil {
		return nil
	}
	return &ConflictError{
		Message:  fmt.Sprintf("plugin %s uses a package that changed in the host", p.Plugin.Name),
		Evidence: changed,
		Limit:    "a package that host and plugin share has one copy, the host's",
		Next:     "restart the host with the new code: hotgo run " + s.host,
	}
}

// asBuilt swaps the text of a shared package, of which only comments or
// formatting changed, for the text that the host was built from.
func (s *scan) asBuilt(p *Plan, u *source.Unit) *source.Unit {
	was := s.baseline.Packages[u.Package.ImportPath].Files
	c := u.With(slices.Clone(u.Files))
	for i, f := range c.Files {
		raw, err := hex.DecodeString(was[f.Name].Raw)
		if err != nil || len(raw) != len(f.Raw) || [32]byte(raw) == f.Raw {
			continue
		}
		c.Files[i].Raw = [32]byte(raw)
		p.reworded[f.Path] = was[f.Name].Text
	}
	return c
}

// others adds what is neither private nor shared: vendored packages by their
// files, the rest by module version. Standard packages go by the Go version.
func (s *scan) others(p *Plan, in *digest.Inputs, closure map[string]bool) error {
	var rest []string
	in.Host, rest = s.outside(p.Plugin.ImportPath, p.Private, closure)
	for _, path := range rest {
		pkg := s.graph[path]
		if pkg.Dir == "" || !strings.HasPrefix(pkg.Dir, s.env.GOMODCACHE+string(filepath.Separator)) {
			u, err := s.unit(path)
			if err != nil {
				return err
			}
			p.read = append(p.read, u)
			in.Packages = append(in.Packages, u.Digest(digest.Shared, false))
			continue
		}
		m := effective(pkg.Module)
		in.Packages = append(in.Packages, digest.Package{
			ImportPath: path, Role: digest.Module, GoVersion: m.GoVersion, Module: m.Path + "@" + m.Version + " " + m.Sum,
		})
	}
	return nil
}

func effective(m *gotool.Module) *gotool.Module {
	if m.Replace != nil {
		return m.Replace
	}
	return m
}

// keyEnv is the part of the environment that decides what is built. The host's
// settings are laid over it as the go command will see them.
func (s *scan) keyEnv(ctx context.Context) map[string]string {
	env := map[string]string{"GOFLAGS": s.env.GOFLAGS}
	for _, k := range gotool.Deciding() {
		env[k] = s.env.All[k]
	}
	for _, kv := range s.settings.env {
		k, v, _ := strings.Cut(kv, "=")
		env[k] = v
	}
	env["compiler"] = s.b.compiler(ctx, env["CC"])
	return env
}

func (s *scan) profile(in *digest.Inputs) error {
	if s.settings.profile == "" {
		return nil
	}
	sum, err := s.b.profile(s.settings.profile)
	if err != nil {
		return err
	}
	in.Profile = sum
	return nil
}

// loadErrors reports what the go command found wrong with the packages of a
// closure, at the user's own files.
func (s *scan) loadErrors(what string, closure map[string]bool) error {
	if !s.hasErrors() {
		return nil
	}
	paths := slices.Sorted(maps.Keys(closure))
	e := &BuildError{Plugin: what}
	var text []string
	for _, path := range paths {
		pe := s.graph[path].Error
		if pe == nil {
			continue
		}
		msg := strings.TrimSpace(pe.Err)
		if d, ok := diagnosticAt(s.b.opts.WorkDir, pe.Pos, msg); ok {
			e.Diagnostics = append(e.Diagnostics, d)
		}
		if pe.Pos != "" {
			msg = pe.Pos + ": " + msg
		}
		text = append(text, msg)
	}
	if text == nil {
		return nil
	}
	e.Output = strings.Join(text, "\n")
	return e
}

// moduleVersions refuses a dependency that the host has in another version:
// where the runtime's package hashes do not show it, two versions of the same
// function would run side by side.
func (s *scan) moduleVersions(plugin string) error {
	if s.target.fp == nil {
		return nil
	}
	diff := s.otherVersions(plugin, s.closure(plugin))
	if diff == nil {
		return nil
	}
	return &ConflictError{
		Message:  "the host was built with other versions of modules that the plugin uses",
		Evidence: diff,
		Limit:    "the Go runtime: a package is in a process once",
		Next:     "restart the host with the new versions: hotgo run " + s.host,
	}
}

// differingModules compares the modules of the given packages with those in
// the host's build info.
func (s *scan) differingModules(packages map[string]bool) []abi.Mismatch {
	inHost := map[string]abi.Module{}
	for _, m := range s.target.fp.Modules {
		inHost[m.Path] = m
	}
	found := map[string]abi.Mismatch{}
	for path := range packages {
		pkg := s.graph[path]
		if pkg == nil || pkg.Standard || pkg.Module == nil || source.Own(pkg) {
			continue
		}
		if _, ok := s.target.fp.Packages[path]; !ok {
			continue
		}
		was, ok := inHost[pkg.Module.Path]
		if !ok {
			continue
		}
		if was.Replace != nil {
			was = *was.Replace
		}
		now := effective(pkg.Module)
		if was.Path != now.Path || was.Version != now.Version {
			found[pkg.Module.Path] = abi.Mismatch{
				What: pkg.Module.Path, Host: version(pkg.Module.Path, was.Path, was.Version),
				Artifact: version(pkg.Module.Path, now.Path, now.Version), Rule: ruleFlags,
			}
		}
	}
	if len(found) == 0 {
		return nil
	}
	diff := slices.Collect(maps.Values(found))
	sort.Slice(diff, func(i, j int) bool { return diff[i].What < diff[j].What })
	return diff
}

func version(module, path, v string) string {
	if path != module {
		return path + " " + v
	}
	return v
}

// short makes a path relative to the working directory where that is shorter.
func (s *scan) short(path string) string {
	if rel, err := filepath.Rel(s.b.opts.WorkDir, path); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return path
}
