package funcdiff

import (
	"crypto/sha256"
	"fmt"
	"go/ast"
	"go/parser"
	"go/scanner"
	"go/token"
	"path/filepath"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// Declarations are what the sources of a package declare, by the linker's
// names: example.com/shop/cart.(*Cart).Total.
type Declarations struct {
	Prefix string // of all names, without the dot
	Funcs  map[string]*Func
	Types  map[string]*Type
	Vars   map[string]*Var
	Consts map[string]string // tokens of the declaration
	Inits  []string          // tokens of the init functions, in order

	params map[string]param // position of a parameter's name -> whose it is
	syntax *syntax
}

// Func is a declared function or method.
type Func struct {
	Name      string
	Signature string // parameters and results without their names; import paths in place of package names
	Body      string // hash of the tokens, comments aside
	File      string // base name
	Line      int
	Pragma    string // directives that change how it may be replaced: nosplit, linkname, …
	Generic   bool
	NoBody    bool // implemented elsewhere
}

// Type is a declared type.
type Type struct {
	Name    string
	Text    string // the definition, as Func.Signature
	Alias   bool
	Generic bool
	Expr    ast.Expr
	file    *file
}

// Var is a declared package variable.
type Var struct {
	Name string
	Type string // as Func.Signature; "" where the initialiser decides
	Init string // hash of the initialiser's tokens, "" without one
	Text string // of the initialiser, shortened
}

type param struct {
	function string
	index    int
	results  []string // names of the function's results
}

// file is a parsed file with what its imports are called.
type file struct {
	ast     *ast.File
	imports map[string]string // name -> path, where the file names it
	dot     []string
}

// syntax is what type expressions are rendered with.
type syntax struct {
	fset    *token.FileSet
	names   map[string]*Type  // declared types by bare name
	consts  string            // tokens of all constants
	aliases map[string]string // what aliases were written out as
}

// Source is a Go file of a package.
type Source struct {
	Name string // base name
	Data []byte
}

// Declare reads the declarations of a package. path is its import path as
// compiled: "main" for a program's.
//
// Errors: the parser's.
func Declare(path string, files []Source) (*Declarations, error) {
	d := &Declarations{
		Prefix: symname.Escape(path), Funcs: map[string]*Func{}, Types: map[string]*Type{}, Vars: map[string]*Var{},
		Consts: map[string]string{}, params: map[string]param{}, syntax: &syntax{fset: token.NewFileSet(), names: map[string]*Type{}, aliases: map[string]string{}},
	}
	var parsed []*file
	var texts [][]byte
	for _, src := range files {
		// Function bodies are only compared by their tokens.
		f, err := parser.ParseFile(d.syntax.fset, src.Name, src.Data, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, importsOf(f))
		texts = append(texts, src.Data)
	}
	for i, f := range parsed {
		d.collectTypes(f)
		d.constants(f, texts[i])
	}
	for i, f := range parsed {
		d.collect(f, texts[i])
	}
	for _, f := range parsed {
		d.linknames(f)
	}
	return d, nil
}

func importsOf(f *ast.File) *file {
	x := &file{ast: f, imports: map[string]string{}}
	for _, imp := range f.Imports {
		path := strings.Trim(imp.Path.Value, "\"`")
		name := path[strings.LastIndexByte(path, '/')+1:]
		if imp.Name != nil {
			name = imp.Name.Name
		}
		if name == "." {
			x.dot = append(x.dot, path)
			continue
		}
		x.imports[name] = path
	}
	return x
}

func (d *Declarations) name(bare string) string { return d.Prefix + "." + bare }

// Declares reports whether the linker's name is that of a declared function.
func (d *Declarations) Declares(name string) bool {
	if d == nil {
		return false
	}
	_, ok := d.Funcs[name]
	if !ok {
		base, generic := generic(name)
		if generic {
			_, ok = d.Funcs[base]
		}
	}
	return ok
}

// Names reports whether the linker's name is that of a declared function or of a
// method of a declared type, the compiler's wrappers included: a method may be
// called func1, as function literals are.
func (d *Declarations) Names(name string) bool {
	if d.Declares(name) {
		return true
	}
	if d == nil {
		return false
	}
	bare, ok := strings.CutPrefix(outside(name), d.Prefix+".")
	if !ok {
		return false
	}
	recv, method, ok := strings.Cut(bare, ".")
	if p, pointer := strings.CutPrefix(recv, "(*"); pointer {
		recv = strings.TrimSuffix(p, ")")
	}
	// No identifier has a hyphen: M-range1 is the body of a loop over a function.
	return ok && !strings.ContainsAny(method, ".-") && d.Types[d.name(recv)] != nil
}

// collectTypes comes first: aliases stand for what they are in signatures.
func (d *Declarations) collectTypes(f *file) {
	for _, decl := range f.ast.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, s := range g.Specs {
			t := s.(*ast.TypeSpec)
			d.syntax.names[t.Name.Name] = &Type{
				Name: d.name(t.Name.Name), Alias: t.Assign.IsValid(), Generic: t.TypeParams != nil, Expr: t.Type, file: f,
			}
		}
	}
}

