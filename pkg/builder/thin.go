package builder

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/hotgo/hotgo/pkg/builder/internal/digest"
	"github.com/hotgo/hotgo/pkg/builder/internal/gotool"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// # Thin artifacts
//
// What package thin links has to be compiled first: the plugin's private
// packages, against the export data of the host's own build, so that nothing
// else is compiled. They are compiled under an identity that is always the same
// (thinElement), and get the one that the key asks for when they are linked.
// So a package whose files did not change is not compiled again for a new
// generation, neither by the go command, which has it in its cache, nor by the
// resident builder.

// thinElement is the path element of the identity under which packages of thin
// artifacts are compiled.
const thinElement = source.Prefix + "000000000000"

// linkMode decides how a plugin is linked; reason says why not thin.
func (b *Builder) linkMode(s *scan) (link, reason string) {
	fp := s.target.fp
	switch {
	case b.opts.Link == "full":
		return "full", "asked for"
	case fp == nil:
		return "full", "there is no binary of the host to link against"
	case b.opts.LDFlags != defaultLDFlags:
		return "full", "ldflags are set, which only a full link takes"
	}
	if reason := hostCannotThin(fp); reason != "" {
		return "full", reason
	}
	return "thin", ""
}

// hostCannotThin says what about a host's binary keeps artifacts for it from
// being linked thin, "" where nothing does.
func hostCannotThin(fp *abi.Fingerprint) string {
	if fp.BuildID == "" {
		return "the host has no build ID by which to know it"
	}
	if ok, reason := thin.Supported(toolchain(fp.GoVersion), fp.Settings["GOOS"], fp.Settings["GOARCH"]); !ok {
		return reason
	}
	for _, f := range []string{"-msan", "-asan"} {
		if fp.Settings[f] == "true" {
			return "the host was built with " + f
		}
	}
	return ""
}

// setLink makes the plan one for the given way of linking.
func (p *Plan) setLink(link, reason string) {
	p.Link, p.Reason = link, reason
	in := p.inputs
	in.Link = link
	if link == "thin" {
		// What was pruned from the host decides what the artifact contains.
		in.Host = map[string]string{"": p.host.BuildID}
		for path, hash := range p.inputs.Host {
			in.Host[path] = hash
		}
		if p.builtin != nil {
			in.Host["builtin "+builtinLayout] = p.builtin.hash + p.builtin.reason
		}
	}
	p.Key = digest.Key(in)
	p.id = source.NewIdentity(p.Key, p.Private)
	p.id.Trim = p.settings.trimpath
	p.PluginPath = p.id.Fresh(p.Plugin.ImportPath)
	if !p.Plugin.Command {
		p.PluginPath += "/main"
	}
}

// full gives the plan for a full link of the same sources.
func (p *Plan) full(reason string) *Plan {
	c := *p
	c.Cached = nil
	c.setLink("full", reason)
	return &c
}

// Plans that turned out not to be for thin artifacts are remembered by key, in
// the store too: another process need not find out again.

func unfitName(key string) string { return "full-" + key }

func (b *Builder) rememberUnfit(p *Plan, reason string) {
	b.mu.Lock()
	b.unfit[p.Key] = reason
	b.mu.Unlock()
	if err := b.store.Remember(unfitName(p.Key), []byte(reason)); err != nil {
		b.log.Warn("keep why an artifact is not thin", "err", err)
	}
}

func (b *Builder) recallUnfit(key string) (reason string, known bool) {
	b.mu.Lock()
	reason, known = b.unfit[key]
	b.mu.Unlock()
	if !known {
		if data, err := b.store.Recall(unfitName(key)); err == nil {
			return string(data), true
		}
	}
	return reason, known
}

