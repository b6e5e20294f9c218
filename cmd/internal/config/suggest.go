package config

import "strings"

// Suggest gives the one of known that word was probably meant to be, or "".
// A third of the letters may be wrong, and always one.
func Suggest(word string, known []string) string {
	word = strings.ToLower(word)
	best, bestDistance := "", len(word)
	for _, k := range known {
		limit := max(1, min(len(word), len(k))/3)
		if d := distance(word, strings.ToLower(k)); d <= limit && d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of two
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := last[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			row[j] = min(replace, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
