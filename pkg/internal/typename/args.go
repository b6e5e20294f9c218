package typename

// reflect gives the type arguments of an instantiated type only as text, in
// the linker's spelling of types: import paths with %xx escapes, struct and
// interface bodies with inner spaces, embedded fields without a name, local
// types with a "·N" suffix. This file turns that spelling into the canonical
// one. (go1.26: cmd/compile/internal/types/fmt.go in mode fmtTypeID, and
// cmd/internal/objabi/path.go for the escapes.)

import (
	"sort"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// canonicalArgs rewrites "[T1,T2]" from the linker's spelling. Text that does
// not parse is returned as it is: two equal texts still mean equal types, so
// the worst case is a refusal of a type that would have fitted.
func canonicalArgs(s string) string {
	p := linkParser{s: s}
	out := p.args()
	if p.bad || p.i != len(s) {
		return s
	}
	return out
}

// maxNesting bounds the parser's recursion; the compiler's own limit on
// instantiation depth is far below it.
const maxNesting = 1000

type linkParser struct {
	s     string
	i     int
	depth int
	bad   bool
}

func (p *linkParser) fail() string { p.bad = true; return "" }

// eat consumes prefix if the rest starts with it.
func (p *linkParser) eat(prefix string) bool {
	if p.bad || !strings.HasPrefix(p.s[p.i:], prefix) {
		return false
	}
	p.i += len(prefix)
	return true
}

func (p *linkParser) need(prefix string) {
	if !p.eat(prefix) {
		p.bad = true
	}
}

// list parses elements up to and including end.
func (p *linkParser) list(sep, end string, element func() string) []string {
	var out []string
	for !p.bad && !p.eat(end) {
		if len(out) > 0 {
			p.need(sep)
		}
		out = append(out, element())
	}
	return out
}

func (p *linkParser) args() string {
	p.need("[")
	return "[" + strings.Join(p.list(",", "]", p.typ), ",") + "]"
}

func (p *linkParser) typ() string {
	if p.depth++; p.depth > maxNesting {
		return p.fail()
	}
	defer func() { p.depth-- }()
	switch {
	case p.eat("[]"):
		return "[]" + p.typ()
	case p.eat("["):
		n := p.word()
		p.need("]")
		return "[" + n + "]" + p.typ()
	case p.eat("*"):
		return "*" + p.typ()
	case p.eat("map["):
		key := p.typ()
		p.need("]")
		return "map[" + key + "]" + p.typ()
	case p.eat("<-chan "):
		return "<-chan " + p.typ()
	case p.eat("chan<- "):
		return "chan<- " + p.typ()
	case p.eat("chan ("):
		elem := p.typ()
		p.need(")")
		return "chan (" + elem + ")"
	case p.eat("chan "):
		return "chan " + p.typ()
	case strings.HasPrefix(p.s[p.i:], "func("):
		p.need("func")
		return "func" + p.signature()
	case p.eat("struct {"):
		return "struct{" + strings.Join(p.body(p.field), "; ") + "}"
	case p.eat("interface {"):
		methods := p.body(p.method)
		sort.Strings(methods)
		return "interface{" + strings.Join(methods, "; ") + "}"
	}
	return p.named()
}

func (p *linkParser) named() string {
	name := qualified(p.word())
	if name == "" {
		return p.fail()
	}
	if strings.HasPrefix(p.s[p.i:], "[") {
		name += p.args()
	}
	return name
}

func (p *linkParser) signature() string {
	p.need("(")
	out := "(" + strings.Join(p.list(", ", ")", p.parameter), ", ") + ")"
	switch {
	case p.eat(" ("):
		out += " (" + strings.Join(p.list(", ", ")", p.typ), ", ") + ")"
	case p.resultFollows():
		p.need(" ")
		out += " " + p.typ()
	}
	return out
}

// resultFollows tells "func() int" from the last method or field of a body,
// whose signature is followed by " }" or by a tag.
func (p *linkParser) resultFollows() bool {
	rest := p.s[p.i:]
	return len(rest) > 1 && rest[0] == ' ' && rest[1] != '}' && rest[1] != '"'
}

func (p *linkParser) parameter() string {
	if p.eat("...") {
		return "..." + p.typ()
	}
	return p.typ()
}

// body parses "}" or " A; B }".
func (p *linkParser) body(element func() string) []string {
	if p.eat("}") {
		return nil
	}
	p.need(" ")
	return p.list("; ", " }", element)
}

func (p *linkParser) method() string {
	return qualified(p.word()) + p.signature()
}

// field parses "Name T", "T", "*T" and "Name = T", each with an optional tag.
func (p *linkParser) field() string {
	star := ""
	if p.eat("*") {
		star = "*"
	}
	start := p.i
	name := qualified(p.word())
	var out string
	switch {
	case star != "" || p.i == len(p.s) || p.s[p.i] != ' ' || !p.resultFollows():
		p.i = start
		typ := p.named()
		out = "embed " + embeddedName(typ) + " " + star + typ
	case p.eat(" = "):
		out = "embed " + name + " " + p.typ()
	default:
		p.need(" ")
		out = name + " " + p.typ()
	}
	if strings.HasPrefix(p.s[p.i:], ` "`) {
		quoted, err := strconv.QuotedPrefix(p.s[p.i+1:])
		if err != nil {
			return p.fail()
		}
		p.i += 1 + len(quoted)
		tag, err := strconv.Unquote(quoted)
		if err != nil {
			return p.fail()
		}
		out += " " + strconv.Quote(tag)
	}
	return out
}

// word takes everything up to the next delimiter.
func (p *linkParser) word() string {
	n := strings.IndexAny(p.s[p.i:], " ,;()[]{}*\"")
	if n < 0 {
		n = len(p.s) - p.i
	}
	w := p.s[p.i : p.i+n]
	p.i += n
	if w == "" {
		p.bad = true
	}
	return w
}

// embeddedName is the field name that an embedded type gives: its identifier,
// with the package where it is not exported.
func embeddedName(typ string) string {
	name, _, _ := strings.Cut(typ, "[")
	slash := strings.LastIndexByte(name, '/')
	dot := strings.LastIndexByte(name, '.')
	if dot > slash && isExported(name[dot+1:]) {
		return name[dot+1:]
	}
	return name
}

// qualified undoes the linker's escapes in the import path of "path.Name" and
// drops the number of a local type.
func qualified(w string) string {
	w, _, _ = strings.Cut(w, "·")
	slash := strings.LastIndexByte(w, '/')
	dot := strings.LastIndexByte(w, '.')
	if dot <= slash {
		return w
	}
	path, ok := symname.Unescape(w[:dot])
	if !ok {
		return w
	}
	return path + w[dot:]
}
