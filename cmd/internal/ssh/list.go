package ssh

import (
	"path"
	"slices"
	"strings"
)

// Between these lines of its output is the list; what stands elsewhere comes from
// whatever a login prints.
const (
	listBegins = "hotgo: sockets"
	listEnds   = "hotgo: end"
)

// listScript gives the script for a POSIX shell that lists the sockets that may be
// meant: those of patterns, and with all those of the account's hosts, in the
// directories where the reloader puts them.
func listScript(all bool, patterns []string) string {
	var words []string
	if all {
		// XDG_RUNTIME_DIR is often not set where nobody logs in.
		words = append(words,
			`"${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"/hotgo/*.sock`,
			`"${TMPDIR:-/tmp}/hotgo-$(id -u)"/*.sock`,
		)
	}
	for _, p := range patterns {
		words = append(words, shellPattern(p))
	}
	return "echo '" + listBegins + "'\nfor s in " + strings.Join(words, " ") +
		"; do\n  if [ -S \"$s\" ]; then printf '%s\\n' \"$s\"; fi\ndone\necho '" + listEnds + "'\n"
}

// shellPattern gives a word of the shell that matches at least what pattern does: it
// knows no more than stars. What it matches beyond is sorted out by matches.
func shellPattern(pattern string) string {
	var b strings.Builder
	for _, element := range strings.Split(strings.TrimPrefix(pattern, "/"), "/") {
		fixed, star := element, ""
		if i := strings.IndexAny(element, meta); i >= 0 {
			fixed, star = element[:i], "*"
		}
		b.WriteString("/'" + strings.ReplaceAll(fixed, "'", `'\''`) + "'" + star)
	}
	return b.String()
}

// readList gives the sockets in the output of the script; ok is false where the
// script did not come to its end.
func readList(out string) (sockets []string, ok bool) {
	_, list, ok := strings.Cut(out, listBegins+"\n")
	if !ok {
		return nil, false
	}
	for line := range strings.Lines(list) {
		switch line = strings.TrimSuffix(line, "\n"); {
		case line == listEnds:
			return sockets, true
		case strings.HasPrefix(line, "/") && checkWhat(line) == nil && !slices.Contains(sockets, line):
			sockets = append(sockets, line)
		}
	}
	return nil, false
}

// Matches reports whether an address that names sockets names this one.
func (a Address) Matches(socket string) bool {
	if a.What == socket {
		return true
	}
	ok, _ := path.Match(a.What, socket)
	return ok
}
