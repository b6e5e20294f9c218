// Package goplugin is the only one that imports "plugin".
//
// The import alone changes the host: the linker then makes it a dynamic
// executable that exports its symbols, so that plugins can be bound to it. It
// therefore stands behind the build tags under which package plugin does
// something, and costs nothing elsewhere.
package goplugin

import "github.com/hotgo/hotgo/pkg/internal/artifact"

// Entry is the one function that an artifact exports. It calls add for each
// exported function of the user's plugin (value is the function) and each
// exported variable (value is a pointer to it).
const Entry = artifact.Entry

// Symbols hands out a plugin's exported functions and variables.
type Symbols = func(add func(name string, value any))
