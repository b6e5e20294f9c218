package statediff

import (
	"fmt"
	"go/types"
	"maps"
	"slices"
	"strings"
)

// judge decides about variables.
type judge struct {
	rs            *relations
	before, after *version
	migrates      bool       // the new version has a HotMigrate, which what is refused is left to
	holds         []holdable // what interfaces may hold
}

// hookMigrate is what package reloader calls with variables that it cannot carry.
const hookMigrate = "HotMigrate"

// startsAsCode is said of variables that are code: see carrier.startsAsCode in package
// carry.
const startsAsCode = "it starts as the new code makes it, unless it holds nil or a function declared at package level"

// newJudge relates all variables: what one of them leads to decides about others.
func newJudge(c Config, before, after *version) *judge {
	j := &judge{rs: newRelations(c), before: before, after: after}
	if pkg := after.packages[c.Plugin]; pkg != nil {
		_, j.migrates = pkg.Scope().Lookup(hookMigrate).(*types.Func)
	}
	var all []*relation
	var carried []*relation
	for at, was := range before.vars {
		now := after.vars[at]
		if now == nil {
			continue
		}
		r := j.rs.of(was.obj.Type(), now.obj.Type())
		all = append(all, r)
		if !now.fresh && j.refusal(r) == nil {
			carried = append(carried, r)
		}
	}
	for at, was := range before.types {
		if now := after.types[at]; now != nil && was.TypeParams() == nil && now.TypeParams() == nil {
			j.rs.of(was, now) // interfaces can hold it
		}
	}
	j.rs.apart = slices.ContainsFunc(carried, guarded)
	j.rs.epoch++
	for again := true; again; {
		again = false
		for _, r := range all {
			again = j.rs.mayBeCopied(r.old, false) || again
		}
		for _, r := range carried {
			again = j.rs.admit(r) || again
		}
	}
	j.holds = j.holdables()
	return j
}

// guarded reports whether a lock lies in a value itself.
func guarded(r *relation) bool {
	switch r.shape {
	case special:
		return r.rule.lock
	case array:
		return guarded(r.elem)
	}
	return slices.ContainsFunc(r.fields, guarded)
}

// variable decides about one that both versions have.
func (j *judge) variable(v *Variable, was, now *variable) {
	r := j.rs.of(was.obj.Type(), now.obj.Type())
	v.Old, v.New = j.rs.spell(was.obj.Type()), j.rs.spell(now.obj.Type())
	switch {
	case now.fresh && now.embedded:
		v.Outcome, v.Text = Reset, "what is embedded is the new file's"
		return
	case now.fresh:
		v.Outcome, v.Text = Reset, "it is marked to start anew"
		return
	}
	if x := j.refusal(r); x != nil {
		v.Outcome, v.Code = Refused, x.code
		v.Text = fmt.Sprintf("%s, in %s (%s before, %s now)", x.why, id{v.Package, v.Name}, j.rs.spell(x.old), j.rs.spell(x.new))
		if j.migrates {
			v.Outcome, v.Text = Reset, "left to "+hookMigrate+": "+v.Text
		}
		return
	}
	v.Outcome = Carried
	text, code := j.changes(r)
	v.Code = code
	if !j.rs.isTwin(r) {
		v.Outcome, v.Text = Converted, text
	}
	if r.shape == function && now.value != nil && !j.isDeclared(now.function) {
		v.Outcome, v.Code = Reset, codeClosure
		v.Text = startsAsCode
		return
	}
	v.If, v.Notes = j.conditions(r)
	if j.migrates && len(v.If) > 0 {
		v.Notes = append(v.Notes, "otherwise it is left to "+hookMigrate)
	}
}

// isDeclared reports whether what a variable starts with is a function that the old
// version has at package level, or another package: what is kept in it becomes the new
// one, or is the same.
func (j *judge) isDeclared(f *id) bool {
	if f == nil {
		return false
	}
	pkg := j.before.packages[f.path]
	if pkg == nil {
		return j.after.packages[f.path] == nil
	}
	_, ok := pkg.Scope().Lookup(f.name).(*types.Func)
	return ok
}

// refusal finds what of a relation cannot be converted whatever the values are.
func (j *judge) refusal(r *relation) (why *relation) {
	r.all(func(x *relation) bool {
		if x.shape == refused {
			why = x
		}
		return why == nil
	})
	return why
}

// changes says what differs in all that a variable's type leads to.
func (j *judge) changes(r *relation) (text, code string) {
	var changes []string
	otherwise := func(c string) {
		if code == "" {
			code = c
		}
	}
	r.all(func(x *relation) bool {
		switch {
		case x.shape == number:
			changes = append(changes, fmt.Sprintf("%s becomes %s", j.rs.spell(x.old), j.rs.spell(x.new)))
			otherwise(codeType)
		case x.shape == array && !x.like:
			changes = append(changes, fmt.Sprintf("[%d] becomes [%d]", length(x.old), length(x.new)))
			otherwise(codeLayout)
		case x.shape == structure && !x.like:
			if text := j.fieldChanges(x); text != "" {
				changes = append(changes, text)
			}
			otherwise(codeLayout)
			if len(x.dropped) > 0 {
				code = codeDropped
			}
		}
		return true
	})
	return strings.Join(changes, "; "), code
}

func length(t types.Type) int64 { return t.Underlying().(*types.Array).Len() }

// fieldChanges says what became of a struct's fields.
func (j *judge) fieldChanges(r *relation) string {
	var parts []string
	if len(r.added) > 0 {
		parts = append(parts, "adds "+strings.Join(r.added, ", "))
	}
	if len(r.dropped) > 0 {
		parts = append(parts, "drops "+strings.Join(r.dropped, ", "))
	}
	if len(parts) == 0 && r.moved {
		parts = append(parts, "has its fields elsewhere")
	}
	if len(parts) == 0 {
		return ""
	}
	return j.rs.spell(r.new) + " " + strings.Join(parts, ", ")
}

// sortedTypes gives the types of a version that are declared at package level.
func (v *version) sortedTypes() []id { return slices.SortedFunc(maps.Keys(v.types), compareIDs) }
