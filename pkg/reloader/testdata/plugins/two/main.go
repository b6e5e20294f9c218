// Command two is a plugin whose Price triples.
package main

// Price triples.
func Price(x int) int { return 3 * x }

// HotgoSymbols is the entry that hotgo generates.
func HotgoSymbols(add func(name string, value any)) { add("Price", Price) }

func main() {}
