package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// Register adds the flags of the given groups to fs. [Load] reads them from the
// flag set that fs was merged into; nothing is bound here.
func Register(fs *pflag.FlagSet, groups ...Group) {
	for _, k := range Keys {
		if k.NoFlag || !slices.Contains(groups, k.Group) {
			continue
		}
		usage := k.Usage
		if k.Unset != "" {
			usage += " (default: " + k.Unset + ")"
		}
		switch k.Kind {
		case Text, Tags:
			fs.StringP(k.Name, k.Short, k.Default.(string), usage)
		case Int:
			fs.IntP(k.Name, k.Short, k.Default.(int), usage)
		case Bool:
			fs.BoolP(k.Name, k.Short, k.Default.(bool), usage)
		case TriState: // pflag needs a default; Load asks Changed first
			fs.BoolP(k.Name, k.Short, false, usage)
		case Duration:
			fs.DurationP(k.Name, k.Short, k.Default.(time.Duration), usage)
		case List:
			fs.StringSliceP(k.Name, k.Short, nil, usage)
		case Lines:
			fs.StringArrayP(k.Name, k.Short, nil, usage)
		default:
			panic(fmt.Sprintf("setting %s: kind %d cannot be a flag", k.Name, k.Kind))
		}
	}
}
