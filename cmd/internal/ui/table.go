package ui

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Status writes a table of hosts and their plugins, a row for each plugin, and
// below it what the loads have cost each host. Above all it answers which
// version of the code is running. Verbose, it also says why a version that
// serves is not thin, which keys the host trusts, and which one signed what serves.
func Status(w io.Writer, hosts []control.Status, verbose bool, s Style) error {
	rows := [][]string{{"HOST", "PID", "GO", "PLUGIN", "LIVE", "KEY", "LINK", "LOADED", "SIZE", "VERSIONS", "RESIDENT"}}
	var memory, reasons [][]string
	var patches, trust []string
	for _, h := range hosts {
		id := []string{Clean(h.Name), strconv.Itoa(h.PID), Clean(h.GoVersion)}
		for _, p := range h.Plugins {
			rows = append(rows, append(id[:3:3], s.pluginCells(p)...))
			live := generationOf(p)
			if verbose && live.Signer != "" {
				reasons = append(reasons, []string{
					host(Clean(h.Name), h.PID) + ":", Clean(p.Name), version(live.Generation, ""), "signed with " + Clean(live.Signer),
				})
			}
			if verbose && live.LinkReason != "" {
				reasons = append(reasons, []string{
					host(Clean(h.Name), h.PID) + ":", Clean(p.Name), version(live.Generation, ""),
					Clean(live.Link) + ": " + Clean(live.LinkReason),
				})
			}
		}
		if len(h.Plugins) == 0 {
			rows = append(rows, append(id[:3:3], "-", "-", "-", "-", "-", "-", "-", "-"))
		}
		patches = append(patches, patchLines(h, verbose)...)
		if verbose && h.TrustedKeys != nil {
			trust = append(trust, host(Clean(h.Name), h.PID)+": "+trusts(h.TrustedKeys))
		}
		patches = append(patches, s.oldLines(h, verbose)...)
		patches = append(patches, s.restoreLines(h, verbose)...)
		patches = append(patches, s.healthLines(host(Clean(h.Name), h.PID), h)...)
		memory = append(memory, []string{
			host(Clean(h.Name), h.PID) + ":",
			fmt.Sprintf("%s resident, %s of it in plugins, %s mapped", size(h.Memory.RSSBytes),
				size(h.Memory.ResidentBytes), size(h.Memory.MappedBytes)),
		})
	}
	if len(hosts) == 0 {
		return s.writeLines(w, []string{"no host is up"})
	}
	lines := append(s.table(rows), columns(memory, 1)...)
	lines = append(append(lines, patches...), trust...)
	return s.writeLines(w, append(lines, columns(reasons, 1)...))
}

// trusts says what a host that trusts keys takes.
func trusts(ids []string) string {
	if len(ids) == 0 {
		return "trusts no key, and takes nothing"
	}
	return "takes what is signed with " + Clean(strings.Join(ids, " or "))
}

