package source

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// AddedState generates the file for a package of a host that is patched, under its own
// import path: was are the Go files that the host was built from, by name, and now those
// of the patch. It lists what now declares and was does not: variables, functions, and
// types that something uses. One that nothing uses yet is not worth a descriptor in the
// program, which would hold every later patch to what the type is now.
//
// It is nil where nothing is new. That is so as well where a file does not parse or has
// a directive that is none, for the compiler and the next generation say so, and where
// the package has a file of the generated one's name.
//
// The function is never exported, or importers of the package would be compiled against
// something that changed.
func AddedState(name, path string, was, now map[string][]byte) []byte {
	if _, taken := now[StateFile]; taken {
		return nil
	}
	before, after := map[string][]byte{}, map[string][]byte{}
	for file, text := range now {
		old, ok := was[file]
		switch same := ok && bytes.Equal(old, text); {
		case !same:
			after[file] = text
		case bytes.Contains(text, []byte(freshDirective)): // it may be about the whole package
			before[file], after[file] = text, text
		}
	}
	for file, text := range was {
		if now, ok := now[file]; !ok || !bytes.Equal(now, text) {
			before[file] = text
		}
	}
	old, err := list(before)
	if err != nil {
		old = &listing{} // what the host was built from was no concern of hotgo's
	}
	l, err := list(after)
	if err != nil {
		return nil
	}
	maps.DeleteFunc(l.vars, func(v string, _ bool) bool { _, ok := old.vars[v]; return ok })
	l.funcs = slices.DeleteFunc(l.funcs, func(f string) bool { return slices.Contains(old.funcs, f) })
	l.types = slices.DeleteFunc(l.types, func(t string) bool { return slices.Contains(old.types, t) })
	if len(l.types) > 0 {
		used := usedNames(after)
		l.types = slices.DeleteFunc(l.types, func(t string) bool { return !used[t] })
	}
	if len(l.vars)+len(l.funcs)+len(l.types) == 0 {
		return nil
	}
	return l.generate(artifact.StateFunc("main"), name, path, nil, nil)
}

// usedNames gives the identifiers of files, but for the name in the declaration of a type
// and the receivers of methods.
func usedNames(files map[string][]byte) map[string]bool {
	used := map[string]bool{}
	for name, src := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		declares := map[*ast.Ident]bool{}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.TypeSpec:
				declares[n.Name] = true
			case *ast.FuncDecl:
				if n.Recv == nil {
					break
				}
				ast.Inspect(n.Recv, func(n ast.Node) bool {
					if id, ok := n.(*ast.Ident); ok {
						declares[id] = true
					}
					return true
				})
			case *ast.Ident:
				if !declares[n] {
					used[n.Name] = true
				}
			}
			return true
		})
	}
	return used
}
