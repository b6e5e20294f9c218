// Package delta has generic code that others instantiate.
package delta

// Reduce folds.
func Reduce[T any](list []T, f func(T, T) T) (out T) {
	for _, v := range list {
		out = f(out, v)
	}
	return out
}
