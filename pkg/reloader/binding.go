package reloader

import (
	"fmt"
	"reflect"
	"unicode"
	"unicode/utf8"

	"github.com/hotgo/hotgo/pkg/internal/typename"
)

// binding is what the host asked for with one Bind, without its type
// parameter.
type binding struct {
	symbol     string
	typ        reflect.Type
	builtin    any // *T
	hasBuiltin bool
	fit        func(value any) (any, bool) // what a plugin added -> *T
}

// value resolves the binding in a generation's symbols.
func (b *binding) value(symbols map[string]any) (any, error) {
	v, ok := symbols[b.symbol]
	if !ok {
		return nil, &misfitError{rule: ruleSymbolGone, symbol: b.symbol, host: typename.Of(b.typ), artifact: "no such symbol"}
	}
	if out, ok := b.fit(v); ok {
		return out, nil
	}
	return nil, &misfitError{rule: ruleSignature, symbol: b.symbol, host: typename.Of(b.typ), artifact: describe(v)}
}

// misfitError says that a plugin's symbol is not what the host bound.
type misfitError struct {
	rule           string // HG0004, HG0010, HG0011
	symbol         string
	host, artifact string // types
	private        string // HG0004: the plugin's own type
}

func (e *misfitError) Error() string {
	switch e.rule {
	case ruleSymbolGone:
		return fmt.Sprintf("the host binds %s, the artifact has no such function or variable", e.symbol)
	case rulePrivateType:
		return fmt.Sprintf("%s has type %s, and %s is defined by the plugin itself: no two generations share it, so no handle can hold it", e.symbol, e.artifact, e.private)
	}
	return fmt.Sprintf("%s has type %s, the host binds it as %s", e.symbol, e.artifact, e.host)
}

// Codes of the catalogue of refused edits.
const (
	rulePrivateType = "HG0004"
	ruleSignature   = "HG0010"
	ruleSymbolGone  = "HG0011"
)

// fit turns what a plugin added (a function, or a pointer to a variable) into
// a T. A variable's value is preferred to its address where both would fit,
// which only an interface type lets happen.
func fit[T any](value any) (out T, ok bool) {
	to := reflect.ValueOf(&out).Elem()
	for _, v := range candidates(value) {
		if v.Type().AssignableTo(to.Type()) {
			to.Set(v)
			return out, true
		}
	}
	return out, false
}

// candidates are the values that a symbol can stand for: a function itself, a
// variable's value and its address.
func candidates(value any) []reflect.Value {
	v := reflect.ValueOf(value)
	if v.Kind() == reflect.Pointer && !v.IsNil() {
		return []reflect.Value{v.Elem(), v}
	}
	if v.Kind() == reflect.Func && !v.IsNil() {
		return []reflect.Value{v}
	}
	return nil
}

func describe(value any) string {
	c := candidates(value)
	if len(c) == 0 {
		return fmt.Sprintf("%T (neither a function nor a pointer to a variable)", value)
	}
	return typename.Of(c[0].Type())
}

// exportedIdentifier reports whether a plugin can export s.
func exportedIdentifier(s string) bool {
	first, _ := utf8.DecodeRuneInString(s)
	if !unicode.IsUpper(first) {
		return false
	}
	for _, r := range s {
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return false
		}
	}
	return true
}