// refuseFull is for those who insist on thin artifacts.
func (b *Builder) refuseFull(plugin, reason string) error {
	return &ConflictError{
		Message:  fmt.Sprintf("plugin %s cannot be linked thin", plugin),
		Evidence: []abi.Mismatch{{What: "link", Host: "thin", Artifact: reason, Rule: ruleThin}},
		Limit:    "this release of hotgo",
		Next:     "hotgo build --link auto",
	}
}

// ruleThin is the catalogue's code for what hotgo does not understand.
const ruleThin = "HG0099"

// thin compiles the private packages and links them against the host.
func (r *run) thin(ctx context.Context) error {
	builtin, err := r.thinWith(ctx)
	why, ok := errors.AsType[*unlisted](err)
	if !ok {
		return err
	}
	r.b.log.Debug("the variables of the built-in are not listed", "plugin", r.plan.Plugin.Name, "because", why.Reason)
	p := *r.plan
	p.builtin = p.builtin.without(why.Code, why.Reason)
	r.plan, r.listed = &p, nil
	if _, err = r.thinWith(ctx); err == nil && builtin != nil {
		builtin.keep(&builtinList{Why: why}) // it was the list
	}
	return err
}

// thinWith is thin with the list of the built-in that the plan has.
func (r *run) thinWith(ctx context.Context) (builtin *builtinCompile, err error) {
	p := r.plan
	start := time.Now()
	builtin, err = r.b.startBuiltin(p, r.dir)
	if err != nil {
		return builtin, err
	}
	r.listed = builtin.listed()
	var list *builtinList
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() { list, failed = builtin.finish(ctx) })
	compiled, err := r.b.compile(ctx, r)
	wg.Wait()
	if err := cmpErr(err, failed); err != nil {
		return builtin, err
	}
	r.compiled = time.Since(start)
	r.archive = compiled.files[r.b.thinIdentity(p).Fresh(p.Plugin.ImportPath)]
	start = time.Now()
	l, err := r.b.linker(p)
	if err != nil {
		return builtin, err
	}
	in := &thin.Input{
		Exports: compiled.exports, Old: thinElement, New: p.id.Element, PluginPath: p.PluginPath, Export: source.EntrySymbol,
		HostHas: func(path string) bool { _, ok := p.host.Packages[path]; return ok },
		ModInfo: modInfo(p.host, p.deps, p.Plugin.ImportPath, p.PluginPath), BuildID: p.Key, Dir: r.dir, Out: r.out,
		Compile: func(ctx context.Context, path string) (string, error) {
			return r.b.compileForHost(ctx, p.settings, path)
		},
	}
	for _, path := range compiled.order {
		in.Private = append(in.Private, thin.Package{Path: path, File: compiled.files[path]})
	}
	list.add(in, p.host)
	res, err := l.Link(ctx, in)
	if u, ok := errors.AsType[*thin.Unfit](err); ok && len(r.listed) > 0 {
		return builtin, &unlisted{Code: ruleThin, Reason: "the list of its variables cannot be linked: " + u.Reason}
	}
	if err != nil {
		return builtin, err
	}
	r.linked = time.Since(start)
	r.joined = res.Joined
	return builtin, nil
}

// hostLinker is the linker for a binary as it was when it was opened.
type hostLinker struct {
	*thin.Linker
	buildID string
}

// linker gives the linker for a plan's host.
func (b *Builder) linker(p *Plan) (*thin.Linker, error) {
	return b.linkerFor(p.Host.Binary, p.host, p.settings, p.env)
}

// linkerFor gives the linker for a binary, one for as long as it is the same.
func (b *Builder) linkerFor(binary string, host *abi.Fingerprint, st *settings, goEnv *gotool.Environment) (*thin.Linker, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.linkers[binary]; l != nil && l.buildID == host.BuildID {
		return l.Linker, nil
	}
	image, err := thin.OpenImage(binary)
	if err != nil {
		return nil, err
	}
	if id := image.BuildID(); id != host.BuildID {
		return nil, &ChangedError{File: binary}
	}
	l := thin.NewLinker(thin.Config{
		Image: image, GoVersion: toolchain(goEnv.GOVERSION), Env: b.tool.With(st.env...).Env, CC: strings.Fields(goEnv.CC), Race: st.race,
		ToolDir: filepath.Join(goEnv.GOROOT, "pkg", "tool", goEnv.GOOS+"_"+goEnv.GOARCH),
	})
	b.linkers[binary] = &hostLinker{Linker: l, buildID: host.BuildID}
	return l, nil
}

