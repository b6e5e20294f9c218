package carry

import (
	"reflect"
	"runtime"
	"strings"
)

// moved is what a function value becomes.
type moved struct {
	to    address
	moved bool
}

// function finds the new code of a function value. Functions declared at package
// level are found by name. A function literal or a method value is bound to what
// it captured, so it keeps its code, and that is worth a note.
func (c *carrier) function(r *relation, f address) (moved, *Refusal) {
	if m, ok := c.functions[f.word()]; ok {
		return m, nil
	}
	keep := moved{to: f}
	holder := addressOf(reflect.New(r.old))
	holder.store(f)
	pc := holder.at(r.old).Pointer()
	name := c.plan.entries[pc]
	if now, ok := c.plan.new.Functions[name]; name != "" && ok {
		if now.Type().AssignableTo(r.new) {
			holder := addressOf(reflect.New(r.new))
			holder.at(r.new).Set(now)
			m := moved{holder.load(), true}
			c.functions[f.word()] = m
			return m, nil
		}
		return keep, &Refusal{
			Code: CodeUnknown, Old: c.types.old.of(r.old), New: c.types.new.of(now.Type()),
			Reason: "the function " + name + " is kept in a value, and has another type now",
		}
	}
	own := name != ""
	if !own {
		name = nameOf(pc)
		own = c.types.old.ownsFunction(name)
		name = c.types.old.rename(name)
	}
	if !r.isTwin() {
		return keep, &Refusal{
			Code: CodeClosure, Old: c.types.old.of(r.old), New: c.types.new.of(r.new),
			Reason: name + " is kept in a value, and takes types that have changed",
		}
	}
	if own {
		c.find(CodeClosure, c.here.object, "the function value "+name+" keeps the old code and what it captured")
	}
	c.functions[f.word()] = keep
	return keep, nil
}

// startsAsCode reports whether a variable starts as its initialiser leaves it though
// it could be carried: where it holds a function literal, or a function that is gone, and
// the new code has put a function there itself. In var load = sync.OnceValues(read) the variable is no state
// but a way to write a function, and its old value would read what was embedded before.
func (c *carrier) startsAsCode(p *pair) bool {
	if p.rel.shape != function || addressOf(p.new.Pointer).load().isNil() {
		return false
	}
	was := p.old.Pointer.Elem()
	if was.IsNil() {
		return false
	}
	if name := c.plan.entries[was.Pointer()]; name != "" {
		_, there := c.plan.new.Functions[name]
		return !there
	}
	return isLiteral(nameOf(was.Pointer()))
}

// isLiteral reports whether the runtime's name of a function is that of a function
// literal, a method value or another function that the compiler made for one
// (cmd/compile/internal/ir/func.go, closureName, Go 1.26 and 1.27: F.func1, F.func1.2,
// F.gowrap1, T.M-fm, F-range1).
func isLiteral(name string) bool {
	last := name[strings.LastIndexAny(name, "./")+1:]
	if strings.Contains(last, "-") {
		return true
	}
	for _, prefix := range []string{"func", "gowrap", "deferwrap", ""} {
		number, ok := strings.CutPrefix(last, prefix)
		if ok && number != "" && strings.Trim(number, "0123456789") == "" {
			return true
		}
	}
	return false
}

// nameOf gives a function's name as the runtime has it.
func nameOf(pc uintptr) string {
	f := runtime.FuncForPC(pc)
	if f == nil {
		return "a function without a name"
	}
	return f.Name()
}

// ownsFunction reports whether a function, named as the runtime names it, is one
// of the generation's packages. There the dots of a path's last element are
// escaped (cmd/internal/objabi/path.go, PathToPrefix, Go 1.26).
func (n *names) ownsFunction(name string) bool {
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot < 0 {
		return false
	}
	_, ok := n.packages[strings.ReplaceAll(name[:slash+dot], "%2e", ".")]
	return ok
}
