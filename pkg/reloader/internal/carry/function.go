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
