// Command variant is the plugin that tests of hostile input make many of: they
// replace its plugin path, and what it does, in the bytes of the built file.
package main

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/testdata/brought"
)

// The test replaces these bytes in the built file.
var mode = "variant:good................"

func init() { misbehave("init") }

// misbehave does what the mode says about a place, such as "init-panic".
func misbehave(where string) {
	what, ok := strings.CutPrefix(strings.TrimRight(mode, "."), "variant:"+where+"-")
	if !ok {
		return
	}
	switch what {
	case "panic":
		panic("panic in " + where)
	case "goexit":
		runtime.Goexit()
	case "crash": // where nobody can recover it
		go func() { panic("crash in " + where) }()
		select {}
	case "hang":
		time.Sleep(time.Hour)
	}
}

func is(name string) bool { return strings.TrimRight(mode, ".") == "variant:"+name }

// Price multiplies by what was brought.
func Price(x int) int { return x * brought.Factor() }

// HotStart may misbehave.
func HotStart(context.Context) error { misbehave("start"); return nil }

// HotHealth may misbehave.
func HotHealth(context.Context) error {
	misbehave("health")
	if is("health-error") {
		return errors.New("unwell")
	}
	return nil
}

// HotStop may misbehave.
func HotStop(context.Context) error { misbehave("stop"); return nil }

func main() {}
