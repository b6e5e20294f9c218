//go:build !byhand

package main

// HotgoSymbols is the entry that hotgo generates.
func HotgoSymbols(add func(name string, value any)) {
	misbehave("entry")
	switch {
	case is("nil-price"):
		add("Price", (func(int) int)(nil))
	case is("other-price"):
		add("Price", func(s string) string { return s })
	case is("no-price"):
		add("Price", nil)
	default:
		add("Price", Price)
	}
	add("HotStart", HotStart)
	add("HotHealth", HotHealth)
	add("HotStop", HotStop)
}
