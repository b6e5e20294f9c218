package funcdiff

import (
	"crypto/sha256"
	"fmt"
	"go/ast"
	"strings"
)

// # Types as text
//
// Two signatures are the same type where their texts are: names of packages are
// written as import paths, parameters have no names, type parameters are
// numbered, and aliases of the package are written out. What cannot be told from
// the text makes texts differ: an array whose length is not a plain number has
// every constant of the package in its text.

// render writes a type expression. bound are type parameters.
func (s *syntax) render(f *file, e ast.Expr, bound map[string]int) string {
	r := renderer{s: s, bound: bound}
	r.expr(f, e)
	return r.b.String()
}

func (s *syntax) signature(f *file, t *ast.FuncType, bound map[string]int) string {
	r := renderer{s: s, bound: bound}
	if t.TypeParams != nil {
		r.fields(f, t.TypeParams, "[", "]")
	}
	r.function(f, t)
	return r.b.String()
}

type renderer struct {
	s     *syntax
	b     strings.Builder
	bound map[string]int
}

func (r *renderer) expr(f *file, e ast.Expr) {
	w := &r.b
	switch e := e.(type) {
	case nil:
	case *ast.Ident:
		r.ident(f, e)
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			if path, ok := f.imports[x.Name]; ok {
				fmt.Fprintf(w, "%s.%s", path, e.Sel.Name)
				return
			}
			fmt.Fprintf(w, "?%s.%s", x.Name, e.Sel.Name)
			return
		}
		r.expr(f, e.X)
		w.WriteString("." + e.Sel.Name)
	case *ast.StarExpr:
		w.WriteByte('*')
		r.expr(f, e.X)
	case *ast.ParenExpr:
		r.expr(f, e.X)
	case *ast.ArrayType:
		w.WriteByte('[')
		if e.Len != nil {
			r.length(f, e.Len)
		}
		w.WriteByte(']')
		r.expr(f, e.Elt)
	case *ast.Ellipsis:
		w.WriteString("...")
		r.expr(f, e.Elt)
	case *ast.MapType:
		w.WriteString("map[")
		r.expr(f, e.Key)
		w.WriteByte(']')
		r.expr(f, e.Value)
	case *ast.ChanType:
		fmt.Fprintf(w, "chan%d ", e.Dir)
		r.expr(f, e.Value)
	case *ast.FuncType:
		w.WriteString("func")
		r.function(f, e)
	case *ast.StructType:
		w.WriteString("struct")
		r.members(f, e.Fields)
	case *ast.InterfaceType:
		w.WriteString("interface")
		r.members(f, e.Methods)
	case *ast.IndexExpr:
		r.expr(f, e.X)
		w.WriteByte('[')
		r.expr(f, e.Index)
		w.WriteByte(']')
	case *ast.IndexListExpr:
		r.expr(f, e.X)
		w.WriteByte('[')
		for _, x := range e.Indices {
			r.expr(f, x)
			w.WriteByte(',')
		}
		w.WriteByte(']')
	case *ast.BinaryExpr: // of constraints
		r.expr(f, e.X)
		w.WriteString(e.Op.String())
		r.expr(f, e.Y)
	case *ast.UnaryExpr:
		w.WriteString(e.Op.String())
		r.expr(f, e.X)
	case *ast.BasicLit:
		w.WriteString(e.Value)
	default:
		fmt.Fprintf(w, "?%T", e)
	}
}

func (r *renderer) ident(f *file, e *ast.Ident) {
	if i, ok := r.bound[e.Name]; ok {
		fmt.Fprintf(&r.b, "$%d", i)
		return
	}
	t := r.s.names[e.Name]
	if t != nil && t.Alias {
		r.b.WriteString(r.s.alias(e.Name, t))
		return
	}
	r.b.WriteString(e.Name)
	if t == nil && len(f.dot) > 0 {
		fmt.Fprintf(&r.b, "%v", f.dot)
	}
}

// longAlias is from when on a hash stands for what an alias is: aliases of
// aliases can grow without end.
const longAlias = 200

// alias writes an alias out, once.
func (s *syntax) alias(name string, t *Type) string {
	text, known := s.aliases[name]
	if known {
		return text
	}
	s.aliases[name] = name // while it is written out: one that leads to itself is no type
	r := renderer{s: s}
	r.expr(t.file, t.Expr)
	if text = r.b.String(); len(text) > longAlias {
		text = fmt.Sprintf("#%x", sha256.Sum256([]byte(text)))
	}
	s.aliases[name] = text
	return text
}

func (r *renderer) length(f *file, e ast.Expr) {
	switch e := e.(type) {
	case *ast.BasicLit:
		r.b.WriteString(e.Value)
	case *ast.Ellipsis:
		r.b.WriteString("...")
	default:
		r.expr(f, e)
		r.b.WriteString(" of " + r.s.consts)
	}
}

func (r *renderer) function(f *file, t *ast.FuncType) {
	r.fields(f, t.Params, "(", ")")
	if t.Results.NumFields() > 0 { // F() () is F()
		r.fields(f, t.Results, "(", ")")
	}
}

// fields writes the types of a list, each as often as it has names.
func (r *renderer) fields(f *file, list *ast.FieldList, open, end string) {
	r.b.WriteString(open)
	if list != nil {
		for _, field := range list.List {
			for range max(1, len(field.Names)) {
				r.expr(f, field.Type)
				r.b.WriteByte(',')
			}
		}
	}
	r.b.WriteString(end)
}

// members writes fields or methods with their names and tags.
func (r *renderer) members(f *file, list *ast.FieldList) {
	r.b.WriteByte('{')
	for _, field := range list.List {
		for _, n := range field.Names {
			r.b.WriteString(n.Name + " ")
			r.expr(f, field.Type)
			r.tag(field)
		}
		if len(field.Names) == 0 {
			r.expr(f, field.Type)
			r.tag(field)
		}
	}
	r.b.WriteByte('}')
}

func (r *renderer) tag(field *ast.Field) {
	if field.Tag != nil {
		r.b.WriteString(" " + field.Tag.Value)
	}
	r.b.WriteByte(';')
}
