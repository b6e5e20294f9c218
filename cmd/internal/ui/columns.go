package ui

import (
	"fmt"
	"strconv"
	"strings"

	"charm.land/lipgloss/v2"
)

// columns aligns the cells of rows. gaps is the number of blanks after each
// column; the last one holds for all that follow. A row ends with its last cell
// that is not empty.
func columns(rows [][]string, gaps ...int) []string {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], lipgloss.Width(cell))
		}
	}
	lines := make([]string, 0, len(rows))
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(pad(cell, widths[i]+gaps[min(i, len(gaps)-1)]))
		}
		lines = append(lines, strings.TrimRight(b.String(), " "))
	}
	return lines
}

// pad fills s with blanks up to width columns of a terminal.
func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-lipgloss.Width(s)))
}

// milliseconds shows a duration as people read it: 0.05ms, 61ms, 1.24s.
func milliseconds(ms float64) string {
	switch {
	case ms >= 10_000:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + "s"
	case ms >= 1000:
		return strconv.FormatFloat(ms/1000, 'f', 2, 64) + "s"
	case ms >= 1:
		return strconv.FormatFloat(ms, 'f', 0, 64) + "ms"
	case ms >= 0.005:
		return strconv.FormatFloat(ms, 'f', 2, 64) + "ms"
	}
	return "<0.01ms"
}

// size shows a number of bytes.
func size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	f, unit := float64(n)/1024, 0
	for ; f >= 1023.95 && unit < len("KMGTPE")-1; unit++ {
		f /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", f, "KMGTPE"[unit])
}

// plural gives "1 func" or "2 funcs".
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// asBuilt names generation 0 of a host's own code, which is no plugin's built-in.
const asBuilt = "as built"

// version names a generation: "v8 3fa91c", "v8", or "the built-in".
func version(generation int, key string) string {
	if generation == 0 {
		return "the built-in"
	}
	return strings.TrimSpace("v" + strconv.Itoa(generation) + " " + short(key))
}

// short gives as much of a key or digest as tells versions apart.
func short(key string) string {
	key = strings.TrimPrefix(key, "sha256:")
	return key[:min(6, len(key))]
}
