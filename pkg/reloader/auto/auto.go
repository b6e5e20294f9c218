// Package auto starts a host when it is imported:
//
//	import _ "github.com/hotgo/hotgo/pkg/reloader/auto"
//
// The host has the defaults of reloader.Options and takes HOTGO_NAME,
// HOTGO_SOCKET and HOTGO_DIR from the environment. A program must not fail to
// start because it cannot be reloaded: what goes wrong is said once on standard
// error, and the program goes on, without a socket if need be.
package auto

import (
	"fmt"
	"os"

	"github.com/hotgo/hotgo/pkg/reloader"
)

var host = start(reloader.New, func(err error) { fmt.Fprintln(os.Stderr, "hotgo: "+err.Error()) })

// Host gives the host that was started, for reloader.Bind. It is never nil and
// ready while package variables of its importers are initialised.
func Host() *reloader.Host { return host }

// start tries less and less until it works: without a socket, and without
// everything that the environment asked for.
func start(open func(reloader.Options) (*reloader.Host, error), complain func(error)) *reloader.Host {
	want := reloader.Options{Name: os.Getenv("HOTGO_NAME"), Dir: os.Getenv("HOTGO_DIR")} // the socket's variable is read by New
	h, err := open(want)
	if err == nil {
		return h
	}
	complain(fmt.Errorf("reloading is limited: %w", err))
	for _, o := range []reloader.Options{
		{Name: want.Name, Dir: want.Dir, NoSocket: true},
		{NoSocket: true},
	} {
		if h, err = open(o); err == nil {
			return h
		}
	}
	// Options{NoSocket: true} asks for nothing that can fail.
	panic("hotgo: start a host: " + err.Error())
}