func (b *Builder) thinIdentity(p *Plan) source.Identity {
	id := p.id
	id.Element = thinElement
	return id
}

// compiledPackages is the private packages, compiled.
type compiledPackages struct {
	order   []string          // import paths under the constant identity, dependencies first
	files   map[string]string // by such path
	exports map[string]string // by import path: archives of the host's build
}

// askGo has the go command compile the private packages, whose files it lays
// out in dir. With a compiler it also records how.
func (r *run) askGo(ctx context.Context, dir string, record *compiler) (*compiledPackages, error) {
	p := r.plan
	id := r.b.thinIdentity(p)
	main := id.Fresh(p.Plugin.ImportPath)
	if !p.Plugin.Command {
		main += "/main"
	}
	tree, err := r.tree(dir, id)
	if err != nil {
		return nil, err
	}
	overlay, err := tree.Overlay()
	if err != nil {
		return nil, err
	}
	args := []string{"-export", "-deps", "-overlay=" + overlay, "-buildvcs=false"}
	args = append(args, p.settings.flags...)
	own := map[string]bool{main: true}
	for _, u := range p.private {
		own[id.Fresh(u.Package.ImportPath)] = true
	}
	env := []string{"GOTMPDIR=" + r.dir}
	fresh := ""
	if record != nil {
		script := filepath.Join(record.dir, "record.sh")
		if err := os.WriteFile(script, []byte(recorder), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "-work", `-toolexec=/bin/sh "`+script+`"`)
		env = []string{"GOTMPDIR=" + filepath.Join(record.dir, workDir), "HOTGO_RECORD=" + filepath.Join(record.dir, recordDir)}
		// Of a package in its cache the go command would not say how it is
		// compiled. This flag means nothing without relative imports, and
		// with a new value it is in no cache.
		fresh = " -D=" + unique()
	}
	for _, path := range slices.Sorted(maps.Keys(own)) {
		flags := forThin(p.settings.gcflags)
		if path == main {
			// The go command calls every main package "main".
			flags += " -p=" + main
		}
		if t := r.trimRoot(id, path); t != "" {
			flags += " " + t
		}
		if t := r.trimNested(tree, path); t != "" {
			flags += " " + t
		}
		args = append(args, "-gcflags="+path+"="+flags+fresh, "-asmflags="+path+"="+forThin(p.settings.asmflags))
	}
	modArgs, modEnv, err := r.nestedModules(tree.Nested)
	if err != nil {
		return nil, err
	}
	args = append(args, modArgs...)
	exports, err := r.b.tool.With(p.settings.env...).With(modEnv...).With(env...).Exports(ctx, args, main)
	if err != nil {
		return nil, r.compileError(err)
	}
	c := &compiledPackages{files: map[string]string{}, exports: map[string]string{}}
	for _, e := range exports {
		if own[e.ImportPath] {
			c.order = append(c.order, e.ImportPath)
			c.files[e.ImportPath] = e.File
			continue
		}
		c.exports[e.ImportPath] = e.File
	}
	return c, nil
}

// forThin gives the flags of the compiler or assembler for a package that is
// linked thin, from the host's own.
func forThin(hostFlags string) string {
	return strings.TrimSpace(gcflagsFor(hostFlags) + " -dynlink -linkshared")
}

