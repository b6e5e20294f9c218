package ui

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// StateDiff says what a swap would make of a plugin's package variables: how many
// have each outcome, and each of them. Where that is not known, or none would be
// carried, Reason says why and there are no Variables.
type StateDiff struct {
	Carried   int            `json:"carried"`
	Converted int            `json:"converted"`
	Reset     int            `json:"reset"`
	Added     int            `json:"added"`
	Lost      int            `json:"lost"`
	Refused   int            `json:"refused"`
	Variables []VariableDiff `json:"variables,omitempty"`
	Code      string         `json:"code,omitempty"`
	Reason    string         `json:"reason,omitempty"`
}

// VariableDiff is a package variable.
type VariableDiff struct {
	Name    string   `json:"name"`    // import path, dot, name
	Outcome string   `json:"outcome"` // "carried", "converted", "reset", "added", "lost" or "refused"
	Old     string   `json:"old,omitempty"`
	New     string   `json:"new,omitempty"` // its types
	Code    string   `json:"code,omitempty"`
	Text    string   `json:"text,omitempty"`  // what is converted, or why it is refused or starts anew
	If      []string `json:"if,omitempty"`    // what its values have to be: otherwise the swap is refused
	Notes   []string `json:"notes,omitempty"` // what else becomes of its values
}

// simple reports whether there is nothing to say of a variable.
func (v VariableDiff) simple() bool {
	return v.Outcome == "carried" && v.Text == "" && len(v.If)+len(v.Notes) == 0
}

// weight orders variables by how much of them is kept.
func weight(v VariableDiff) int {
	return slices.Index([]string{"refused", "lost", "reset", "converted", "carried", "added"}, v.Outcome)
}

// stateRows gives the counts, and the variables that are not simply carried.
func stateRows(plugin string, d *StateDiff) (rows [][]string) {
	switch {
	case d == nil, d.Reason == "" && len(d.Variables) == 0:
		return nil
	case d.Reason != "":
		return [][]string{{"", pad("state", wordWidth-1), Clean(plugin), Clean(strings.TrimSpace(d.Code + " " + d.Reason))}}
	}
	var counts []string
	for _, c := range []struct {
		n    int
		word string
	}{
		{d.Carried, "carried"},
		{d.Converted, "converted"},
		{d.Reset, "reset"},
		{d.Added, "added"},
		{d.Lost, "lost"},
		{d.Refused, "refused"},
	} {
		if c.n > 0 {
			counts = append(counts, fmt.Sprint(c.n, " ", c.word))
		}
	}
	rows = [][]string{{"", pad("state", wordWidth-1), Clean(plugin), strings.Join(counts, ", ")}}
	shown := slices.DeleteFunc(slices.Clone(d.Variables), VariableDiff.simple)
	slices.SortStableFunc(shown, func(a, b VariableDiff) int { return cmp.Compare(weight(a), weight(b)) })
	for _, v := range shown {
		var say []string
		if v.Text != "" {
			say = append(say, strings.TrimSpace(v.Code+" "+v.Text))
		}
		for _, c := range v.If {
			say = append(say, "if "+c)
		}
		say = append(say, v.Notes...)
		if len(say) == 0 {
			say = []string{""}
		}
		for i, text := range say {
			word, name := "", ""
			if i == 0 {
				word, name = v.Outcome, v.Name
			}
			rows = append(rows, []string{"", pad(Clean(word), wordWidth-1), Clean(withoutPaths(name)), Clean(withoutPaths(text))})
		}
	}
	return rows
}

// elements are those of an import path before its last.
var elements = regexp.MustCompile(`([\w.~-]+/)+`)

// withoutPaths shortens what is named by import path to its package: text shows it as
// sources do.
func withoutPaths(s string) string { return elements.ReplaceAllString(s, "") }
