package ui

import (
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// oldLines says which versions are in use though they are not live, and whether
// the host has had too much of it.
//
//	shop (pid 812): 1 old version is in use
//	  pricing v3  retired 2m ago  2 goroutines: rules.(*Watcher).loop rules.go:41, chan receive, 2m
//	  pricing v3  retired 2m ago  kept by the host: main.routes … → a value of type *rules.route (HG0004); it goes on with old code
//	shop (pid 812): RESTART ADVISED: 4 old generations are still in use, and at most 4 may be
func (s Style) oldLines(h control.Status, verbose bool) []string {
	id := host(Clean(h.Name), h.PID) + ": "
	var rows [][]string
	used := 0
	for _, p := range h.Plugins {
		for _, g := range p.Generations {
			var texts []string
			if g.Goroutines > 0 {
				texts = append(texts, whereInside(g, verbose))
			}
			if text := whatRetained(g.Retained, verbose); text != "" {
				texts = append(texts, text)
			}
			for _, text := range texts {
				rows = append(rows, []string{
					"", Clean(p.Name) + " " + version(g.Generation, ""), Clean(string(g.State)) + " " + age(g.OldS) + " ago", text,
				})
			}
			if g.Goroutines > 0 || g.Retained != nil && len(g.Retained.Things) > 0 {
				used++
			}
		}
	}
	var lines []string
	if len(rows) > 0 {
		head := "1 old version is in use"
		switch {
		case used == 0:
			head = "no old version was found in use, but not everything could be searched"
		case used > 1:
			head = strconv.Itoa(used) + " old versions are in use"
		}
		lines = append(lines, id+head)
		lines = append(lines, columns(rows, 2)...)
	}
	if h.TooManyGoroutines {
		lines = append(lines, id+"too many goroutines to tell which of them are in old versions")
	}
	if h.RestartAdvised != "" {
		lines = append(lines, id+s.paint(warning, "RESTART ADVISED")+": "+Clean(h.RestartAdvised))
	}
	return lines
}

// shownPlaces is how many places of a version are named without -v.
const shownPlaces = 2

// whereInside says where in a version its goroutines are, and since when.
func whereInside(g control.Generation, verbose bool) string {
	places := g.Inside
	if !verbose {
		places = places[:min(len(places), shownPlaces)]
	}
	named := 0
	texts := make([]string, 0, len(places)+1)
	for _, at := range places {
		named += at.Goroutines
		text := Clean(at.Function)
		if at.File != "" {
			text += " " + Clean(filepath.Base(at.File)) + ":" + strconv.Itoa(at.Line)
		}
		if at.State != "" {
			text += ", " + Clean(at.State)
		}
		if at.BlockedS > 0 {
			text += ", " + age(at.BlockedS)
		}
		if verbose && at.CreatedBy != "" {
			text += ", created by " + Clean(at.CreatedBy)
		}
		if len(places) > 1 && at.Goroutines > 1 {
			text = strconv.Itoa(at.Goroutines) + " in " + text
		}
		texts = append(texts, text)
	}
	if rest := g.Goroutines - named; rest > 0 && len(places) > 0 {
		texts = append(texts, strconv.Itoa(rest)+" elsewhere")
	}
	head := plural(g.Goroutines, "goroutine")
	if len(texts) == 0 {
		return head
	}
	return head + ": " + strings.Join(texts, "; ")
}

// whatRetained says what the host holds of a version.
func whatRetained(r *control.Retained, verbose bool) string {
	switch {
	case r == nil:
		return ""
	case r.Unknown != "":
		if verbose {
			return "the host could not be searched for what it keeps of it: " + Clean(r.Unknown)
		}
		return ""
	case len(r.Things) == 0:
		return "nothing of it was found in the part of the host's variables and heap that was searched; the rest was not searched, nor are goroutine stacks"
	}
	things := r.Things
	if !verbose {
		things = things[:min(len(things), shownPlaces)]
	}
	texts := make([]string, 0, len(things)+2)
	for _, t := range things {
		texts = append(texts, Clean(t.String()))
	}
	if rest := len(r.Things) - len(things) + r.More; rest > 0 {
		texts = append(texts, "and "+strconv.Itoa(rest)+" more")
	}
	if r.Part {
		texts = append(texts, "the heap was not searched to its end")
	}
	return "kept by the host: " + strings.Join(texts, "; ") + " (HG0004); it goes on with old code"
}

// age shows seconds as people read them: 5s, 2m, 3h, 4d.
func age(seconds int64) string {
	switch {
	case seconds >= 2*24*3600:
		return strconv.FormatInt(seconds/(24*3600), 10) + "d"
	case seconds >= 2*3600:
		return strconv.FormatInt(seconds/3600, 10) + "h"
	case seconds >= 60:
		return strconv.FormatInt(seconds/60, 10) + "m"
	}
	return strconv.FormatInt(seconds, 10) + "s"
}