// compileForHost compiles a package that the host lacks in part or as a whole,
// as the host would have had it.
func (b *Builder) compileForHost(ctx context.Context, st *settings, path string) (string, error) {
	args := append([]string{"-export", "-buildvcs=false"}, st.flags...)
	args = append(args,
		"-gcflags="+path+"="+forThin(st.gcflags),
		"-asmflags="+path+"="+forThin(st.asmflags),
	)
	exports, err := b.tool.With(st.env...).Exports(ctx, args, path)
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err != nil {
		return "", &thin.Unfit{Reason: "package " + path + " cannot be compiled for it", Err: err}
	}
	for _, e := range exports {
		if e.ImportPath == path {
			return e.File, nil
		}
	}
	return "", &thin.Unfit{Reason: "the go command did not list package " + path}
}

// compileError makes what the go command said about the sources a *BuildError.
func (r *run) compileError(err error) error {
	var exit *gotool.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	return r.buildError(&gotool.Output{Other: exit.Stderr}, err)
}

// trimRoot gives the compiler's flag that takes source.TrimRoot off file names.
func (r *run) trimRoot(id source.Identity, path string) string {
	if !r.plan.settings.trimpath {
		return ""
	}
	for _, u := range r.plan.private {
		if id.Fresh(u.Package.ImportPath) == path && len(u.Package.Foreign()) == 0 {
			return "-trimpath=" + source.TrimRoot + "=>"
		}
	}
	return ""
}

// trimNested gives the compiler's flag that takes the scratch directory of a
// package with assembly off file names: they are part of the export data, and so
// of the package's hash. With cgo the go command has rules of its own, and the
// hash changes with the directory.
func (r *run) trimNested(tree *source.Tree, path string) string {
	if r.plan.settings.trimpath {
		return ""
	}
	for _, n := range tree.Nested {
		for _, u := range r.plan.private {
			if n.Path == path && strings.HasPrefix(path, u.Package.ImportPath+"/") && len(u.Package.CgoFiles) == 0 {
				return "-trimpath=" + n.Dir + "=>"
			}
		}
	}
	return ""
}

// modInfo is the build information that the go command would have put into the
// artifact, in the linker's form (cmd/go/internal/modload/build.go, Go 1.26 and
// 1.27: ModInfoData): debug/buildinfo finds it by the 16 bytes on either side.
func modInfo(host *abi.Fingerprint, graph source.Graph, root, pluginPath string) string {
	info := debug.BuildInfo{Path: pluginPath, Main: debug.Module{Path: host.Main.Path, Version: host.Main.Version}}
	deps := map[string]*debug.Module{}
	for path := range graph.Reach(root, nil) {
		m := graph[path].Module
		if graph[path].Standard || m == nil || m.Main {
			continue
		}
		d := &debug.Module{Path: m.Path, Version: m.Version, Sum: m.Sum}
		if m.Replace != nil {
			d.Sum = ""
			d.Replace = &debug.Module{Path: m.Replace.Path, Version: m.Replace.Version, Sum: m.Replace.Sum}
		}
		deps[m.Path] = d
	}
	for _, d := range deps {
		info.Deps = append(info.Deps, d)
	}
	sort.Slice(info.Deps, func(i, j int) bool { return info.Deps[i].Path < info.Deps[j].Path })
	for key, v := range host.Settings {
		if !strings.HasPrefix(key, "vcs") && key != "-ldflags" {
			info.Settings = append(info.Settings, debug.BuildSetting{Key: key, Value: v})
		}
	}
	sort.Slice(info.Settings, func(i, j int) bool { return info.Settings[i].Key < info.Settings[j].Key })
	for i := range info.Settings {
		if info.Settings[i].Key == "-buildmode" {
			info.Settings[i].Value = "plugin"
		}
	}
	start, _ := hex.DecodeString("3077af0c9274080241e1c107e6d618e6")
	end, _ := hex.DecodeString("f932433186182072008242104116d8f2")
	return string(start) + info.String() + string(end)
}
