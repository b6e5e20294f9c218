package funcdiff

import (
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
)

// Finding is an entry of the catalogue of edits that applies to a diff.
type Finding struct {
	Code   string // such as HG0001; codes are never renumbered
	Symbol string // short
	Text   string // one sentence
	Refuse bool   // no patch can do it
	Fresh  bool   // of what embeds: variables of a new generation have the new files
}

// The codes of the catalogue that a comparison of two builds can come upon.
const (
	CodeLayout       = "HG0001" // struct layout or size
	CodeRename       = "HG0002" // field or type renamed
	CodeTag          = "HG0003" // struct tag
	CodeSignature    = "HG0010" // signature
	CodeMethods      = "HG0020" // method set, interface
	CodeNewInit      = "HG0030" // new variable with an initialiser that runs code
	CodeInitialiser  = "HG0031" // initialiser of an existing variable
	CodeVarType      = "HG0032" // type of an existing variable
	CodeInit         = "HG0040" // init function
	CodeGeneric      = "HG0050" // generic function or type
	CodeEscape       = "HG0062" // what escapes
	CodeNeverReturns = "HG0081" // runs since the program started
	CodeBeyond       = "HG0063" // assembly, cgo, linkname, runtime, nosplit
	CodeEmbed        = "HG0093" // embedded file
	CodeUnknown      = "HG0099" // not understood
)

func (d *differ) find(refuse bool, code, symbol, format string, args ...any) {
	d.findings = append(d.findings, Finding{Code: code, Symbol: Short(symbol), Text: fmt.Sprintf(format, args...), Refuse: refuse})
}

// catalogue looks through everything of a package but its functions.
func (d *differ) catalogue(c *comparer, pkg Package) error {
	if err := d.types(c, pkg); err != nil {
		return err
	}
	d.variables(c, pkg)
	old, now := pkg.Old.Declared, pkg.New.Declared
	for _, name := range slices.Sorted(maps.Keys(now.Funcs)) {
		if was := old.Funcs[name]; was != nil && (was.NoBody || now.Funcs[name].NoBody) && was.Body != now.Funcs[name].Body {
			d.find(true, CodeBeyond, name, "%s cannot be replaced: it is implemented elsewhere", Short(name))
		}
	}
	switch {
	case len(now.Inits) > len(old.Inits):
		d.find(true, CodeInit, now.Prefix+".init", "%s has an init function more, and init functions run when the program starts", Short(now.Prefix))
	case !slices.Equal(old.Inits, now.Inits):
		d.find(true, CodeInit, now.Prefix+".init", "an init function of %s changed, and it has run already", Short(now.Prefix))
	}
	return nil
}

// types compares the descriptors of all types that both builds have.
func (d *differ) types(c *comparer, pkg Package) error {
	for _, k := range slices.SortedFunc(maps.Keys(c.newDefs), byName) {
		was, ok := c.oldDefs[k]
		if !ok || !isDescriptor(k.name) {
			continue
		}
		same, err := c.equal(was, c.newDefs[k])
		if err != nil {
			return err
		}
		if same {
			continue
		}
		name := strings.TrimLeft(strings.TrimPrefix(k.name, "type:"), "*")
		if base, instance := typeInstance(name); instance {
			d.find(true, CodeGeneric, name, "the type %s, an instance of %s, has another layout or other methods, and the program has values of the old one", Short(name), Short(base))
			continue
		}
		if composite(name) {
			d.composites = append(d.composites, name)
			continue
		}
		d.typeFinding(pkg, name)
	}
	for name, was := range pkg.Old.Declared.Types {
		d.renamed(pkg, name, was)
	}
	// Types whose descriptors nobody needed.
	for name, now := range pkg.New.Declared.Types {
		was := pkg.Old.Declared.Types[name]
		if was == nil || was.Alias || now.Alias || was.Generic || now.Generic || was.Text == now.Text {
			continue
		}
		_, a := c.oldDefs[nameABI{"type:" + name, goobj.ABI0}]
		_, b := c.newDefs[nameABI{"type:" + name, goobj.ABI0}]
		if !a || !b {
			d.typeFinding(pkg, name)
		}
	}
	return nil
}

// typeInstance gives the generic type that a type is an instance of, and whether
// it is one.
func typeInstance(name string) (base string, ok bool) {
	base, _, ok = strings.Cut(name, "[")
	return base, ok && strings.HasSuffix(name, "]") && !composite(base) && strings.Contains(base, ".")
}

// composite reports whether a type's name is spelled out of those of others. It
// changes only where one of those does.
func composite(name string) bool {
	base, _, _ := strings.Cut(name, "[")
	return base == "" || base == "map" || strings.ContainsAny(base, " ({<") || strings.HasPrefix(name, "noalg.") || strings.HasPrefix(name, "map.")
}

