// Command hotgo reloads code into running Go processes.
package main

import (
	"os"

	"github.com/hotgo/hotgo/cmd"
)

// Set by the linker in releases; empty where the build info says it.
var version, commit, date string

func main() {
	os.Exit(cmd.Execute(
		os.Args[1:],
		cmd.Stdio{In: os.Stdin, Out: os.Stdout, Err: os.Stderr},
		cmd.Build{Version: version, Commit: commit, Date: date},
	))
}
