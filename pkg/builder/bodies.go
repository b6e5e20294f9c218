package builder

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

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

// sharedBodies finds the functions of the user's packages that an artifact has in
// another form than the host. compared lists the packages that were looked into.
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
				What: funcdiff.Short(name), Host: "as built", Artifact: "another body",
				Kind: abi.MismatchPackage, Rule: ruleShared,
				Limit: "a package that host and plugin share has one copy, the host's",
				Hint:  "no hash shows it: the plugin's calls would run its own body, and everything else the host's",
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
