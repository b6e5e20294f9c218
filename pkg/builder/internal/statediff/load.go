package statediff

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// version is one version of the packages, type-checked.
type version struct {
	packages map[string]*types.Package
	vars     map[id]*variable
	types    map[id]*types.Named // declared at package level
	unused   map[id]bool         // variables that the program does not have
	local    []string            // names of types that are declared inside functions
}

// variable is a package variable as it is declared.
type variable struct {
	obj      *types.Var
	fresh    bool
	embedded bool
	value    ast.Expr // its initialiser, nil where it has none or that is nil
	function *id      // the function declared at package level that this is, nil for others
}

// errCgo is the reason why a package cannot be looked into.
var errCgo = errors.New("uses cgo, and what C declares is not known here")

// load parses and checks one version.
func load(c Config, name string, pkgs []Package) (*version, error) {
	l := &loader{
		c: c, fset: token.NewFileSet(), sources: map[string]*Package{}, busy: map[string]bool{},
		v: &version{packages: map[string]*types.Package{}, vars: map[id]*variable{}, types: map[id]*types.Named{}, unused: map[id]bool{}},
	}
	for i := range pkgs {
		l.sources[pkgs[i].ImportPath] = &pkgs[i]
	}
	for i := range pkgs {
		if _, err := l.check(pkgs[i].ImportPath); err != nil {
			return nil, &VersionError{name, err}
		}
	}
	return l.v, nil
}

// loader is one load under way.
type loader struct {
	c       Config
	fset    *token.FileSet
	sources map[string]*Package
	busy    map[string]bool
	v       *version
}

// importerOf makes a function a types.Importer.
type importerOf func(path string) (*types.Package, error)

func (f importerOf) Import(path string) (*types.Package, error) { return f(path) }

// importFor imports for a package: one of the version's own from source.
func (l *loader) importFor(p *Package) types.Importer {
	return importerOf(func(path string) (*types.Package, error) {
		path = p.resolve(path)
		switch {
		case path == "unsafe":
			return types.Unsafe, nil
		case path == "C":
			return nil, errCgo
		case l.sources[path] != nil:
			return l.check(path)
		}
		return l.c.Import.Import(path)
	})
}

func (l *loader) check(path string) (*types.Package, error) {
	if pkg := l.v.packages[path]; pkg != nil {
		return pkg, nil
	}
	if l.busy[path] {
		return nil, fmt.Errorf("import cycle through %s", path)
	}
	l.busy[path] = true
	p := l.sources[path]
	var files []*ast.File
	var texts [][]byte
	for _, f := range p.Files {
		parsed, err := parser.ParseFile(l.fset, f.Name, f.Data, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, imp := range parsed.Imports {
			if imp.Path.Value == `"C"` {
				return nil, fmt.Errorf("%s %w", path, errCgo)
			}
		}
		if parsed.Name.Name == "main" {
			// A plugin's is told by its path, as others are: generations are no commands.
			parsed.Name.Name = "plugin"
		}
		files, texts = append(files, parsed), append(texts, f.Data)
	}
	conf := types.Config{Importer: l.importFor(p), Sizes: l.c.Sizes, IgnoreFuncBodies: true}
	if p.GoVersion != "" {
		conf.GoVersion = "go" + strings.TrimPrefix(p.GoVersion, "go")
	}
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}, Uses: map[*ast.Ident]types.Object{}}
	pkg, err := conf.Check(path, l.fset, files, info)
	if err != nil {
		return nil, err
	}
	l.v.packages[path] = pkg
	l.declared(p, pkg, files, info, source.Fresh(texts))
	return pkg, nil
}

// declared notes what a package declares.
func (l *loader) declared(p *Package, pkg *types.Package, files []*ast.File, info *types.Info, fresh map[string]bool) {
	add := func(name *ast.Ident, value ast.Expr, embedded bool) {
		obj, ok := info.Defs[name].(*types.Var)
		if !ok || name.Name == "_" || artifact.Generated(name.Name) {
			return
		}
		at := id{p.ImportPath, name.Name}
		if p.Unused != nil && p.Unused(name.Name) {
			l.v.unused[at] = true
			return
		}
		v := &variable{obj: obj, fresh: fresh[name.Name], embedded: embedded}
		v.value, v.function = initialiser(value, info)
		l.v.vars[at] = v
	}
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.ValueSpec); ok && d.Tok == token.VAR {
						embedded := embeds(d.Doc) || embeds(s.Doc)
						for i, name := range s.Names {
							add(name, valueOf(s, i), embedded)
						}
					}
				}
			case *ast.FuncDecl:
				l.v.local = append(l.v.local, localTypes(pkg, d)...)
			}
		}
	}
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		if t, ok := scope.Lookup(name).(*types.TypeName); ok && !t.IsAlias() {
			if n, ok := t.Type().(*types.Named); ok {
				l.v.types[id{p.ImportPath, name}] = n
			}
		}
	}
}

// valueOf gives the initialiser of a specification's variable i. One call that
// initialises several counts for each.
func valueOf(s *ast.ValueSpec, i int) ast.Expr {
	switch len(s.Values) {
	case 0:
		return nil
	case len(s.Names):
		return s.Values[i]
	}
	return s.Values[0]
}

// initialiser gives an initialiser other than nil, and which function it is.
func initialiser(value ast.Expr, info *types.Info) (ast.Expr, *id) {
	var name *ast.Ident
	switch e := value.(type) {
	case *ast.Ident:
		name = e
	case *ast.SelectorExpr:
		name = e.Sel
	default:
		return value, nil
	}
	switch obj := info.Uses[name].(type) {
	case *types.Nil:
		return nil, nil
	case *types.Func:
		if obj.Signature().Recv() == nil {
			return value, &id{obj.Pkg().Path(), obj.Name()}
		}
	}
	return value, nil
}

func embeds(doc *ast.CommentGroup) bool {
	if doc == nil {
		return false
	}
	for _, c := range doc.List {
		if strings.HasPrefix(c.Text, "//go:embed ") {
			return true
		}
	}
	return false
}

// localTypes names the types that a function declares.
func localTypes(pkg *types.Package, d *ast.FuncDecl) (names []string) {
	if d.Body == nil {
		return nil
	}
	ast.Inspect(d.Body, func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok && !s.Assign.IsValid() {
			names = append(names, pkg.Name()+"."+s.Name.Name)
		}
		return true
	})
	return names
}

// Imports gives the import paths of what versions import that is none of their own,
// sorted: Config.Import is asked for these alone. A file that does not parse has none.
func Imports(versions ...[]Package) []string {
	var paths []string
	for _, pkgs := range versions {
		own := map[string]bool{"unsafe": true, "C": true}
		for _, p := range pkgs {
			own[p.ImportPath] = true
		}
		for _, p := range pkgs {
			for _, f := range p.Files {
				parsed, err := parser.ParseFile(token.NewFileSet(), f.Name, f.Data, parser.ImportsOnly)
				if err != nil {
					continue
				}
				for _, imp := range parsed.Imports {
					path := p.resolve(strings.Trim(imp.Path.Value, "\"`"))
					if !own[path] {
						paths = append(paths, path)
					}
				}
			}
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

func (p *Package) resolve(path string) string {
	if p.Resolve == nil {
		return path
	}
	return p.Resolve(path)
}
