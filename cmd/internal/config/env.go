package config

import (
	"fmt"
	"slices"
	"strings"
)

// unknownEnv warns of HOTGO_ names that nobody reads. It is no error: a later
// hotgo, or a wrapper around it, may well have names of its own.
func unknownEnv(environ []string) []Problem {
	known := slices.Clone(hostEnv)
	for _, k := range Keys {
		known = append(known, k.Env...)
	}
	var warnings []Problem
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" || !strings.HasPrefix(name, "HOTGO_") || slices.Contains(known, name) {
			continue
		}
		warnings = append(warnings, Problem{
			Where:   Origin{Kind: FromEnv, Name: name},
			Message: fmt.Sprintf("%s is not a setting", name),
			Suggest: Suggest(name, known),
		})
	}
	slices.SortFunc(warnings, func(a, b Problem) int { return strings.Compare(a.Where.Name, b.Where.Name) })
	return warnings
}
