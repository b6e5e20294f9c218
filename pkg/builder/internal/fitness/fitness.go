// Package fitness finds what the packages of a plugin do outside themselves
// when they are initialised.
//
// Every generation of a plugin is a package of its own to the Go runtime, so its
// initialisers run again with each one that is loaded, in a process where the
// earlier generations, and the host's built-in, have run theirs. What they enter
// into a registry of the process is there already: some registries panic, some
// keep the first entry for ever. A goroutine that an initialiser starts belongs
// to no HotStart, so nothing ends it when its generation retires.
//
// # How
//
// The sources are read, nothing is run and nothing is compiled. Initialisation
// begins in init functions and in the initialisers of package variables; from
// there, calls are followed to functions and methods of the same packages whose
// callee the sources name. What is called is told by go/types, which resolves
// names and scopes here without the packages that are imported: they are empty,
// and what it has to say about that is ignored.
//
// # What it misses
//
// It names what it has found, and a list without entries promises nothing:
// calls through interfaces, function values and packages that are not the
// plugin's are not followed, and a registry that the table does not know is not
// reported. A function literal counts where it is called on the spot, or is
// handed to a method called Do, as that of sync.Once is.
package fitness

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"slices"
	"strings"
)

// Package is one package of the plugin.
type Package struct {
	ImportPath string
	Name       string
	Files      []File // Go sources, those with cgo included
}

// File is a source file. One that does not parse is read as far as it does.
type File struct {
	Path string
	Data []byte
}

// Kind says what a site does.
type Kind uint8

// The kinds.
const (
	Registration Kind = iota + 1 // enters something into a registry of the process
	Goroutine                    // starts a goroutine
)

// Site is a place that initialisation reaches.
type Site struct {
	Kind Kind
	Call string // "flag.String"; of a goroutine, "go"
	// Again says what such a call does when another generation repeats it: a
	// clause whose subject is the call. "" for a goroutine.
	Again string
	// Via is how initialisation gets there: "init" or "var NAME", then the
	// functions called, the last of which has the site.
	Via     []string
	Package string // import path
	File    string
	Line    int
	Col     int // in bytes, from 1
}

// Panics reports whether the registry is known to panic the second time.
func (s Site) Panics() bool { return s.Again == panics }

// Inspect finds the sites in packages, in the order of packages, files and lines.
// name gives the name of an imported package, "" where it is not known: then the
// last element of its path counts.
func Inspect(pkgs []Package, name func(importPath string) string) []Site {
	in := &inspector{
		fset: token.NewFileSet(), name: name, sources: map[string]Package{}, checked: map[string]*checked{},
		decls: map[*types.Func]function{}, seen: map[*types.Func]bool{},
		info: &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}},
	}
	for _, p := range pkgs {
		in.sources[p.ImportPath] = p
	}
	order := map[string]int{}
	for i, p := range pkgs {
		order[p.ImportPath] = i
		in.check(p.ImportPath)
	}
	for _, p := range pkgs {
		in.initialise(in.checked[p.ImportPath])
	}
	slices.SortStableFunc(in.sites, func(a, b Site) int {
		return cmp.Or(
			cmp.Compare(order[a.Package], order[b.Package]), strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col),
		)
	})
	return in.sites
}

// inspector is one Inspect under way.
type inspector struct {
	fset    *token.FileSet
	name    func(string) string
	sources map[string]Package
	checked map[string]*checked // entered before it is complete, for import cycles
	info    *types.Info         // of all packages
	decls   map[*types.Func]function
	seen    map[*types.Func]bool
	sites   []Site
}

// checked is a package as go/types sees it.
type checked struct {
	path  string
	pkg   *types.Package
	files []*ast.File
	dots  []string // import paths of its dot imports
}

// function is one with a body in the sources.
type function struct {
	decl *ast.FuncDecl
	in   *checked
}

// check parses a package and has its names resolved.
func (in *inspector) check(importPath string) *types.Package {
	if c, ok := in.checked[importPath]; ok {
		return c.pkg
	}
	src := in.sources[importPath]
	c := &checked{path: importPath, pkg: types.NewPackage(importPath, src.Name)}
	in.checked[importPath] = c
	for _, f := range src.Files {
		// Whoever compiles it says what is wrong with it.
		file, _ := parser.ParseFile(in.fset, f.Path, f.Data, parser.SkipObjectResolution)
		if file == nil {
			continue
		}
		c.files = append(c.files, file)
		for _, imp := range file.Imports {
			if imp.Name != nil && imp.Name.Name == "." {
				c.dots = append(c.dots, strings.Trim(imp.Path.Value, "`\""))
			}
		}
	}
	conf := types.Config{Importer: importer{in}, FakeImportC: true, Error: func(error) {}}
	checker := types.NewChecker(&conf, in.fset, c.pkg, in.info)
	_ = checker.Files(c.files) // what is imported is empty: there are errors
	for _, file := range c.files {
		for _, d := range file.Decls {
			if decl, ok := d.(*ast.FuncDecl); ok && decl.Body != nil {
				if fn, ok := in.info.Defs[decl.Name].(*types.Func); ok {
					in.decls[fn] = function{decl, c}
				}
			}
		}
	}
	return c.pkg
}

