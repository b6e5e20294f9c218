// Command inithang is a plugin whose initialiser never returns.
package main

import "time"

func init() { time.Sleep(time.Hour) }

// Price is never called.
func Price(x int) int { return 0 }

// HotgoSymbols is the entry that hotgo generates.
func HotgoSymbols(add func(name string, value any)) { add("Price", Price) }

func main() {}
