// Package typename writes a Go type as one canonical string, so that a host
// (which has a reflect.Type) and a builder (which has a go/types.Type) can
// compare types that neither can hand to the other.
//
// Equal strings mean identical types, given that equal import paths mean equal
// packages. Two exceptions, both settled by the type assertion that follows
// every load: types declared inside a function are written as if they stood at
// package level, and every command's package is called main.
//
// # Grammar
//
// Spaces are exactly those shown. Aliases are resolved first: there is no
// byte, rune or any.
//
//	Type      = Basic | Named | "[]" Type | "[" N "]" Type | "*" Type
//	          | "map[" Type "]" Type | Chan | Func | Struct | Interface
//	Basic     = "bool" | "string" | "int" … "int64" | "uint" … "uint64" | "uintptr"
//	          | "float32" | "float64" | "complex64" | "complex128" | "unsafe.Pointer" | "error"
//	Named     = Qualified [ "[" Type { "," Type } "]" ]        type arguments: "," without a space
//	Qualified = ImportPath "." Identifier                      package main: "main." Identifier
//	Chan      = "chan " Type | "<-chan " Type | "chan<- " Type
//	          | "chan (<-chan " Type ")"                        a chan of a receive-only channel
//	Func      = "func" Signature
//	Signature = "(" [ Type { ", " Type } ] ")" [ " " Result ]   no parameter names
//	            the last parameter of a variadic function is "..." and its element type
//	Result    = Type | "(" Type ", " Type { ", " Type } ")"     brackets only where there are several
//	Struct    = "struct{" [ Field { "; " Field } ] "}"          in order of declaration
//	Field     = [ "embed " ] Name " " Type [ " " Tag ]          Tag as strconv.Quote writes it
//	Interface = "interface{" [ Method { "; " Method } ] "}"     sorted by bytes as written
//	Method    = Name Signature                                  embedded interfaces are flattened
//	Name      = Identifier                                      where exported
//	          | ImportPath "." Identifier                       where not
//
// Examples:
//
//	func(example.com/shop/api.Order, ...string) (int, error)
//	map[string]example.com/shop/api.Set[int,*example.com/shop/api.Order]
//	struct{ID int "json:\"id\""; example.com/shop/api.n uint8; embed Mutex sync.Mutex}
//	interface{Name() string; example.com/shop/api.seal()}
//	interface{}
//
// An embedded field carries its name although the type mostly says it, because
// an alias may have given it another.
package typename

import (
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// Of gives the canonical string of t. It is pure and safe for concurrent use;
// t must not be nil.
func Of(t reflect.Type) string {
	var b strings.Builder
	write(&b, t)
	return b.String()
}

func write(b *strings.Builder, t reflect.Type) {
	if t.Name() != "" {
		writeNamed(b, t)
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		b.WriteByte('*')
		write(b, t.Elem())
	case reflect.Slice:
		b.WriteString("[]")
		write(b, t.Elem())
	case reflect.Array:
		b.WriteString("[" + strconv.Itoa(t.Len()) + "]")
		write(b, t.Elem())
	case reflect.Map:
		b.WriteString("map[")
		write(b, t.Key())
		b.WriteByte(']')
		write(b, t.Elem())
	case reflect.Chan:
		writeChan(b, t)
	case reflect.Func:
		b.WriteString("func")
		writeSignature(b, t)
	case reflect.Struct:
		writeStruct(b, t)
	case reflect.Interface:
		writeInterface(b, t)
	default:
		b.WriteString(t.String())
	}
}

// writeNamed relies on String rather than Name for instantiated types: Name
// looks for the last dot outside brackets and is misled by a bracket inside a
// struct tag (go1.26 reflect/type.go, (*rtype).Name), while String always opens
// with the package's name, which has neither dots nor brackets.
func writeNamed(b *strings.Builder, t reflect.Type) {
	if t.PkgPath() == "" {
		b.WriteString(t.Name())
		return
	}
	name, args := t.String(), ""
	if i := strings.IndexByte(name, '['); i >= 0 {
		name, args = name[:i], name[i:]
	}
	b.WriteString(t.PkgPath())
	b.WriteString(name[strings.IndexByte(name, '.'):])
	if args != "" {
		b.WriteString(canonicalArgs(args))
	}
}

func writeChan(b *strings.Builder, t reflect.Type) {
	elem := t.Elem()
	switch t.ChanDir() {
	case reflect.RecvDir:
		b.WriteString("<-chan ")
		write(b, elem)
	case reflect.SendDir:
		b.WriteString("chan<- ")
		write(b, elem)
	default:
		if elem.Name() == "" && elem.Kind() == reflect.Chan && elem.ChanDir() == reflect.RecvDir {
			b.WriteString("chan (")
			write(b, elem)
			b.WriteByte(')')
			return
		}
		b.WriteString("chan ")
		write(b, elem)
	}
}

func writeSignature(b *strings.Builder, t reflect.Type) {
	b.WriteByte('(')
	for i := range t.NumIn() {
		if i > 0 {
			b.WriteString(", ")
		}
		if t.IsVariadic() && i == t.NumIn()-1 {
			b.WriteString("...")
			write(b, t.In(i).Elem())
			continue
		}
		write(b, t.In(i))
	}
	b.WriteByte(')')
	switch n := t.NumOut(); n {
	case 0:
	case 1:
		b.WriteByte(' ')
		write(b, t.Out(0))
	default:
		b.WriteString(" (")
		for i := range n {
			if i > 0 {
				b.WriteString(", ")
			}
			write(b, t.Out(i))
		}
		b.WriteByte(')')
	}
}

func writeStruct(b *strings.Builder, t reflect.Type) {
	b.WriteString("struct{")
	for i := range t.NumField() {
		f := t.Field(i)
		if i > 0 {
			b.WriteString("; ")
		}
		if f.Anonymous {
			b.WriteString("embed ")
		}
		if f.PkgPath != "" {
			b.WriteString(f.PkgPath + ".")
		}
		b.WriteString(f.Name + " ")
		write(b, f.Type)
		if f.Tag != "" {
			b.WriteString(" " + strconv.Quote(string(f.Tag)))
		}
	}
	b.WriteByte('}')
}

func writeInterface(b *strings.Builder, t reflect.Type) {
	methods := make([]string, t.NumMethod())
	for i := range methods {
		m := t.Method(i)
		var s strings.Builder
		if m.PkgPath != "" {
			s.WriteString(m.PkgPath + ".")
		}
		s.WriteString(m.Name)
		writeSignature(&s, m.Type)
		methods[i] = s.String()
	}
	sort.Strings(methods)
	b.WriteString("interface{" + strings.Join(methods, "; ") + "}")
}
