package carry

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// refuse says why the value at a cannot be carried.
func (c *carrier) refuse(a address, r *relation, code, why string) *Refusal {
	return c.locate(&Refusal{Code: code, Old: c.types.old.of(r.old), New: c.types.new.of(r.new), Reason: why}, a)
}

// locate adds where a is.
func (c *carrier) locate(why *Refusal, a address) *Refusal {
	if why.Variable == "" {
		c.way(why, c.here.object, c.spell(c.here.object, c.here.part, a.word()-c.here.base))
	}
	return why
}

// wayTo adds where object i is.
func (c *carrier) wayTo(i int, why *Refusal) *Refusal {
	c.way(why, i, "")
	return why
}

// shownSteps bounds a path: lists can be long.
const shownSteps = 6

func (c *carrier) way(why *Refusal, i int, last string) {
	steps := []string{last}
	for c.objects.at(i).root == 0 {
		o := c.objects.at(i)
		if len(steps) < shownSteps {
			steps = append(steps, c.spell(o.parent, o.part, o.offset))
		} else if len(steps) == shownSteps {
			steps = append(steps, "…")
		}
		i = o.parent
	}
	slices.Reverse(steps)
	why.Variable, why.Path = c.plan.pairs[c.objects.at(i).root-1].name, strings.Join(steps, "")
}

// spell spells a place in an object.
func (c *carrier) spell(i int, p part, off uintptr) string {
	o := c.objects.at(i)
	switch p {
	case keyPart:
		return "[key]" + trail(o.rel.key, off)
	case valuePart:
		if o.rel.elem == nil { // of a sync.Map in a struct
			return "[…]"
		}
		return "[…]" + trail(o.rel.elem, off)
	}
	switch size := o.rel.old.Size(); {
	case o.kind == box:
		return ".(" + o.rel.old.String() + ")" + trail(o.rel, off)
	case o.n > 1 && size > 0:
		return index(off/size) + trail(o.rel, off%size)
	}
	return trail(o.rel, off)
}

// trail spells the fields and elements that lead to an offset.
func trail(r *relation, off uintptr) string {
	if r == nil {
		return ""
	}
	switch r.old.Kind() {
	case reflect.Struct:
		for i := range r.fields {
			if f := &r.fields[i]; off >= f.at && (off < f.at+f.old.Size() || off == f.at) {
				return "." + f.name + trail(f.relation, off-f.at)
			}
		}
	case reflect.Array:
		if size := r.elem.old.Size(); size > 0 {
			return index(off/size) + trail(r.elem, off%size)
		}
	}
	return ""
}

func index(i uintptr) string { return "[" + strconv.FormatUint(uint64(i), 10) + "]" }

// maxFindings bounds a report.
const maxFindings = 32

func (c *carrier) note(code string, a address, text string) {
	at := c.locate(&Refusal{}, a)
	c.add(Finding{Code: code, Symbol: at.Variable + at.Path, Text: text})
}

func (c *carrier) find(code string, object int, text string) {
	var at Refusal
	c.way(&at, object, "")
	c.add(Finding{Code: code, Symbol: at.Variable, Text: text})
}

func (c *carrier) add(f Finding) {
	if !c.found[f] && len(c.found) < maxFindings {
		c.found[f] = true
	}
}

func (c *carrier) drop(field string) { c.dropped[field]++ }

// findings are sorted, so that the same state gives the same report.
func (c *carrier) findings() []Finding {
	var list []Finding
	for f := range c.found {
		list = append(list, f)
	}
	for field, n := range c.dropped {
		text := "the field is gone, and its value with it"
		if n > 1 {
			text = "the field is gone, and its value in " + strconv.Itoa(n) + " places with it"
		}
		list = append(list, Finding{Code: CodeDropped, Symbol: field, Text: text})
	}
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Code, b.Code), cmp.Compare(a.Symbol, b.Symbol), cmp.Compare(a.Text, b.Text))
	})
	return list[:min(len(list), maxFindings)]
}
