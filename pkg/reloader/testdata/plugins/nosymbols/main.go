// Command nosymbols is a plugin without the entry.
package main

// Price is never called.
func Price(x int) int { return 0 }

func main() {}
