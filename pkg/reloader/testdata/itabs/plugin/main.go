// Command plugin is opened several times, each time under another plugin path.
package main

import "github.com/hotgo/hotgo/pkg/reloader/testdata/itabs/faults"

// Broken asks from here.
func Broken() int { return faults.Broken() }

// HotgoSymbols is the entry that hotgo generates.
func HotgoSymbols(add func(name string, value any)) { add("Broken", Broken) }

func main() {}