// constants comes first, too: lengths of arrays depend on them.
func (d *Declarations) constants(f *file, src []byte) {
	for _, decl := range f.ast.Decls {
		g, ok := decl.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		// With iota a constant depends on its whole group.
		text := tokens(d.text(src, g.Pos(), g.End()))
		d.syntax.consts += text
		for _, s := range g.Specs {
			for _, n := range s.(*ast.ValueSpec).Names {
				d.Consts[d.name(n.Name)] = text
			}
		}
	}
}

func (d *Declarations) collect(f *file, src []byte) {
	for _, decl := range f.ast.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			d.function(f, decl, src)
		case *ast.GenDecl:
			d.general(f, decl, src)
		}
	}
}

// linknames notes the functions that a directive gives to others, which may stand
// anywhere in a file. With two arguments it also gives the function's code
// another name.
func (d *Declarations) linknames(f *file) {
	for _, group := range f.ast.Comments {
		for _, c := range group.List {
			words := strings.Fields(c.Text)
			if len(words) < 2 || words[0] != "//go:linkname" {
				continue
			}
			x := d.Funcs[d.name(words[1])]
			if x == nil {
				continue // a variable
			}
			x.Pragma = "linkname"
			if len(words) == 3 && !x.NoBody {
				d.Funcs[words[2]] = x
			}
		}
	}
}

func (d *Declarations) general(f *file, g *ast.GenDecl, src []byte) {
	for _, s := range g.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			t := d.syntax.names[s.Name.Name]
			t.Text = d.syntax.render(f, s.Type, nil)
			d.Types[t.Name] = t
		case *ast.ValueSpec:
			if g.Tok == token.VAR {
				d.variables(f, g, s, src)
			}
		}
	}
}

func (d *Declarations) variables(f *file, g *ast.GenDecl, s *ast.ValueSpec, src []byte) {
	embed := ""
	for _, doc := range []*ast.CommentGroup{g.Doc, s.Doc} {
		if doc != nil {
			for _, c := range doc.List {
				if strings.HasPrefix(c.Text, "//go:embed ") {
					embed += c.Text
				}
			}
		}
	}
	for i, n := range s.Names {
		v := &Var{Name: d.name(n.Name)}
		if s.Type != nil {
			v.Type = d.syntax.render(f, s.Type, nil)
		}
		if len(s.Values) > 0 {
			value := s.Values[min(i, len(s.Values)-1)]
			text := d.text(src, value.Pos(), value.End())
			v.Init, v.Text = tokens(text), string(text)
		}
		if embed != "" {
			v.Init, v.Text = embed, embed
		}
		if n.Name != "_" {
			d.Vars[v.Name] = v
		}
	}
}

// text gives the source between two positions of the same file.
func (d *Declarations) text(src []byte, from, to token.Pos) []byte {
	f := d.syntax.fset.File(from)
	return src[f.Offset(from):f.Offset(to)]
}

