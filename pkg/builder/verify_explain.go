package builder

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Explain adds to a report what only sources and records tell: which files of a
// shared package are no longer what the host was built from, and which modules
// ask for the artifact's version of a dependency. What is not known stays empty:
// most of it is known only in the module that the artifact is from.
//
// It runs the go command, without the network, and belongs to one report at a
// time.
func (b *Builder) Explain(ctx context.Context, r *Report) {
	if r.host == nil || r.file == nil {
		return
	}
	built := b.baselineOf(r.host.BuildID)
	required := b.requirements(ctx, r)
	for i := range r.Mismatches {
		m := &r.Mismatches[i]
		switch {
		case m.Kind == MismatchPackage && built != nil:
			m.Files = built.changedOnDisk(m.What)
		case m.Kind == MismatchModule:
			m.RequiredBy = required[m.What+"@"+m.Artifact]
		}
	}
}

// changedOnDisk lists the files of a package that differ by a byte from those that
// the host was built from, for lines count in hashes, too. It is empty where the
// package or its directory are not known.
func (bl *baseline) changedOnDisk(pkg string) []string {
	was, ok := bl.Packages[pkg]
	if !ok || !isDir(was.Dir) {
		return nil
	}
	var changed []string
	for name, f := range was.Files {
		path := filepath.Join(was.Dir, name)
		data, err := os.ReadFile(path)
		if sum := sha256.Sum256(data); err != nil || hex.EncodeToString(sum[:]) != f.Raw {
			changed = append(changed, path)
		}
	}
	added, _ := filepath.Glob(filepath.Join(was.Dir, "*.go"))
	for _, path := range added {
		if _, known := was.Files[filepath.Base(path)]; !known && !strings.HasSuffix(path, "_test.go") {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	return changed
}

// requirements gives for "module@version" who requires just that, in the module
// graph here. It is empty where the artifact is from another module, where no
// module has two versions, and where the graph cannot be had.
func (b *Builder) requirements(ctx context.Context, r *Report) map[string][]string {
	if !slices.ContainsFunc(r.Mismatches, func(m Mismatch) bool { return m.Kind == MismatchModule }) {
		return nil
	}
	tool := b.tool.With("GOPROXY=off") // an explanation is not worth a download
	mods, err := tool.MainModules(ctx)
	if err != nil {
		return nil
	}
	for _, m := range mods {
		if m.Path != r.file.Main.Path {
			continue
		}
		edges, err := tool.ModuleGraph(ctx)
		if err != nil {
			return nil
		}
		required := map[string][]string{}
		for _, e := range edges {
			required[e.Required] = append(required[e.Required], e.By)
		}
		for _, by := range required {
			// Main modules, which have no version, come last: the go command has
			// them ask for whatever others have raised.
			slices.SortStableFunc(by, func(x, y string) int {
				return cmp.Compare(strings.Count(y, "@"), strings.Count(x, "@"))
			})
		}
		return required
	}
	return nil
}
