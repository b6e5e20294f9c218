package reloader

import (
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// shortName gives a symbol's name as people know it: without the directories of
// the import path and without type arguments, "cart.(*Cart).Total".
func shortName(symbol string) string {
	name := withoutIdentity(printedName(symbol))
	head := len(name)
	if i := strings.IndexAny(name, "[("); i >= 0 { // receivers may name other packages
		head = i
	}
	name = name[strings.LastIndexByte(name[:head], '/')+1:]
	if pkg, rest, ok := strings.Cut(name, "."); ok {
		if plain, ok := symname.Unescape(pkg); ok {
			return plain + "." + rest
		}
	}
	return name
}

// withoutIdentity cuts out the path element by which the packages of one
// generation differ from those of others: "/hotgo_" and 12 hex digits; see "Fresh
// identity" in docs/architecture.md.
func withoutIdentity(name string) string {
	before, _, after := cutIdentity(name)
	return before + after
}

// identityOf gives the digits, the first of a generation's key, "" where a name
// has none.
func identityOf(name string) string {
	_, id, _ := cutIdentity(name)
	return id
}

const identityDigits = 12

func cutIdentity(name string) (before, id, after string) {
	before, after, ok := strings.Cut(name, "/hotgo_")
	if !ok || len(after) <= identityDigits || strings.Trim(after[:identityDigits], "0123456789abcdef") != "" || !strings.ContainsRune("./", rune(after[identityDigits])) {
		return name, "", ""
	}
	return before, after[:identityDigits], after[identityDigits:]
}

// shortNames gives those of a patch's functions, in the order of the manifest.
// Several instances of a generic function are one.
func shortNames(p *artifact.Patch) []string {
	var names []string
	for _, f := range p.Functions {
		if artifact.Generated(f.Name) {
			continue
		}
		if name := shortName(f.Name); len(names) == 0 || names[len(names)-1] != name {
			names = append(names, name)
		}
	}
	return names
}

// printedName is what the runtime calls a function that the linker calls symbol
// (runtime/symtab.go, Go 1.26: funcNameForPrint).
func printedName(symbol string) string {
	i, j := strings.IndexByte(symbol, '['), strings.LastIndexByte(symbol, ']')
	if i < 0 || j <= i {
		return symbol
	}
	return symbol[:i] + "[...]" + symbol[j+1:]
}

// isClosure reports whether a function's name is one that the compiler gives to
// a function literal, or to a wrapper of a go or defer statement
// (cmd/compile/internal/ir/func.go, Go 1.26 and 1.27: closureName). A declared
// function may have such a name as well. Not all closures are told apart here,
// and it is for the builder to know: what one closure has captured is nothing to
// another.
func isClosure(symbol string) bool {
	name := afterPackage(printedName(symbol))
	if strings.HasPrefix(name, "(") {
		_, name, _ = strings.Cut(name, ").")
	}
	dot := strings.LastIndexByte(name, '.')
	last := name[dot+1:]
	if i := strings.LastIndex(last, "-range"); i >= 0 && allDigits(last[i+len("-range"):]) || allDigits(last) {
		return true
	}
	for _, prefix := range []string{"func", "gowrap", "deferwrap"} {
		// One that is in nothing was declared.
		if rest, ok := strings.CutPrefix(last, prefix); ok && dot >= 0 && allDigits(rest) {
			return true
		}
	}
	return false
}

// afterPackage cuts the package off a function's name.
func afterPackage(name string) string {
	head := len(name)
	if i := strings.IndexAny(name, "[("); i >= 0 {
		head = i
	}
	slash := strings.LastIndexByte(name[:head], '/') + 1
	_, rest, _ := strings.Cut(name[slash:], ".")
	return rest
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }
