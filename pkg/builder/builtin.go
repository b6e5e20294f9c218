package builder

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// # The built-in is generation 0
//
// The packages of a plugin that a host was built with have variables, whose values
// the first generation is to go on with. A generation lists its variables itself
// (source/state.go). The built-in does not: nobody compiled it for that, and the
// host may lack a descriptor for the type of a pointer to a variable. So every
// thin artifact brings the list of its host's built-in: the baseline of the
// packages, compiled once more under their own import paths with the generated file
// added, as the packages of a patch are. Of that only the list and the descriptors
// that the host lacks get into the artifact; what they refer to is the host's, by
// name (thin/list.go).
//
// A list of other sources than those the host was built from would have the host
// read its variables as what they are not. So the baseline is held against the
// binary first, as for patches. Where that fails, or nothing of the kind is
// possible, the artifact has no list and says why in its manifest.

// builtinLayout is part of the keys of artifacts that have a list: a release of hotgo
// that lists something else raises it.
const builtinLayout = "1"

// builtin is what a plan knows of the code of its plugin in the host.
type builtin struct {
	packages []builtinPackage // private packages that the host has, sorted by path
	// before are the files that are not what the host was built from, with their
	// text as it was; nil where there was none.
	before map[string][]byte
	read   []*source.Unit // the packages that these were found in, or not
	hash   string         // of all that the list follows from, beside the host
	// code and reason say why there is no list. packages are the same then.
	code, reason string
}

// builtinPackage is a private package as the host was built with it.
type builtinPackage struct {
	path, dir string
	files     []goSource
}

// lists reports whether the plan's artifact is to have the list.
func (bi *builtin) lists() bool { return bi != nil && bi.reason == "" }

// without gives the same with a reason why there is no list.
func (bi *builtin) without(code, reason string) *builtin {
	c := *bi
	c.code, c.reason = code, reason
	return &c
}

// builtinState says in the manifest what the artifact lists of its host.
func (r *run) builtinState() *artifact.Builtin {
	bi := r.plan.builtin
	switch {
	case bi == nil:
		return nil
	case bi.reason != "":
		return &artifact.Builtin{Code: bi.code, Reason: bi.reason}
	case r.plan.Link != "thin":
		return &artifact.Builtin{Code: ruleThin, Reason: "the artifact is linked in full"}
	}
	return &artifact.Builtin{Packages: r.listed}
}

// listSymbols names the functions that list packages, as the linker spells them.
func listSymbols(listed []string) []string {
	var names []string
	for _, path := range listed {
		names = append(names, listSymbol(path))
	}
	return names
}

func listSymbol(path string) string { return symname.Escape(path) + "." + artifact.StateFunc("") }

// builtinCode finds what the host has of a plan's plugin, nil where it was not built
// with it.
func (s *scan) builtinCode(p *Plan) (bi *builtin, err error) {
	if p.host == nil {
		return nil, nil
	}
	if _, linked := p.host.Packages[p.Plugin.ImportPath]; !linked {
		return nil, nil
	}
	bi = new(builtin)
	h := sha256.New()
	for _, path := range slices.Sorted(slices.Values(p.Private)) {
		if _, linked := p.host.Packages[path]; !linked {
			continue
		}
		if s.baseline == nil || s.baseline.Packages[path].Files == nil {
			return bi.without(ruleDrift, "what the host was built from is not known"), nil
		}
		was := s.baseline.Packages[path]
		fmt.Fprintf(h, "%q %q\n", path, was.Dir)
		for _, name := range slices.Sorted(maps.Keys(was.Files)) {
			fmt.Fprintf(h, "%q %s\n", name, was.Files[name].Tokens)
		}
		bi.packages = append(bi.packages, builtinPackage{path: path, dir: was.Dir, files: s.baseline.goFiles(path, s.graph[path].EmbedFiles)})
	}
	bi.hash = hex.EncodeToString(h.Sum(nil))
	if p.settings.race {
		return bi.without(ruleThin, "the host was built with -race"), nil
	}
	bi.before, bi.read, err = s.textBefore()
	return bi, err
}

// textBefore gives the files of the user's packages that are not what the host was
// built from, those of packages among them that nothing imports any more, and the
// packages as they are now.
func (s *scan) textBefore() (before map[string][]byte, read []*source.Unit, err error) {
	before = map[string][]byte{}
	for path, was := range s.baseline.Packages {
		var now []source.File
		if s.graph[path] != nil {
			u, err := s.unit(path)
			if err != nil {
				return nil, nil, err
			}
			read = append(read, u)
			if changed, reworded := s.changedFiles(u); len(changed) == 0 && !reworded {
				continue
			}
			now = u.Files
		}
		same := map[string]bool{}
		for _, f := range now {
			old, ok := was.Files[f.Name]
			same[f.Name] = ok && old.Raw == hex.EncodeToString(f.Raw[:])
			if !ok && (strings.HasSuffix(f.Name, ".go") || isForeign(f.Name)) {
				before[f.Path] = nil
			}
		}
		for _, f := range withoutEmbeds(s.baseline.goFiles(path, nil)) {
			if !same[f.name] || f.text != nil {
				before[filepath.Join(was.Dir, f.name)] = f.data
			}
		}
		for name, f := range was.Files {
			if !strings.HasSuffix(name, ".go") && !same[name] && isForeign(name) {
				before[filepath.Join(was.Dir, name)] = f.Text
			}
		}
	}
	return before, read, nil
}

// clause gives the name of a package.
func (p *builtinPackage) clause() string {
	for _, f := range p.files {
		if parsed, err := parser.ParseFile(token.NewFileSet(), f.name, f.data, parser.PackageClauseOnly); err == nil {
			return parsed.Name.Name
		}
	}
	return ""
}

// state generates the file that lists what the host has of the package, nil where
// it has no variable.
func (p *builtinPackage) state(has func(symbol string) bool) ([]byte, error) {
	files := map[string][]byte{}
	for _, f := range p.files {
		files[filepath.Join(p.dir, f.name)] = f.original()
	}
	prefix := symname.Escape(p.path) + "."
	return source.BuiltinState(p.clause(), p.path, files, func(kind, name string) bool {
		if kind == "type" {
			return has("type:" + prefix + name)
		}
		return has(prefix + name)
	})
}
