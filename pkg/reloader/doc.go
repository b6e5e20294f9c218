// Package reloader is the library that a process embeds to have its plugins
// replaced while it runs.
//
//	h, err := reloader.New(reloader.Options{Name: "shop"})
//	if err != nil { … }
//	defer h.Close()
//
//	price := reloader.Bind(h, "pricing", "Price", pricing.Price)
//	total := price.Get()(order)
//
// # What a caller sees
//
// [Handle.Get] gives the function (or value) of the generation that is live at
// that moment: a call that has begun ends on the code it began with, the next
// Get gives the new code. All handles of a plugin move in one atomic store, so
// whoever has seen one handle on a new generation sees every other handle of
// the plugin there too. Two Gets in a row may still fall on either side of a
// switch; code that needs two functions to agree binds one function that gives
// both.
//
// # A load is a transaction
//
// An artifact is copied to a private directory and checked there against this
// process; only what fits is opened. Then come the types of all bound symbols, the
// state of the generation that serves (docs/state.md), HotStart, HotHealth, the
// switch, and HotStop of the generation that served before. Whatever fails on the way, a panic in an initialiser or a hook
// included, the old generation goes on serving and the next load works. Loads
// run one after the other in the order they came.
//
// What shows only under traffic is undone: with a health window the host observes a
// generation that has just become live, and makes what served before live again if it is
// unhealthy. Meanwhile other loads wait. [Handle.Begin] is for calls whose panics are to
// be lived through, and counted.
//
// What no check can prevent: code of a plugin runs in this process and with its
// rights. A fatal error (concurrent map writes, out of memory), os.Exit, or a
// panic on a goroutine that the plugin started ends the process.
//
// # Hooks
//
// A plugin may export these functions; it need not import anything for them:
//
//	func HotStart(ctx context.Context) error  // before it is live; ctx ends when it retires
//	func HotStop(ctx context.Context) error   // after another has taken over
//	func HotHealth(ctx context.Context) error // an error keeps the old generation
//	func HotMigrate(old map[string]any) error // before HotStart: what the old generation has
//
// HotMigrate gets pointers to the variables of the generation that serves: those
// that the plugin exports by name, old["Ports"].(*chan *net.TCPListener), and where
// state is carried over all of them by import path and name. That generation goes on
// serving meanwhile, and afterwards if the new one fails, so HotMigrate reads; it
// changes and closes nothing. After the built-in it is called where the artifact lists
// the built-in's variables, which it then gets.
// Each hook has Options.HookTimeout. In a health window (see [Window]) HotHealth is
// called again and again while the generation serves, one call at a time; the context of
// the last one ends with the window, and HotStop may begin before it has returned.
//
// A generation that is made live again by a rollback gets HotMigrate, HotStart
// and HotHealth again, so HotStart after HotStop has to work.
//
// # Generations
//
// A generation is one version that was opened in this process, numbered from 1
// for each plugin in the order of opening, failed ones included: Go never
// unmaps code, so every number is memory that is gone. Loading a version that
// was opened before makes that generation live again under its old number.
// Generation 0 is the built-in, for the state of its variables as well.
//
// # Patches
//
// A patch is an artifact that replaces functions of code which runs already:
// of the host itself, main included, or of a plugin's generation. The host needs
// no handle for it; importing this package is enough. All functions of a patch
// are replaced at once, while the process stands still for some ten microseconds.
// Variables keep their values. A call that has begun ends on the code it began
// with; events and status name goroutines that are inside of such functions.
//
// A patch is a generation as others are, of the plugin or, for the host, of one
// that has the name of its main package and whose generation 0 is the code that
// it was built with. One patch is in force for each base: the next takes its
// place, and a rollback brings back any earlier one, or the original bytes. Close
// leaves the code as it is.
//
// A patch of a plugin goes by the hooks of the generation that it patches.
// Nothing is started or stopped; HotHealth is asked afterwards, and an error
// switches back.
//
// # After a restart
//
// With [Options].Dir, New loads again what was live and healthy in the process before
// it, if that was the same build, by the same transaction. Healthy is what was live
// for Options.ConfirmAfter, or when [Host.Close] was called: call it on SIGTERM too.
// What a process ended with before that is quarantined, and refused until somebody
// releases it. docs/restore.md has the rules.
//
// # Platforms
//
// Linux with cgo loads plugins; on amd64, with Go 1.26 and 1.27, it takes patches
// as well. Elsewhere New, Bind and Get work, so that the same program runs with
// its built-ins, and Load gives an error with the code "unsupported".
package reloader
