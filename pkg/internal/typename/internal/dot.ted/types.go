// Package dotted holds types for the tests of package typename. Its import
// path has a dot in the last element, which the linker escapes.
package dotted

// T is exported and u is not; A and B are aliases of them.
type (
	T struct{ X int }
	u struct{}
	A = *T
	B = u
)

// G is generic.
type G[P any] struct{ X P }

// Sealed has a method that only this package can write.
type Sealed interface {
	Z(n int, rest ...string) (a, b error)
	seal()
}

// SealedBody and Fields are unnamed types made here.
type (
	SealedBody = interface {
		seal()
		M(int)
	}
	Fields = struct {
		n int `k:"] v, x"`
		N *u
		u
		*T
		B
		G[int]
		error
	}
)

// FieldsAlias embeds a pointer through an alias.
type FieldsAlias = struct{ A }

var _ = func(f Fields) (int, u, error) { return f.n, f.u, f.error }