func (d *Declarations) function(f *file, decl *ast.FuncDecl, src []byte) {
	body := tokens(d.text(src, decl.Pos(), decl.End()))
	if decl.Recv == nil && decl.Name.Name == "init" {
		d.Inits = append(d.Inits, body)
		return
	}
	if decl.Name.Name == "_" {
		return
	}
	x := &Func{Body: body, NoBody: decl.Body == nil, Generic: decl.Type.TypeParams != nil}
	at := d.syntax.fset.PositionFor(decl.Pos(), false)
	x.File, x.Line = filepath.Base(at.Filename), at.Line
	bound := typeParams(decl.Type.TypeParams)
	recv := ""
	if decl.Recv != nil && len(decl.Recv.List) == 1 {
		r := decl.Recv.List[0].Type
		pointer := false
		if s, ok := r.(*ast.StarExpr); ok {
			pointer, r = true, s.X
		}
		switch t := r.(type) {
		case *ast.IndexExpr:
			x.Generic, bound, r = true, receiverParams(t.Index), t.X
		case *ast.IndexListExpr:
			x.Generic, bound, r = true, receiverParams(t.Indices...), t.X
		}
		id, ok := r.(*ast.Ident)
		if !ok {
			return
		}
		if recv = id.Name + "."; pointer {
			recv = "(*" + id.Name + ")."
		}
	}
	x.Name = d.name(recv + decl.Name.Name)
	x.Signature = recv + d.syntax.signature(f, decl.Type, bound)
	if decl.Doc != nil {
		for _, c := range decl.Doc.List {
			for _, p := range []string{"nosplit", "linkname", "systemstack", "nowritebarrier", "norace", "uintptr", "cgo_", "yeswritebarrierrec"} {
				if strings.HasPrefix(c.Text, "//go:"+p) {
					x.Pragma = strings.TrimPrefix(strings.Fields(c.Text)[0], "//go:")
				}
			}
		}
	}
	d.Funcs[x.Name] = x
	d.parameters(x.Name, decl)
}

// parameters notes where a function's parameters are named: the compiler tells
// by that position which of them a function keeps.
func (d *Declarations) parameters(function string, decl *ast.FuncDecl) {
	var results []string
	if decl.Type.Results != nil {
		for _, field := range decl.Type.Results.List {
			for _, name := range field.Names {
				results = append(results, name.Name)
			}
		}
	}
	n := 0
	for _, list := range []*ast.FieldList{decl.Recv, decl.Type.Params} {
		if list == nil {
			continue
		}
		for _, field := range list.List {
			for _, name := range field.Names {
				at := d.syntax.fset.PositionFor(name.Pos(), true)
				d.params[fmt.Sprintf("%s:%d:%d", filepath.Base(at.Filename), at.Line, at.Column)] = param{function, n, results}
				n++
			}
			if len(field.Names) == 0 {
				n++
			}
		}
	}
}

func typeParams(list *ast.FieldList) map[string]int {
	bound := map[string]int{}
	if list != nil {
		for _, f := range list.List {
			for _, n := range f.Names {
				bound[n.Name] = len(bound)
			}
		}
	}
	return bound
}

func receiverParams(args ...ast.Expr) map[string]int {
	bound := map[string]int{}
	for _, a := range args {
		if id, ok := a.(*ast.Ident); ok {
			bound[id.Name] = len(bound)
		}
	}
	return bound
}

// tokens hashes source text without comments and layout.
func tokens(src []byte) string {
	var sc scanner.Scanner
	fset := token.NewFileSet()
	sc.Init(fset.AddFile("", fset.Base(), len(src)), src, nil, 0)
	h := sha256.New()
	for {
		_, tok, lit := sc.Scan()
		if tok == token.EOF {
			return fmt.Sprintf("%x", h.Sum(nil)[:12])
		}
		if tok == token.SEMICOLON {
			lit = ""
		}
		fmt.Fprintf(h, "%d %q ", tok, lit)
	}
}
