// Package symbols reads from a compiled plugin which functions and variables
// hosts can bind, and their types.
//
// The types come from the compiler's export data, so they are what was really
// compiled, and are written in the grammar of package typename, whose strings
// a host compares with its own.
package symbols

import (
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// Read gives the exported functions and variables of the package importPath
// that was compiled into archive, sorted by name. original maps an import path
// as compiled to the user's.
//
// Export data belongs to the Go release that wrote it; this reader is the one
// of the release that hotgo was built with and reads older releases' data as
// well (go/internal/gcimporter, Go 1.26). Newer data is an error, never a
// wrong answer.
func Read(importPath, archive string, original func(string) string) (syms []artifact.Symbol, err error) {
	defer func() {
		if r := recover(); r != nil {
			syms, err = nil, fmt.Errorf("read export data of %s: %v", importPath, r)
		}
	}()
	lookup := func(path string) (io.ReadCloser, error) {
		if path != importPath {
			return nil, errors.New("export data is expected to stand alone")
		}
		return os.Open(archive)
	}
	pkg, err := importer.ForCompiler(token.NewFileSet(), "gc", lookup).Import(importPath)
	if err != nil {
		return nil, fmt.Errorf("read export data of %s: %w", importPath, err)
	}
	w := writer{original: original}
	scope := pkg.Scope()
	for _, name := range scope.Names() {
		obj := scope.Lookup(name)
		if !obj.Exported() {
			continue
		}
		switch obj := obj.(type) {
		case *types.Func:
			sig := obj.Type().(*types.Signature)
			if sig.TypeParams().Len() > 0 {
				continue
			}
			syms = append(syms, artifact.Symbol{Name: name, Kind: "func", Type: w.of(sig)})
		case *types.Var:
			syms = append(syms, artifact.Symbol{Name: name, Kind: "var", Type: w.of(obj.Type())})
		}
	}
	return syms, nil
}

// Spell writes a type in the grammar that package typename documents, as typename.Of
// writes one that reflect has.
func Spell(t types.Type) string {
	w := writer{original: func(path string) string { return path }}
	return w.of(t)
}

// writer writes types in the grammar that package typename documents.
type writer struct {
	original func(importPath string) string
	b        strings.Builder
}

func (w *writer) of(t types.Type) string {
	w.b.Reset()
	w.write(t)
	return w.b.String()
}

func (w *writer) write(t types.Type) {
	switch t := types.Unalias(t).(type) {
	case *types.Basic:
		// types.Typ holds the names without byte and rune; unsafe.Pointer
		// has its package in its name here too.
		if t.Kind() == types.UnsafePointer {
			w.b.WriteString("unsafe.Pointer")
			return
		}
		w.b.WriteString(types.Typ[t.Kind()].Name())
	case *types.Named:
		w.qualified(t.Obj().Pkg(), t.Obj().Name())
		if args := t.TypeArgs(); args.Len() > 0 {
			w.b.WriteByte('[')
			for i := range args.Len() {
				if i > 0 {
					w.b.WriteByte(',')
				}
				w.write(args.At(i))
			}
			w.b.WriteByte(']')
		}
	case *types.Pointer:
		w.b.WriteByte('*')
		w.write(t.Elem())
	case *types.Slice:
		w.b.WriteString("[]")
		w.write(t.Elem())
	case *types.Array:
		w.b.WriteString("[" + strconv.FormatInt(t.Len(), 10) + "]")
		w.write(t.Elem())
	case *types.Map:
		w.b.WriteString("map[")
		w.write(t.Key())
		w.b.WriteByte(']')
		w.write(t.Elem())
	case *types.Chan:
		w.channel(t)
	case *types.Signature:
		w.b.WriteString("func")
		w.signature(t)
	case *types.Struct:
		w.structure(t)
	case *types.Interface:
		w.iface(t)
	default:
		w.b.WriteString(t.String())
	}
}

// qualified writes a name with its package; the universe has none.
func (w *writer) qualified(pkg *types.Package, name string) {
	switch {
	case pkg == nil:
	case pkg.Name() == "main":
		w.b.WriteString("main.")
	default:
		w.b.WriteString(w.original(pkg.Path()) + ".")
	}
	w.b.WriteString(name)
}

// member writes the name of a field or method: unexported ones belong to their
// package.
func (w *writer) member(obj types.Object) {
	if obj.Exported() {
		w.b.WriteString(obj.Name())
		return
	}
	w.qualified(obj.Pkg(), obj.Name())
}

func (w *writer) channel(t *types.Chan) {
	elem := types.Unalias(t.Elem())
	switch t.Dir() {
	case types.RecvOnly:
		w.b.WriteString("<-chan ")
	case types.SendOnly:
		w.b.WriteString("chan<- ")
	default:
		w.b.WriteString("chan ")
		if inner, ok := elem.(*types.Chan); ok && inner.Dir() == types.RecvOnly {
			w.b.WriteByte('(')
			w.write(elem)
			w.b.WriteByte(')')
			return
		}
	}
	w.write(elem)
}

func (w *writer) signature(t *types.Signature) {
	w.b.WriteByte('(')
	n := t.Params().Len()
	for i := range n {
		if i > 0 {
			w.b.WriteString(", ")
		}
		p := t.Params().At(i).Type()
		if t.Variadic() && i == n-1 {
			w.b.WriteString("...")
			p = types.Unalias(p).(*types.Slice).Elem()
		}
		w.write(p)
	}
	w.b.WriteByte(')')
	switch n := t.Results().Len(); n {
	case 0:
	case 1:
		w.b.WriteByte(' ')
		w.write(t.Results().At(0).Type())
	default:
		w.b.WriteString(" (")
		for i := range n {
			if i > 0 {
				w.b.WriteString(", ")
			}
			w.write(t.Results().At(i).Type())
		}
		w.b.WriteByte(')')
	}
}

func (w *writer) structure(t *types.Struct) {
	w.b.WriteString("struct{")
	for i := range t.NumFields() {
		if i > 0 {
			w.b.WriteString("; ")
		}
		f := t.Field(i)
		if f.Embedded() {
			w.b.WriteString("embed ")
		}
		w.member(f)
		w.b.WriteByte(' ')
		w.write(f.Type())
		if tag := t.Tag(i); tag != "" {
			w.b.WriteString(" " + strconv.Quote(tag))
		}
	}
	w.b.WriteByte('}')
}

func (w *writer) iface(t *types.Interface) {
	methods := make([]string, t.NumMethods())
	for i := range methods {
		inner := writer{original: w.original}
		inner.member(t.Method(i))
		inner.signature(t.Method(i).Type().(*types.Signature))
		methods[i] = inner.b.String()
	}
	sort.Strings(methods)
	w.b.WriteString("interface{" + strings.Join(methods, "; ") + "}")
}
