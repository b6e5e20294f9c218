package config

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// Setting is one effective value and where it came from.
type Setting struct {
	Key    string
	Value  any // string, int, bool, *bool, time.Duration, []string or []Plugin
	Origin Origin
}

// View is the answer of `hotgo config view`.
type View struct {
	V        int           `json:"v"`
	File     string        `json:"file,omitempty"` // absolute
	Settings []ViewSetting `json:"settings"`
	Warnings []string      `json:"warnings,omitempty"`

	name string // the file as shown
}

// ViewSetting is a [Setting] as JSON shows it. Durations are texts, and what is
// not set is null.
type ViewSetting struct {
	Key    string     `json:"key"`
	Value  any        `json:"value"`
	Origin OriginKind `json:"origin"`
	Name   string     `json:"name,omitempty"` // flag, variable or file
	Line   int        `json:"line,omitempty"`
}

// View gives all settings in the order of the table.
func (c *Config) View() View {
	v := View{V: 1, File: c.File, name: c.fileName, Settings: []ViewSetting{}}
	for _, s := range c.settings {
		v.Settings = append(v.Settings, ViewSetting{
			Key: s.Key, Value: plain(s.Value), Origin: s.Origin.Kind, Name: s.Origin.Name, Line: s.Origin.Line,
		})
	}
	for _, w := range c.Warnings {
		v.Warnings = append(v.Warnings, w.String())
	}
	return v
}

// plain turns a value into what encoding/json should see; empty becomes nil.
func plain(value any) any {
	switch v := value.(type) {
	case string:
		if v == "" {
			return nil
		}
	case *bool:
		if v == nil {
			return nil
		}
		return *v
	case time.Duration:
		if v == 0 {
			return nil
		}
		return v.String()
	case []string:
		if len(v) == 0 {
			return nil
		}
	case []Plugin:
		if len(v) == 0 {
			return nil
		}
	}
	return value
}

// WriteText writes a table: key, value, origin. A value that is not set is shown
// as what that means, in parentheses.
func (v View) WriteText(w io.Writer) error {
	file := v.name
	if file == "" {
		file = "(no file)"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "KEY\tVALUE\tFROM\n")
	for _, s := range v.Settings {
		if s.Key == "config" {
			s.Value = file
		}
		origin := Origin{Kind: s.Origin, Name: s.Name, Line: s.Line}
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Key, s.text(), printable(origin.String()))
	}
	return t.Flush()
}

func (s ViewSetting) text() string {
	switch v := s.Value.(type) {
	case nil:
		k, _ := lookup(s.Key)
		return "(" + k.Unset + ")"
	case []string:
		var items []string
		for _, item := range v {
			items = append(items, printable(item))
		}
		return strings.Join(items, ", ")
	case []Plugin:
		var items []string
		for _, p := range v {
			item := printable(p.Path)
			if p.Name != "" {
				item = printable(p.Name) + "=" + item
			}
			items = append(items, item)
		}
		return strings.Join(items, ", ")
	}
	return printable(fmt.Sprint(s.Value))
}

// printable quotes a text that holds more than letters a terminal can be shown.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