// renamed looks for a type that took the place of one that is gone.
func (d *differ) renamed(pkg Package, name string, was *Type) {
	if pkg.New.Declared.Types[name] != nil || was.Alias || was.Generic || !d.Has("type:"+name, goobj.ABI0) && !d.Has("type:*"+name, goobj.ABI0) {
		return
	}
	for _, fresh := range slices.Sorted(maps.Keys(pkg.New.Declared.Types)) {
		now := pkg.New.Declared.Types[fresh]
		if pkg.Old.Declared.Types[fresh] == nil && !now.Alias && now.Text == was.Text {
			d.find(true, CodeRename, name, "the type %s is called %s now, and the program has values of it by the old name", Short(name), Short(fresh))
			return
		}
	}
}

// typeFinding says what happened to a type, as its source tells.
func (d *differ) typeFinding(pkg Package, name string) {
	was, now := pkg.Old.Declared.Types[name], pkg.New.Declared.Types[name]
	short := Short(name)
	if name, _, local := strings.Cut(name, "·"); local {
		// Those of one name the compiler numbers.
		d.find(true, CodeLayout, name, "a type %s that a function declares changed, or another one of that name came or went, and the program may have values of it", Short(name))
		return
	}
	if was == nil || now == nil {
		d.find(true, CodeLayout, name, "the type %s changed, and the program has values of the old one", short)
		return
	}
	_, isInterface := now.Expr.(*ast.InterfaceType)
	switch {
	case isInterface && was.Text != now.Text:
		d.find(true, CodeMethods, name, "the interface %s changed, and values of the old one are in use", short)
	case was.Text == now.Text:
		if diff := methodsDiff(pkg, name); diff != "" {
			d.find(true, CodeMethods, name, "the methods of %s changed (%s), and the program has values of it", short, diff)
			return
		}
		d.find(true, CodeLayout, name, "a type that %s consists of changed, and the program has values of it", short)
	default:
		code, text := structDiff(was, now)
		d.find(true, code, name, "%s: %s", short, text)
	}
}

// structDiff tells the fields of two definitions apart.
func structDiff(was, now *Type) (code, text string) {
	a, aok := was.Expr.(*ast.StructType)
	b, bok := now.Expr.(*ast.StructType)
	if !aok || !bok {
		return CodeLayout, "its definition changed, and the program has values of the old one"
	}
	old, fresh := fieldsOf(was, a), fieldsOf(now, b)
	for i := range min(len(old), len(fresh)) {
		x, y := old[i], fresh[i]
		if x == y {
			continue
		}
		switch {
		case len(old) != len(fresh):
		case x.name == y.name && x.typ == y.typ:
			return CodeTag, fmt.Sprintf("the tag of field %s was %s and is %s", x.name, orNone(x.tag), orNone(y.tag))
		case x.typ == y.typ && x.tag == y.tag && !slices.ContainsFunc(fresh, func(f field) bool { return f.name == x.name }):
			return CodeRename, fmt.Sprintf("field %s is called %s now", x.name, y.name)
		case x.name == y.name:
			return CodeLayout, fmt.Sprintf("field %s was %s and is %s, and the program has values of the old layout", x.name, shortType(x.typ), shortType(y.typ))
		}
		break
	}
	var plus, minus []string
	for _, f := range fresh {
		if !slices.ContainsFunc(old, func(o field) bool { return o.name == f.name }) {
			plus = append(plus, "+"+f.name)
		}
	}
	for _, f := range old {
		if !slices.ContainsFunc(fresh, func(n field) bool { return n.name == f.name }) {
			minus = append(minus, "-"+f.name)
		}
	}
	if len(plus)+len(minus) == 0 {
		return CodeLayout, "its fields are in another order, and the program has values of the old layout"
	}
	return CodeLayout, fmt.Sprintf("its fields changed (%s), and the program has values of the old layout", strings.Join(append(plus, minus...), " "))
}

func orNone(tag string) string {
	if tag == "" {
		return "none"
	}
	return tag
}

func shortType(t string) string {
	if i := strings.LastIndexByte(t, '/'); i >= 0 && !strings.ContainsAny(t, " {[(") {
		return t[i+1:]
	}
	return t
}

type field struct{ name, typ, tag string }

func fieldsOf(t *Type, s *ast.StructType) []field {
	var list []field
	for _, f := range s.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag = f.Tag.Value
		}
		r := renderer{s: &syntax{}}
		r.expr(t.file, f.Type)
		typ := r.b.String()
		for _, n := range f.Names {
			list = append(list, field{n.Name, typ, tag})
		}
		if len(f.Names) == 0 {
			list = append(list, field{strings.TrimPrefix(typ[strings.LastIndexByte(typ, '.')+1:], "*"), typ, tag})
		}
	}
	return list
}

