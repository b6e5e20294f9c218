package statediff

import (
	"fmt"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/builder/internal/symbols"
)

// shape says how a value of a relation is carried: see package carry.
type shape uint8

const (
	bits shape = iota
	number
	structure
	array
	pointer
	outward // to another package's memory, which is kept and not looked into
	slice
	mapping
	boxed
	function
	channel
	special // a type of the standard library with rules of its own
	refused
)

// relation pairs a type of the old version with one of the new.
type relation struct {
	old, new types.Type
	same     bool // they are one type, and nothing of the plugin is in it
	shape    shape
	fields   []*relation
	added    []string // names of the fields that the old type lacks
	dropped  []string // and of those that the new one does
	moved    bool     // fields of both are at other places
	elem     *relation
	key      *relation
	also     []*relation // types in signatures
	rule     *rule
	like     bool // both have the same definition, apart from what the relations above say
	why      string
	code     string

	twin  answer
	inert answer // holds for one epoch of relations
	epoch int
}

type answer uint8

const (
	unknown answer = iota
	yes
	no
)

// relations makes each relation once. Types are known by how they are spelled: a
// type that is no named one is another object wherever it is written.
type relations struct {
	sizes    types.Sizes
	own      map[string]bool // import paths of either version
	known    map[[2]string]*relation
	partners map[string]map[string]bool // of old types: the new ones that they are paired with
	spelled  map[types.Type]string
	// copied are the old types that lie in memory of which there is a copy, and runs
	// those of which several lie side by side there.
	copied, runs map[string]bool
	epoch        int  // grows with both, and is another one after apart
	apart        bool // a lock lies in a variable, and no memory of the plugin is shared
}

func newRelations(c Config) *relations {
	rs := &relations{
		sizes: c.Sizes, own: map[string]bool{}, known: map[[2]string]*relation{}, partners: map[string]map[string]bool{},
		spelled: map[types.Type]string{}, copied: map[string]bool{}, runs: map[string]bool{},
	}
	for _, p := range slices.Concat(c.Old, c.New) {
		rs.own[p.ImportPath] = true
	}
	return rs
}

// spell writes a type as package carry does.
func (rs *relations) spell(t types.Type) string {
	s, ok := rs.spelled[t]
	if !ok {
		s = symbols.Spell(t)
		rs.spelled[t] = s
	}
	return s
}

// of gives the relation of two types.
func (rs *relations) of(from, to types.Type) *relation {
	from, to = types.Unalias(from), types.Unalias(to)
	pair := [2]string{rs.spell(from), rs.spell(to)}
	if r := rs.known[pair]; r != nil {
		return r
	}
	r := &relation{old: from, new: to, same: types.Identical(from, to), like: true}
	rs.known[pair] = r
	if rs.partners[pair[0]] == nil {
		rs.partners[pair[0]] = map[string]bool{}
	}
	rs.partners[pair[0]][pair[1]] = true
	if kindOf(from) != kindOf(to) {
		rs.otherKind(r)
		return r
	}
	if rule := ruleFor(from, to); rule != nil {
		rs.ruled(r, rule)
		return r
	}
	switch a := from.Underlying().(type) {
	case *types.Struct:
		rs.structure(r, a, to.Underlying().(*types.Struct))
	case *types.Array:
		b := to.Underlying().(*types.Array)
		r.shape, r.elem, r.like = array, rs.of(a.Elem(), b.Elem()), a.Len() == b.Len()
	case *types.Pointer:
		if r.same && rs.foreign(a.Elem()) {
			r.shape = outward
			return r
		}
		r.shape, r.elem = pointer, rs.of(a.Elem(), to.Underlying().(*types.Pointer).Elem())
	case *types.Slice:
		r.shape, r.elem = slice, rs.of(a.Elem(), to.Underlying().(*types.Slice).Elem())
	case *types.Map:
		b := to.Underlying().(*types.Map)
		r.shape, r.key, r.elem = mapping, rs.of(a.Key(), b.Key()), rs.of(a.Elem(), b.Elem())
	case *types.Chan:
		b := to.Underlying().(*types.Chan)
		r.shape, r.elem, r.like = channel, rs.of(a.Elem(), b.Elem()), a.Dir() == b.Dir()
	case *types.Signature:
		r.shape, r.like = function, r.same || rs.signature(r, a, to.Underlying().(*types.Signature))
	case *types.Interface:
		r.shape, r.like = boxed, r.same || rs.methods(r, a, to.Underlying().(*types.Interface))
	}
	return r
}