// importer gives the plugin's own packages, and empty ones for all others.
type importer struct{ in *inspector }

func (im importer) Import(importPath string) (*types.Package, error) {
	if importPath == "unsafe" {
		return types.Unsafe, nil
	}
	if _, own := im.in.sources[importPath]; own {
		return im.in.check(importPath), nil
	}
	name := im.in.name(importPath)
	if name == "" {
		name = path.Base(importPath)
	}
	p := types.NewPackage(importPath, name)
	p.MarkComplete()
	return p, nil
}

// initialise follows what the runtime runs when it initialises a package.
func (in *inspector) initialise(c *checked) {
	for _, file := range c.files {
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					vs, ok := spec.(*ast.ValueSpec)
					if !ok || d.Tok != token.VAR {
						continue
					}
					for _, value := range vs.Values {
						in.follow(c, value, []string{"var " + vs.Names[0].Name})
					}
				}
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil && d.Body != nil {
					in.follow(c, d.Body, []string{"init"})
				}
			}
		}
	}
}

// follow visits what runs when node does.
func (in *inspector) follow(c *checked, node ast.Node, via []string) {
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // it is a value
		case *ast.GoStmt:
			in.add(c, n, Site{Kind: Goroutine, Call: "go", Via: via})
		case *ast.CallExpr:
			in.call(c, n, via)
		}
		return true
	})
}

func (in *inspector) call(c *checked, call *ast.CallExpr, via []string) {
	fun := callee(call.Fun)
	if lit, ok := fun.(*ast.FuncLit); ok {
		in.follow(c, lit.Body, via)
		return
	}
	if sel, ok := fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Do" && len(call.Args) == 1 {
		if lit, ok := ast.Unparen(call.Args[0]).(*ast.FuncLit); ok {
			in.follow(c, lit.Body, via)
		}
	}
	if fn := in.function(fun); fn != nil {
		if f, ok := in.decls[fn]; ok && !in.seen[fn] {
			in.seen[fn] = true
			in.follow(f.in, f.decl.Body, append(slices.Clip(via), f.decl.Name.Name))
		}
		return
	}
	for _, name := range in.foreign(c, fun) {
		if again, ok := registers(name.path, name.call); ok {
			in.add(c, call, Site{Kind: Registration, Call: path.Base(name.path) + "." + name.call, Again: again, Via: via})
			return
		}
	}
}

// callee takes parentheses and type arguments off what is called.
func callee(fun ast.Expr) ast.Expr {
	for {
		switch f := ast.Unparen(fun).(type) {
		case *ast.IndexExpr:
			fun = f.X
		case *ast.IndexListExpr:
			fun = f.X
		default:
			return f
		}
	}
}

// function gives the function or method of the sources that is called, nil where
// the sources do not say which.
func (in *inspector) function(fun ast.Expr) *types.Func {
	var id *ast.Ident
	switch f := fun.(type) {
	case *ast.Ident:
		id = f
	case *ast.SelectorExpr:
		id = f.Sel
	default:
		return nil
	}
	if fn, ok := in.info.Uses[id].(*types.Func); ok {
		return fn.Origin()
	}
	return nil
}

// qualified is something of another package: String, CommandLine.String, or
// TypeBuilder.Build for a method of a literal.
type qualified struct{ path, call string }

// foreign gives what another package's an expression may name. There are
// several only where dot imports leave it open.
func (in *inspector) foreign(c *checked, fun ast.Expr) []qualified {
	switch f := fun.(type) {
	case *ast.SelectorExpr:
		switch x := ast.Unparen(f.X).(type) {
		case *ast.Ident:
			if p, ok := in.info.Uses[x].(*types.PkgName); ok {
				return []qualified{{p.Imported().Path(), f.Sel.Name}}
			}
		case *ast.SelectorExpr:
			if id, ok := ast.Unparen(x.X).(*ast.Ident); ok {
				if p, ok := in.info.Uses[id].(*types.PkgName); ok {
					return []qualified{{p.Imported().Path(), x.Sel.Name + "." + f.Sel.Name}}
				}
			}
		case *ast.CompositeLit: // protoimpl.TypeBuilder{…}.Build()
			if x.Type == nil {
				return nil
			}
			all := in.foreign(c, x.Type)
			for i := range all {
				all[i].call += "." + f.Sel.Name
			}
			return all
		}
	case *ast.Ident:
		if in.info.Uses[f] != nil {
			return nil
		}
		var all []qualified
		for _, dot := range c.dots {
			all = append(all, qualified{dot, f.Name})
		}
		return all
	}
	return nil
}

func (in *inspector) add(c *checked, at ast.Node, s Site) {
	pos := in.fset.PositionFor(at.Pos(), false) // the file itself, whatever a //line says
	s.Package, s.File, s.Line, s.Col = c.path, pos.Filename, pos.Line, pos.Column
	s.Via = slices.Clone(s.Via)
	in.sites = append(in.sites, s)
}