// methodsDiff lists methods that came, went or have another signature.
func methodsDiff(pkg Package, typ string) string {
	prefix, bare := pkg.New.Declared.Prefix+".", strings.TrimPrefix(typ, pkg.New.Declared.Prefix+".")
	methods := func(d *Declarations) map[string]string {
		found := map[string]string{}
		for name, f := range d.Funcs {
			for _, recv := range []string{bare + ".", "(*" + bare + ")."} {
				if m, ok := strings.CutPrefix(name, prefix+recv); ok {
					found[m] = f.Signature
				}
			}
		}
		return found
	}
	old, now := methods(pkg.Old.Declared), methods(pkg.New.Declared)
	var diff []string
	for _, m := range slices.Sorted(maps.Keys(now)) {
		switch was, ok := old[m]; {
		case !ok:
			diff = append(diff, "+"+m)
		case was != now[m]:
			diff = append(diff, m+" has another signature")
		}
	}
	for _, m := range slices.Sorted(maps.Keys(old)) {
		if _, ok := now[m]; !ok {
			diff = append(diff, "-"+m)
		}
	}
	return strings.Join(diff, ", ")
}

// variables compares package variables.
func (d *differ) variables(c *comparer, pkg Package) {
	running := c.initialised()
	for _, name := range slices.Sorted(maps.Keys(pkg.New.Declared.Vars)) {
		now, was := pkg.New.Declared.Vars[name], pkg.Old.Declared.Vars[name]
		k := nameABI{name, goobj.ABI0}
		p, ok := c.newDefs[k]
		if !ok {
			continue // nobody uses it
		}
		if !d.Has(name, goobj.ABI0) {
			if running[name] {
				d.find(true, CodeNewInit, name, "the new variable %s is initialised by code, and initialisers run when the program starts", Short(name))
			}
			continue
		}
		if was == nil {
			continue // the program has it all the same: an earlier name of it
		}
		// The objects know the types, and the sources say little about them.
		if q, ok := c.oldDefs[k]; ok && c.typeHashOld(q) != c.typeHash(p) {
			d.find(true, CodeVarType, name, "the variable %s has another type, and it keeps its value", Short(name))
			continue
		}
		if was.Init != now.Init {
			if strings.HasPrefix(now.Init, "//go:embed") {
				d.find(false, CodeEmbed, name, "%s embeds other files; it keeps its value until the program starts again", Short(name))
				d.findings[len(d.findings)-1].Fresh = true
				continue
			}
			d.find(false, CodeInitialiser, name, "%s keeps its value; the new initialiser applies when the program starts again", Short(name))
		}
	}
}

// typeHashOld is typeHash for the old build, without what the source says.
func (c *comparer) typeHashOld(p place) string {
	swapped := *c
	swapped.new = &Build{Objects: c.old.Objects, Indexed: c.old.Indexed, Declared: c.new.Declared}
	return swapped.typeHash(p)
}

// initialised gives the names that initialisers of the new build refer to.
func (c *comparer) initialised() map[string]bool {
	found := map[string]bool{}
	for k, p := range c.newDefs {
		if !p.symbol.IsText() || !initialiser(c.new.Declared.Prefix, k.name) {
			continue
		}
		for _, r := range p.symbol.Relocs {
			if k, _ := c.resolve(c.new, p.object, r.Sym); k.name != "" {
				found[k.name] = true
			}
		}
	}
	return found
}

// functionFindings looks at the functions that differ.
func (d *differ) functionFindings(functions []Function) {
	for _, f := range functions {
		pkg := d.packages[slices.IndexFunc(d.packages, func(p Package) bool { return p.Path == f.Package })]
		base, _ := generic(f.Name)
		was, now := pkg.Old.Declared.Funcs[base], pkg.New.Declared.Funcs[base]
		short := Short(f.Name)
		if f.Name == "main.main" && f.Change == Changed {
			d.find(false, CodeNeverReturns, f.Name, "main.main runs since the program started and keeps the code that it has")
		}
		switch {
		case f.Change != Changed:
		case was != nil && was.Pragma != "" || now != nil && now.Pragma != "":
			pragma := ""
			if now != nil {
				pragma = now.Pragma
			}
			if pragma == "" {
				pragma = was.Pragma
			}
			d.find(true, CodeBeyond, f.Name, "%s cannot be replaced: it has the directive //go:%s", short, pragma)
		case was != nil && now != nil && was.Signature != now.Signature && d.taken[f.Name]:
			d.find(true, CodeSignature, f.Name, "%s was %s and is %s, and the program has it as a value or method", short, plain(was.Signature), plain(now.Signature))
		case f.Unlike && f.Redirect && slices.ContainsFunc(d.callers[f.Name], d.differs):
			d.find(true, CodeEscape, f.Name, "%s keeps other arguments than before, and code that runs passes it what it keeps on its stack", short)
		}
	}
}

// plain makes a rendered signature readable.
func plain(s string) string {
	if i := strings.IndexByte(s, '('); i >= 0 && !strings.HasPrefix(s, "(") {
		s = s[i:]
	} else if i := strings.Index(s, ")."); i >= 0 {
		s = s[i+2:]
	}
	return "func" + strings.NewReplacer(",)", ")", ",", ", ").Replace(s)
}
