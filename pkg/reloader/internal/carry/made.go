package carry

import (
	"reflect"
	"strings"
	"sync"
)

// # What is made anew, and is not lost
//
// A variable that cannot be written is lost, and people are told. That would be a
// false alarm for what most packages begin with:
//
//	var ErrGone = errors.New("gone")
//	var word = regexp.MustCompile(`\w+`)
//	var now = time.Now
//
// The initialiser of the other process makes the same of it, by convention nobody
// changes what it made, and so nothing of the state was in it. The types that this is
// said of are few: those that cannot be changed at all once they are made, or that hold
// nothing but what an initialiser was given.
//
// It is said of variables that hold nothing else. A struct with a regular expression and
// a counter is lost: the counter was state.
//
// # Onces
//
// Such a variable need not have an initialiser. It may have been made by the first who
// needed it, and a sync.Once, or a flag, then says that this was done:
//
//	once.Do(func() { word = regexp.MustCompile(pattern()) })
//
// A Once that is done in a process in which word is nil would break the plugin for good.
// One that is not done would have its function run again, and replace what has been
// brought along, if it makes several things. Which variables a Once is for nobody can
// tell. But it can be told of the new process, before anything is stored, which of the
// variables that start anew have no value from an initialiser. If all of them have one,
// or can do without, Onces stay done. Else all Onces that are package variables, or lie
// in one, start anew with them: doing something twice is what happens at every start,
// and a nil that nobody expects is not. A Once in an object behind a pointer came along
// with that object, and stays as it is.

// madeAnew are the types that hold what initialisers make.
var madeAnew = map[[2]string]bool{
	{"errors", "errorString"}:     true,
	{"errors", "joinError"}:       true,
	{"fmt", "wrapError"}:          true,
	{"fmt", "wrapErrors"}:         true,
	{"regexp", "Regexp"}:          true,
	{"strings", "Replacer"}:       true,
	{"time", "Location"}:          true,
	{"text/template", "Template"}: true,
	{"html/template", "Template"}: true,
	{"log/slog", "Logger"}:        true,
	{"reflect", "rtype"}:          true,
	{"embed", "FS"}:               true, // and the file may be another one now
}

var onceType = reflect.TypeFor[sync.Once]()

// isMade reports whether t is such a type, or a pointer to one.
func isMade(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer && t.Name() == "" {
		t = t.Elem()
	}
	return madeAnew[[2]string{t.PkgPath(), t.Name()}]
}

// isDeclared reports whether a function, named as the runtime names it, is declared at
// package level: it has captured nothing.
func isDeclared(name string) bool {
	name = name[strings.LastIndexByte(name, '/')+1:]
	return strings.Count(name, ".") == 1 && !strings.HasSuffix(name, "-fm")
}

// mostRoom bounds how deep types are looked into for that: they may lead to themselves.
const mostRoom = 6

// holdsOnlyMade reports whether a variable of type t has no room for state beside what
// is made anew, seen that it holds some of that. What an interface with methods holds
// is known then, and an any that is the variable itself.
func holdsOnlyMade(t reflect.Type) bool {
	return t.Kind() == reflect.Interface || roomForMade(t, mostRoom)
}

func roomForMade(t reflect.Type, depth int) bool {
	if isMade(t) || t == onceType {
		return true
	}
	if rule := ruleFor(t, t); rule != nil {
		return rule.idle != nil // a lock
	}
	switch t.Kind() {
	case reflect.Func:
		return true
	case reflect.Interface:
		return t.NumMethod() > 0
	case reflect.Map, reflect.Slice, reflect.Array, reflect.Pointer:
		return depth > 0 && roomForMade(t.Elem(), depth-1)
	case reflect.Struct:
		for f := range fieldsOf(t) {
			if !roomForMade(f.Type, depth-1) {
				return false
			}
		}
		return depth > 0 && t.NumField() > 0
	}
	return false
}

// spoil notes why an object cannot be written. What is no loss gives way to what is.
func (o *saved) spoil(l *Loss, made bool) bool {
	if l == nil || o.bad != nil && (made || !o.made) {
		return false
	}
	o.bad, o.made = l, made
	return true
}

// startsMade reports whether an object is a variable that cannot be written, and is made
// anew.
func (o *saved) startsMade() bool {
	return o.root != 0 && !o.skip && o.bad != nil && o.made && holdsOnlyMade(o.typ)
}

// done notes that a Once at a is done.
func (r *recall) done(a address) {
	o := &r.objects[r.here]
	if o.root == nil {
		return
	}
	if off := a.word() - o.root.aside.word(); off+onceType.Size() <= o.typ.Size() {
		o.root.onces = append(o.root.onces, a)
	}
}

// settleOnces has Onces start anew where what they may have made does: see made.go.
func (r *recall) settleOnces() {
	lacks := ""
	for i := range r.objects {
		w, o := &r.written.objects[i], &r.objects[i]
		if o.root != nil && (w.anew() || o.root.Fresh || o.bad != "") && refers(o.typ) && o.to.at(o.typ).IsZero() {
			lacks = w.name
			break
		}
	}
	if lacks == "" {
		return
	}
	for i := range r.objects {
		o := &r.objects[i]
		if o.root == nil {
			continue
		}
		for _, a := range o.root.onces {
			a.at(onceType).SetZero()
		}
		if len(o.root.onces) > 0 && o.bad == "" {
			r.transfer.Report.Findings = append(r.transfer.Report.Findings, Finding{
				CodeUnknown, r.written.objects[i].name, "its sync.Once is not done any more, for it may be what makes " + lacks + ", which starts anew",
			})
		}
	}
}