// paired reports whether a type of the old version becomes several: a pointer to one of
// it then may lead to what is not of the type that the pointer has now.
func (rs *relations) paired(t types.Type) bool {
	return len(rs.partners[rs.spell(types.Unalias(t))]) > 1
}

func (rs *relations) anyPaired() bool {
	for _, to := range rs.partners {
		if len(to) > 1 {
			return true
		}
	}
	return false
}

// foreign reports whether memory of type t, behind a pointer, is another package's.
func (rs *relations) foreign(t types.Type) bool {
	path := pathOf(t)
	return path != "" && !rs.own[path] && !plainPackages[path] && ruleFor(t, t) == nil
}

func (rs *relations) otherKind(r *relation) {
	r.like = false
	a, b := kindOf(r.old), kindOf(r.new)
	if numeric(a) && numeric(b) && (!fractional(a) || !whole(b)) && (a >= reflect.Complex64) == (b >= reflect.Complex64) {
		r.shape = number
		return
	}
	r.refuse(codeType, fmt.Sprintf("what is %s cannot become %s without loss", a, b))
}

func (r *relation) refuse(code, why string) {
	r.shape, r.code, r.why, r.like = refused, code, why, false
}

// structure pairs fields by name. Blank fields hold nothing.
func (rs *relations) structure(r *relation, a, b *types.Struct) {
	r.shape, r.like = structure, a.NumFields() == b.NumFields()
	at, to := rs.offsets(a), rs.offsets(b)
	index := map[string]int{}
	for i := range b.NumFields() {
		index[b.Field(i).Name()] = i
	}
	was := map[string]bool{}
	for i := range a.NumFields() {
		f := a.Field(i)
		was[f.Name()] = true
		if f.Name() == "_" {
			r.like = r.like && b.Field(i).Name() == "_" && to[i] == at[i] && rs.blank(f.Type(), b.Field(i).Type())
			continue
		}
		n, ok := index[f.Name()]
		if !ok {
			r.like, r.dropped = false, append(r.dropped, f.Name())
			continue
		}
		r.fields = append(r.fields, rs.of(f.Type(), b.Field(n).Type()))
		r.moved = r.moved || at[i] != to[n]
		r.like = r.like && at[i] == to[n] && i == n && f.Embedded() == b.Field(n).Embedded()
	}
	for i := range b.NumFields() {
		if name := b.Field(i).Name(); name != "_" && !was[name] {
			r.added = append(r.added, name)
		}
	}
}

func (rs *relations) offsets(s *types.Struct) []int64 {
	fields := make([]*types.Var, s.NumFields())
	for i := range fields {
		fields[i] = s.Field(i)
	}
	return rs.sizes.Offsetsof(fields)
}

// blank reports whether two blank fields keep a struct what it is.
func (rs *relations) blank(a, b types.Type) bool {
	return types.Identical(a, b) || rs.sizes.Sizeof(a) == 0 && rs.sizes.Sizeof(b) == 0 && kindOf(a) == kindOf(b)
}

// signature compares two function types that are not one, and notes what they
// mention.
func (rs *relations) signature(r *relation, a, b *types.Signature) bool {
	if a.Params().Len() != b.Params().Len() || a.Results().Len() != b.Results().Len() || a.Variadic() != b.Variadic() {
		return false
	}
	for _, t := range [][2]*types.Tuple{{a.Params(), b.Params()}, {a.Results(), b.Results()}} {
		for i := range t[0].Len() {
			r.also = append(r.also, rs.of(t[0].At(i).Type(), t[1].At(i).Type()))
		}
	}
	return true
}

// methods compares two interfaces that are not one.
func (rs *relations) methods(r *relation, a, b *types.Interface) bool {
	if a.NumMethods() != b.NumMethods() {
		return false
	}
	was, now := byName(a), byName(b)
	for i := range was {
		x, y := was[i].Signature(), now[i].Signature()
		if was[i].Name() != now[i].Name() || !types.Identical(x, y) && !rs.signature(r, x, y) {
			return false
		}
	}
	return true
}

