// Package before is a plugin's package as it was; package after is the same
// package after edits. Tests carry the state of one to the other.
package before

import (
	"container/list"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"weak"
)

// Same is the same in both.
type Same struct {
	N    int
	name string
	next *Same
}

// NewSame makes one.
func NewSame(n int, name string, next *Same) *Same { return &Same{n, name, next} }

// Next gives the next.
func (s *Same) Next() *Same { return s.next }

// String makes it a fmt.Stringer.
func (s *Same) String() string { return fmt.Sprint("before ", s.N, s.name) }

// Grown gets a field in front of the others.
type Grown struct {
	ID    int
	label string
	Next  *Grown
	Count *int
	Any   any
}

// NewGrown makes one.
func NewGrown(id int, label string, next *Grown) *Grown {
	return &Grown{ID: id, label: label, Next: next}
}

// CountMine makes Count lead to the ID beside it.
func (g *Grown) CountMine() *Grown { g.Count = &g.ID; return g }

// Error makes it an error.
func (g Grown) Error() string { return "before " + g.label }

// Shrunk loses a field.
type Shrunk struct {
	Keep, Gone int
	Inner      struct{ A, B int }
}

// Reordered has its fields in another order.
type Reordered struct {
	A int8
	B string
	C int64
	D bool
}

// Renamed has a field by another name.
type Renamed struct{ Was int }

// Tagged has another tag.
type Tagged struct {
	A int `json:"a"`
}

// Wider has wider numbers.
type Wider struct {
	I int32
	U uint8
	F float32
	C complex64
}

// Narrower has narrower ones.
type Narrower struct{ N int64 }

// Odd becomes what it cannot become.
type Odd struct{ S string }

// Embeds has embedded fields.
type Embeds struct {
	Grown
	*Same
	X int
}

// Base is embedded, and more is.
type Base struct{ ID int }

// Derived embeds it.
type Derived struct {
	Base
	Name string
}

// Box is generic.
type Box[T any] struct {
	V T
	L []T
}

// Pair is generic and has its fields in another order.
type Pair[K comparable, V any] struct {
	Key   K
	Value V
}

// Tree is recursive, through everything.
type Tree struct {
	Kids  []*Tree
	Named map[string]Tree
	Up    *Tree
	Value any
}

// Ring is a cycle of itself.
type Ring struct {
	N    int
	Next *Ring
}

// Key is a key of maps.
type Key struct{ A, B int }

// KeyPart loses B, by which keys become one.
type KeyPart struct{ A, B int }

// Hashed is a key, and cannot be one any more.
type Hashed struct{ A int }

// ID is a named integer.
type ID int32

// Level is one that stays.
type Level int

// Names are named.
type Names []string

// Index is a named map.
type Index map[string]*Grown

// Shape is an interface of its own.
type Shape interface{ Area() int }

// Square is a Shape, and changes.
type Square struct{ Side int }

// Area is that of the side.
func (s Square) Area() int { return s.Side * s.Side }

// Dot is a Shape, and does not change.
type Dot struct{}

// Area is none.
func (Dot) Area() int { return 0 }

// Word is a Shape in one pointer.
type Word struct{ P *Grown }

// Area is the ID.
func (w Word) Area() int { return w.P.ID }

// Failure is an interface of its own that others implement.
type Failure interface{ Error() string }

// Formless no longer is a Shape.
type Formless struct{ N int }

// Area makes it one.
func (Formless) Area() int { return 1 }

// Vanished is gone.
type Vanished struct{ N int }

// Guarded has a lock.
type Guarded struct {
	sync.Mutex
	RW    sync.RWMutex
	Once  sync.Once
	Group sync.WaitGroup
	Pool  sync.Pool
	N     int
}

// Locks has locks and does not change.
type Locks struct {
	mu sync.Mutex
	N  int
}

// Lock locks it.
func (l *Locks) Lock() *Locks { l.mu.Lock(); return l }

// Atoms has atomics, and changes.
type Atoms struct {
	I atomic.Int64
	B atomic.Bool
	P atomic.Pointer[Grown]
	S atomic.Pointer[Same]
	V atomic.Value
}

// Fn is a function that is kept in values.
func Fn(n int) int { return n + 1 }

// Gone is one that no longer is there.
func Gone(n int) int { return n }

// OfGrown takes a type that changes.
func OfGrown(g *Grown) int { return g.ID }

// Closure gives a function literal. Inlined it would be one of the caller's.
//
//go:noinline
func Closure(n int) func() int { return func() int { return n } }

// GrownClosure gives one that takes a type that changes.
//
//go:noinline
func GrownClosure(n int) func(*Grown) int { return func(g *Grown) int { return g.ID + n } }

// SameClosure gives one that takes a type that does not.
//
//go:noinline
func SameClosure(n int) func(*Same) int { return func(s *Same) int { return s.N + n } }

// Handlers are functions in a struct.
type Handlers struct {
	F    func(int) int
	Many map[string]func(int) int
}

// Sized has an array that grows, and one that shrinks.
type Sized struct {
	More [2]int
	Less [4]int
}

// Twisted has a field of which pointers are kept, and its type changes.
type Twisted struct{ N int32 }

// Pipe has a channel.
type Pipe struct {
	Ints   chan int
	Growns chan Grown
}

// Weak refers weakly.
type Weak struct {
	S weak.Pointer[Same]
	G weak.Pointer[Grown]
}

// Kept are values that reflect keeps.
type Kept struct {
	V reflect.Value
	T reflect.Type
}

// Blank has blank fields.
type Blank struct {
	_ int32
	A int
	_ string
}

// Local gives a value of a type that is declared inside a function.
func Local() any {
	type Same struct{ L int }
	return Same{1}
}

// Types are those that are declared at package level.
func Types() map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for _, p := range []any{
		(*Same)(nil), (*Grown)(nil), (*Shrunk)(nil), (*Reordered)(nil), (*Renamed)(nil), (*Tagged)(nil), (*Wider)(nil),
		(*Narrower)(nil), (*Odd)(nil), (*Embeds)(nil), (*Base)(nil), (*Derived)(nil), (*Tree)(nil), (*Ring)(nil), (*Key)(nil),
		(*KeyPart)(nil), (*Hashed)(nil), (*ID)(nil), (*Level)(nil), (*Names)(nil), (*Index)(nil), (*Shape)(nil), (*Square)(nil), (*Dot)(nil),
		(*Word)(nil), (*Failure)(nil), (*Formless)(nil), (*Vanished)(nil), (*Guarded)(nil), (*Locks)(nil), (*Atoms)(nil), (*Handlers)(nil),
		(*Sized)(nil), (*Twisted)(nil), (*Pipe)(nil), (*Weak)(nil), (*Kept)(nil), (*Blank)(nil),
	} {
		t := reflect.TypeOf(p).Elem()
		m["example.com/shop."+t.Name()] = t
	}
	return m
}

// Functions are those that are declared at package level.
func Functions() map[string]any {
	return map[string]any{"Fn": Fn, "Gone": Gone, "OfGrown": OfGrown}
}

// ErrFull is an error that is told by its identity.
var ErrFull = errors.New("full")

// Listed makes a list of the standard library.
func Listed(values ...any) *list.List {
	l := list.New()
	for _, v := range values {
		l.PushBack(v)
	}
	return l
}
