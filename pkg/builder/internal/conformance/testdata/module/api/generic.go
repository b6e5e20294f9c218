package api

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Box is generic with methods on value and pointer.
type Box[T any] struct{ V T }

// Get is a value method.
func (b Box[T]) Get() T { return b.V }

// Set is a pointer method.
func (b *Box[T]) Set(v T) T {
	old := b.V
	b.V = v
	return old
}

func (b Box[T]) String() string { return fmt.Sprintf("box of %T(%v)", b.V, b.V) }

// Pair is generic over a comparable.
type Pair[K comparable, V any] struct {
	Key K
	Val V
}

// Number is a constraint with a type set.
type Number interface {
	~int | ~int64 | ~float64
}

// Sum needs the type set.
func Sum[T Number](list ...T) (s T) {
	for _, v := range list {
		s += v
	}
	return s
}

// Map is a generic function with two parameters.
func Map[T, U any](list []T, f func(T) U) []U {
	out := make([]U, 0, len(list))
	for _, v := range list {
		out = append(out, f(v))
	}
	return out
}

// Tree is a generic type that refers to itself.
type Tree[K cmp.Ordered, V any] struct {
	left, right *Tree[K, V]
	pair        *Pair[K, V]
}

// Put inserts.
func (t *Tree[K, V]) Put(k K, v V) {
	switch {
	case t.pair == nil:
		t.pair = &Pair[K, V]{k, v}
		t.left, t.right = &Tree[K, V]{}, &Tree[K, V]{}
	case k < t.pair.Key:
		t.left.Put(k, v)
	case k > t.pair.Key:
		t.right.Put(k, v)
	default:
		t.pair.Val = v
	}
}

// All is an iterator.
func (t *Tree[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { t.walk(yield) }
}

func (t *Tree[K, V]) walk(yield func(K, V) bool) bool {
	return t.pair == nil || t.left.walk(yield) && yield(t.pair.Key, t.pair.Val) && t.right.walk(yield)
}

// Set is a generic map type.
type Set[T comparable] map[T]struct{}

// Add gives the set back.
func (s Set[T]) Add(list ...T) Set[T] {
	for _, v := range list {
		s[v] = struct{}{}
	}
	return s
}

// Sorted needs an order.
func Sorted[T cmp.Ordered](s Set[T]) []T {
	var out []T
	for v := range s {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// Kind is a type switch on a type parameter.
func Kind[T any](v T) string {
	switch any(v).(type) {
	case int, int64:
		return "integer"
	case string:
		return "string"
	case []T:
		return "slice of itself"
	case *Box[T]:
		return "box"
	case fmt.Stringer:
		return "stringer"
	case error:
		return "error"
	}
	return fmt.Sprintf("%T", v)
}

// Pointer is a constraint with a method on the pointer.
type Pointer[T any] interface {
	*T
	Init(int)
}

// New makes a T by its pointer method.
func New[T any, P Pointer[T]](n int) *T {
	v := new(T)
	P(v).Init(n)
	return v
}