func byName(t *types.Interface) []*types.Func {
	return slices.SortedFunc(t.Methods(), func(a, b *types.Func) int { return strings.Compare(a.Name(), b.Name()) })
}

// leads are the relations of what a value is made of or leads to.
func (r *relation) leads(yield func(*relation) bool) {
	for i := range r.fields {
		if !yield(r.fields[i]) {
			return
		}
	}
	if r.key != nil && !yield(r.key) || r.elem != nil && !yield(r.elem) {
		return
	}
	for _, a := range r.also {
		if !yield(a) {
			return
		}
	}
}

// all reports whether holds is true of r and of everything reachable.
func (r *relation) all(holds func(*relation) bool) bool {
	seen := map[*relation]bool{r: true}
	queue := []*relation{r}
	for i := 0; i < len(queue); i++ {
		if !holds(queue[i]) {
			return false
		}
		for n := range queue[i].leads {
			if !seen[n] {
				seen[n] = true
				queue = append(queue, n)
			}
		}
	}
	return true
}

// isTwin reports whether both types have one definition, and all that is reachable
// from them have.
func (rs *relations) isTwin(r *relation) bool {
	if r.twin == unknown {
		r.twin = no
		if r.all(func(x *relation) bool { return x.like && rs.sizes.Sizeof(x.old) == rs.sizes.Sizeof(x.new) }) {
			r.twin = yes
		}
	}
	return r.twin == yes
}

// isInert reports whether values of r can be shared and copied without a look at what
// is in them.
func (rs *relations) isInert(r *relation) bool {
	if r.epoch == rs.epoch && r.inert != unknown {
		return r.inert == yes
	}
	inert := rs.isTwin(r) && r.all(func(x *relation) bool {
		switch x.shape {
		case boxed, function, refused, number:
			return false
		case pointer:
			return !rs.apart && !rs.copied[rs.unit(x.old)]
		case outward:
			return !rs.copied[rs.unit(x.old)]
		case slice:
			return !rs.apart && !rs.runs[rs.unit(x.old)]
		case mapping:
			return !rs.apart
		case special:
			return x.rule.inert
		}
		return true
	})
	r.epoch, r.inert = rs.epoch, no
	if inert {
		r.inert = yes
	}
	return inert
}

// unit spells what a pointer or slice leads to; an array is what it is an array of.
func (rs *relations) unit(t types.Type) string {
	t = elemOf(t)
	for {
		a, ok := t.Underlying().(*types.Array)
		if !ok {
			return rs.spell(types.Unalias(t))
		}
		t = a.Elem()
	}
}

func elemOf(t types.Type) types.Type {
	switch t := t.Underlying().(type) {
	case *types.Pointer:
		return t.Elem()
	case *types.Slice:
		return t.Elem()
	}
	return t
}

// mayBeCopied notes that there may be a copy of memory of type t, with others of it
// beside it or not, and reports whether that is news.
func (rs *relations) mayBeCopied(t types.Type, run bool) (news bool) {
	for {
		a, ok := t.Underlying().(*types.Array)
		if !ok {
			break
		}
		t, run = a.Elem(), true
	}
	name := rs.spell(types.Unalias(t))
	if run && !rs.runs[name] {
		rs.runs[name], news = true, true
	}
	if !rs.copied[name] {
		rs.copied[name], news = true, true
		if s, ok := t.Underlying().(*types.Struct); ok {
			for f := range s.Fields() {
				rs.mayBeCopied(f.Type(), false)
			}
		}
	}
	if news {
		rs.epoch++
	}
	return news
}

// admit notes what may be copied of all that r leads to, and reports whether that is
// news.
func (rs *relations) admit(r *relation) (news bool) {
	for again := true; again; {
		again = false
		r.all(func(x *relation) bool {
			if (x.shape == pointer || x.shape == slice) && !rs.isInert(x) && rs.mayBeCopied(elemOf(x.old), x.shape == slice) {
				again, news = true, true
			}
			return true
		})
	}
	return news
}
