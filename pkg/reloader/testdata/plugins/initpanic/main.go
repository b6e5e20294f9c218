// Command initpanic is a plugin that cannot be initialised.
package main

func init() { panic("no initialisation today") }

// Price is never called.
func Price(x int) int { return 0 }

// HotgoSymbols is the entry that hotgo generates.
func HotgoSymbols(add func(name string, value any)) { add("Price", Price) }

func main() {}