// patchLines says which functions run the code of patches, and where goroutines
// still run what was before.
//
//	shop (pid 812): 2 functions run the code of patches
//	  cart.(*Cart).Total  server v2
//	  main.greet          server v2
//	  main.loop           1 goroutine finishes on earlier code
func patchLines(h control.Status, verbose bool) []string {
	var rows [][]string
	patched := 0
	for _, p := range h.Plugins {
		patched += len(p.Replaced)
		for _, r := range p.Replaced {
			rows = append(rows, []string{"", Clean(r.Function), Clean(p.Name) + " " + version(r.Generation, "")})
		}
		for _, f := range p.Finishing {
			what := "goroutines finish on earlier code"
			if f.Goroutines == 1 {
				what = "goroutine finishes on earlier code"
			}
			rows = append(rows, []string{"", Clean(f.Function), strconv.Itoa(f.Goroutines) + " " + what})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	head := plural(patched, "function") + " run the code of patches"
	if patched == 1 {
		head = "1 function runs the code of a patch"
	}
	lines := columns(rows, 2)
	if !verbose {
		lines = capped(lines)
		if last := len(lines) - 1; last == maxDiagnostics {
			lines[last] = "  " + lines[last]
		}
	}
	return append([]string{host(Clean(h.Name), h.PID) + ": " + head}, lines...)
}

// generationOf gives the generation of a plugin that serves.
func generationOf(p control.Plugin) control.Generation {
	for _, g := range p.Generations {
		if g.Generation == p.Live {
			return g
		}
	}
	return control.Generation{}
}

// pluginCells gives a plugin's part of a row.
func (s Style) pluginCells(p control.Plugin) []string {
	var resident int64
	for _, g := range p.Generations {
		resident += g.ResidentBytes
	}
	live := generationOf(p)
	name := Clean(p.Name)
	versions, memory := strconv.Itoa(len(p.Generations)), size(resident)
	switch {
	case p.Live == 0 && p.Kind == control.KindHost:
		return []string{name, asBuilt, "-", "-", "-", "-", versions, memory}
	case p.Live == 0 && !hasBuiltin(p):
		return []string{name, "none", "-", "-", "-", "-", versions, memory}
	case p.Live == 0:
		return []string{name, "built-in", "-", "-", "-", "-", versions, memory}
	}
	return []string{
		name, "v" + strconv.Itoa(p.Live), short(Clean(live.Key)), cmp.Or(linked(live), "-"),
		s.in(live.Loaded).Format("2006-01-02 15:04:05"), size(live.ArtifactBytes), versions, memory,
	}
}

// linked says what an artifact is.
func linked(g control.Generation) string {
	if g.Patch {
		return "patch"
	}
	return Clean(g.Link)
}

func hasBuiltin(p control.Plugin) bool {
	for _, sym := range p.Symbols {
		if sym.Builtin {
			return true
		}
	}
	return false
}

// History writes what was loaded when, by whom, and how it ended, oldest first;
// who signed it only where something was signed.
func History(w io.Writer, h control.History, s Style) error {
	if len(h.Events) == 0 {
		return s.writeLines(w, []string{"nothing was loaded yet"})
	}
	rows := [][]string{{"TIME", "PLUGIN", "VERSION", "KEY", "OUTCOME", "TOOK", "BY", "REASON"}}
	signed := slices.ContainsFunc(h.Events, func(ev control.Event) bool { return ev.Signer != "" })
	if signed {
		rows[0] = slices.Insert(rows[0], 7, "SIGNER")
	}
	for _, ev := range h.Events {
		row := []string{s.in(ev.Time).Format("2006-01-02 15:04:05"), "-", "-", "-", "", "-", "-", ""}
		reason := cleanLines(ev.Reason)
		ev = cleanEvent(ev)
		if row[4], _ = verdictWord(ev); ev.DryRun {
			row[4] = "dry run: " + strings.ToLower(row[4])
		}
		if ev.Plugin != "" {
			row[1] = ev.Plugin
		}
		switch {
		case ev.Generation > 0:
			row[2] = "v" + strconv.Itoa(ev.Generation)
		case ev.Event == control.KindRolledBack && ev.Verdict == control.Patched:
			row[2] = asBuilt
		case ev.Event == control.KindRolledBack:
			row[2] = "built-in"
		}
		if key := short(keyOf(ev)); key != "" {
			row[3] = key
		}
		if ev.TotalMS > 0 {
			row[5] = milliseconds(ev.TotalMS)
		}
		if ev.Caller != nil {
			row[6] = caller(ev.Caller)
		}
		if reason = withCode(ev.Code, reason); len(reason) > 0 {
			row[7] = reason[0]
		}
		if signed {
			row = slices.Insert(row, 7, cmp.Or(ev.Signer, "-"))
		}
		rows = append(rows, row)
	}
	return s.writeLines(w, s.table(rows))
}

// table aligns rows and sets the first one off.
func (s Style) table(rows [][]string) []string {
	lines := columns(rows, 2)
	lines[0] = s.paint(strong, lines[0])
	return lines
}

func (s Style) writeLines(w io.Writer, lines []string) error {
	if _, err := io.WriteString(w, strings.Join(lines, "\n")+"\n"); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}
