package carry

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Verdict says what happens to a variable.
type Verdict string

// The verdicts.
const (
	Carried   Verdict = "carried"   // it keeps its value, and what that leads to where it can be shared
	Converted Verdict = "converted" // it keeps its value, in a type of another definition
	Fresh     Verdict = "fresh"     // it starts anew, because its author wants that
	New       Verdict = "new"       // the old generation had none
	Lost      Verdict = "lost"      // the new generation has none
	Refused   Verdict = "refused"   // its type cannot be converted
)

// Decision is what is planned for a variable.
type Decision struct {
	Name     string
	Verdict  Verdict
	Old, New string // types as the user writes them, "" where there is none
	Code     string
	Text     string // what is converted, or why not
}

// String is one line.
func (d Decision) String() string {
	s := fmt.Sprintf("%-9s  %s", d.Verdict, d.Name)
	if d.Text != "" {
		s += "  " + d.Text
	}
	if d.Code != "" {
		s += " (" + d.Code + ")"
	}
	return s
}

// Plan says what is to happen to each variable. It was made of types alone.
type Plan struct {
	Decisions []Decision // sorted by name

	old, new *Generation
	rs       *relations
	types    *counterparts
	pairs    []pair
	entries  map[uintptr]string // of the old generation's functions
	unknown  map[reflect.Type]bool
	warm     map[*relation]bool
}

// pair is a variable that both generations have.
type pair struct {
	name     string
	old, new Variable
	rel      *relation
	verdict  Verdict
}

func (p *pair) carries() bool { return p.verdict == Carried || p.verdict == Converted }

// String gives a line for each variable.
func (p *Plan) String() string {
	var b strings.Builder
	for _, d := range p.Decisions {
		fmt.Fprintln(&b, d)
	}
	return b.String()
}

// Guarded reports whether a lock lies in a variable itself: see Options.Apart.
func (p *Plan) Guarded() bool {
	return slices.ContainsFunc(p.pairs, func(v pair) bool { return v.carries() && v.rel.guarded() })
}

// Refusals are the decisions that keep state from being carried.
func (p *Plan) Refusals() []Decision {
	return slices.DeleteFunc(slices.Clone(p.Decisions), func(d Decision) bool { return d.Verdict != Refused })
}

// Compare plans what happens to the variables of a generation when the next one
// takes its place. It looks at types, never at values.
func Compare(from, to *Generation) *Plan {
	p := &Plan{old: from, new: to, entries: map[uintptr]string{}, unknown: map[reflect.Type]bool{}, warm: map[*relation]bool{}}
	p.types = &counterparts{old: namesOf(from), new: namesOf(to), found: map[reflect.Type]counterpart{}}
	p.rs = newRelations(func(t reflect.Type) bool { return p.types.old.owns(t) || p.types.new.owns(t) })
	for name, f := range from.Functions {
		p.entries[f.Pointer()] = name
	}
	next := map[string]Variable{}
	for _, v := range to.Variables {
		next[v.Name] = v
	}
	for _, v := range from.Variables {
		n, ok := next[v.Name]
		delete(next, v.Name)
		if !ok && to.Unused[v.Name] {
			continue
		}
		if !ok {
			p.decide(Decision{
				Name: v.Name, Verdict: Lost, Old: p.types.old.of(v.Pointer.Type().Elem()), Code: CodeDropped,
				Text: "the new code has no such variable",
			})
			continue
		}
		p.pair(v, n)
	}
	for _, v := range next {
		p.decide(Decision{Name: v.Name, Verdict: New, New: p.types.new.of(v.Pointer.Type().Elem())})
	}
	slices.SortFunc(p.Decisions, func(a, b Decision) int { return strings.Compare(a.Name, b.Name) })
	slices.SortFunc(p.pairs, func(a, b pair) int { return strings.Compare(a.name, b.name) })
	return p
}

func (p *Plan) decide(d Decision) { p.Decisions = append(p.Decisions, d) }

func (p *Plan) pair(from, to Variable) {
	a, b := from.Pointer.Type().Elem(), to.Pointer.Type().Elem()
	r := p.rs.of(a, b)
	d := Decision{Name: from.Name, Verdict: Carried, Old: p.types.old.of(a), New: p.types.new.of(b)}
	switch {
	case to.Fresh:
		d.Verdict, d.Text = Fresh, "it is marked to start anew"
	default:
		p.judge(r, &d)
	}
	p.decide(d)
	p.warmUp(r)
	p.pairs = append(p.pairs, pair{from.Name, from, to, r, d.Verdict})
}

// judge finds what differs in all that a variable's type leads to.
func (p *Plan) judge(r *relation, d *Decision) {
	var changes []string
	r.all(func(x *relation) bool {
		switch {
		case x.shape == refused:
			d.Verdict, d.Code = Refused, x.code
			d.Text = fmt.Sprintf("%s, in %s (%s before, %s now)", x.why, d.Name, p.types.old.of(x.old), p.types.new.of(x.new))
			return false
		case x.shape == number:
			changes = append(changes, fmt.Sprintf("%s becomes %s", p.types.old.of(x.old), p.types.new.of(x.new)))
			d.code(CodeType)
		case x.shape == array && x.old.Len() != x.new.Len():
			changes = append(changes, fmt.Sprintf("[%d] becomes [%d]", x.old.Len(), x.new.Len()))
			d.code(CodeLayout)
		case x.shape == structure && !x.like:
			if text := p.fieldChanges(x); text != "" {
				changes = append(changes, text)
			}
			d.code(CodeLayout)
			if len(x.dropped) > 0 {
				d.Code = CodeDropped
			}
		}
		return true
	})
	if d.Verdict != Refused && !r.isTwin() {
		d.Verdict, d.Text = Converted, strings.Join(changes, "; ")
	}
}

// code sets the code of a decision that has none.
func (d *Decision) code(code string) {
	if d.Code == "" {
		d.Code = code
	}
}

// fieldChanges says what became of a struct's fields.
func (p *Plan) fieldChanges(r *relation) string {
	var added, dropped []string
	for f := range fieldsOf(r.new) {
		if _, ok := r.old.FieldByName(f.Name); !ok && f.Name != "_" {
			added = append(added, f.Name)
		}
	}
	for _, i := range r.dropped {
		dropped = append(dropped, r.old.Field(i).Name)
	}
	var parts []string
	if len(added) > 0 {
		parts = append(parts, "adds "+strings.Join(added, ", "))
	}
	if len(dropped) > 0 {
		parts = append(parts, "drops "+strings.Join(dropped, ", "))
	}
	if len(parts) == 0 {
		for i := range r.fields {
			if r.fields[i].at != r.fields[i].to {
				parts = []string{"has its fields elsewhere"}
				break
			}
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return p.types.new.of(r.new) + " " + strings.Join(parts, ", ")
}
