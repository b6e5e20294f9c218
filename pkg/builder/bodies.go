package builder

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/funcdiff"
	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/builder/internal/thin"
	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// # Two bodies of one function
//
// A plugin that was linked in full has its own copy of every package that it
// shares with the host. The runtime lets it in where the hashes of their export
// data agree, and those cover signatures, types and what may be inlined. The
// body of a function that is not inlined is in no hash. Where it differs, both
// bodies run from then on: the plugin's own calls reach its copy, calls through
// interfaces and everything in the host reach the host's, and all of them work on
// the host's variables.
//
// So the bodies are compared. The code of the two files cannot be held against
// each other, for plugins are compiled in another way (-dynlink). But what the host
// was built from is known, or can be checked: compiled the host's way it has to
// give the host's code, and compiled the plugin's way the artifact's.
// Functions are found by name, so those that files do not export are not compared:
// with Go 1.27 function literals are among them.

// CompareBodies adds to a report that fits the functions of the user's packages that
// the artifact has in another form than the host, which keeps it out. It compiles
// those packages, in a second or so each for the first time; where that cannot be
// done, as outside the host's module, the report gets a note with the reason.
//
// It runs the go command, and belongs to one report at a time.
//
// Errors: those of ctx.
func (b *Builder) CompareBodies(ctx context.Context, r *Report) error {
	if !r.hasCopies() {
		return nil
	}
	differ, _, err := b.sharedBodies(ctx, Host{Binary: r.Host.Binary}, r.Artifact.Path, r.file)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		r.Add(Mismatch{
			Kind: MismatchUnknown, Weight: Notes, What: "bodies of functions", Artifact: "bodies of shared functions were not compared", Limit: "hotgo",
			Cause: "no hash shows that a function which is not inlined has another body, and the sources do not tell here: " + reasonOf(err),
			Way:   "verify it where the host was built: hotgo run writes down what from",
		})
	}
	for _, m := range differ {
		r.Add(m)
	}
	return nil
}

// hasCopies reports whether an artifact that fits may have functions of the host's
// own module beside the host's. A thin one has none.
func (r *Report) hasCopies() bool {
	if !r.Fits() || r.host == nil || r.file == nil || r.Artifact.Manifest.Link == "thin" || r.host.Main.Path == "" {
		return false
	}
	for pkg := range r.file.Packages {
		_, shared := r.host.Packages[pkg]
		if shared && (pkg == r.host.Main.Path || strings.HasPrefix(pkg, r.host.Main.Path+"/")) {
			return true
		}
	}
	return false
}

// reasonOf gives what an error is about on one line: its evidence, if it has any.
func reasonOf(err error) string {
	if c, ok := errors.AsType[*ConflictError](err); ok && len(c.Evidence) > 0 {
		return c.Evidence[0].What + ": " + c.Evidence[0].Artifact
	}
	return firstLine(err.Error())
}

// sharedBodies finds the functions that differ. compared lists the packages that
// were looked into.
//
// Errors: *ConflictError where what the host was built from is not known exactly,
// or no source of it is at hand; those of the go command.
func (b *Builder) sharedBodies(ctx context.Context, host Host, artifact string, fp *abi.Fingerprint) (differ []Mismatch, compared []string, err error) {
	s, p, leave, err := b.patchScan(ctx, host, nil)
	if err != nil {
		return nil, nil, err
	}
	defer leave()
	for path := range fp.Packages {
		pkg := s.graph[path]
		if _, linked := s.target.fp.Packages[path]; !linked || pkg == nil || !source.Own(pkg) {
			continue
		}
		if _, known := s.baseline.Packages[path]; known {
			compared = append(compared, path)
		}
	}
	if slices.Sort(compared); len(compared) == 0 {
		return nil, nil, nil
	}
	image, err := thin.OpenImage(artifact)
	if err != nil {
		return nil, nil, err
	}
	defer image.Close()
	dir, cleanup, err := b.store.Temp(p.artifactName())
	if err != nil {
		return nil, nil, err
	}
	defer cleanup()
	c := &patchCompiler{dir: dir}
	base := s.hostBase(p)
	c.prepare(base, s.resident.epoch)
	j := &patchCompile{b: b, s: s, c: c, plan: p, base: base}
	if err := j.verify(ctx, compared); err != nil {
		return nil, nil, err
	}
	archives, err := j.asPlugin(ctx, compared)
	if err != nil {
		return nil, nil, err
	}
	types, ok := goobj.RelocTypes(toolchain(s.env.GOVERSION))
	if !ok {
		return nil, nil, fmt.Errorf("the object format of %s is not known", s.env.GOVERSION)
	}
	for _, path := range compared {
		objects, err := readObjects(archives[path])
		if err != nil {
			return nil, nil, err
		}
		for name := range notAsLinked(image, objects, types, constantOperands) {
			differ = append(differ, Mismatch{
				Kind: MismatchSource, What: funcdiff.Short(name), Host: "as built", Artifact: "another body", Rule: ruleShared,
				Limit: "a package that host and plugin share has one copy, the host's",
				Cause: "no hash shows it, and the runtime would let it in: the plugin's calls would run its own body, and everything else the host's",
				Way:   "build it from what the host was built from, or the host from the same sources",
			})
		}
	}
	return differ, compared, nil
}

// asPlugin has the go command compile the baseline of packages as plugins have
// them, and gives the archives by import path.
func (j *patchCompile) asPlugin(ctx context.Context, paths []string) (map[string]string, error) {
	set := j.s.settings
	overlay := filepath.Join(j.c.dir, baselineOverlay) // of verify
	args := append([]string{"-export", "-buildvcs=false", "-overlay=" + overlay}, set.flags...)
	for _, path := range paths {
		args = append(args, "-gcflags="+path+"="+gcflagsFor(set.gcflags)+" -dynlink", "-asmflags="+path+"="+gcflagsFor(set.asmflags)+" -dynlink")
	}
	exports, err := j.b.tool.With(set.env...).Exports(ctx, args, paths...)
	if err != nil {
		return nil, j.goError(err)
	}
	archives := map[string]string{}
	for _, e := range exports {
		archives[e.ImportPath] = e.File
	}
	return archives, nil
}
