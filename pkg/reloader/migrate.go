package reloader

import "reflect"

// # What one generation gets of the one before
//
// HotMigrate is for what cannot be made anew while the old generation still has
// it: a port that is listened on, connections, a lock on a file. And it is for state
// that hotgo cannot carry over (state.go): with it, that starts anew instead of being
// refused. It runs before HotStart, when what could be carried has been, and sees the
// variables of the generation that serves, as pointers: those that the plugin exports
// by name, and all that its artifact lists by import path and name.
//
// The old generation is live while HotMigrate reads, and it stays live if
// HotMigrate, HotStart or HotHealth of the new one fails. So HotMigrate only reads:
// it learns of a channel, say, over which the old generation gives away what it has
// once its context has ended. Then a generation that fails has nothing to give back,
// and what nobody takes is closed by the HotStop of its owner. examples/takeover
// shows it.

// Migration is the type of HotMigrate. The map is the callee's; what its pointers
// lead to belongs to the generation that serves, which may be writing to it.
type Migration = func(old map[string]any) error

const (
	hookMigrate = "HotMigrate"
	// migrationType is how a manifest writes Migration.
	migrationType = "func(map[string]interface{}) error"
)

// hookTypes are the types of all hooks, as manifests write them.
var hookTypes = map[string]string{
	hookStart: hookType, hookStop: hookType, hookHealth: hookType, hookMigrate: migrationType,
}

// migrate runs HotMigrate of to, if it has it and there is a generation before it,
// or a built-in of which more is known than functions.
func (h *Host) migrate(from, to *generation) error {
	hook, ok := to.symbols[hookMigrate].(Migration)
	if !ok || hook == nil {
		return nil
	}
	var old map[string]any
	if from != nil {
		old = oldVariables(from)
	} else if old = h.builtinVariables(to); old == nil {
		return nil
	}
	err := h.supervise(h.opts.HookTimeout, func() error { return hook(old) }, nil)
	if err != nil {
		return &hookError{hookMigrate, err}
	}
	return nil
}

// oldVariables gives pointers to the variables of g.
func oldVariables(g *generation) map[string]any {
	vars := map[string]any{}
	for name, v := range g.symbols {
		if reflect.ValueOf(v).Kind() == reflect.Pointer {
			vars[name] = v
		}
	}
	if k := g.kept(); k != nil {
		for _, v := range k.Variables {
			vars[v.Name] = v.Pointer.Interface()
		}
	}
	return vars
}

// isHook reports whether a symbol has the type of the hook of that name.
func isHook(name string, v any) bool {
	if name == hookMigrate {
		_, ok := v.(Migration)
		return ok
	}
	_, ok := v.(Hook)
	return ok
}
