package builder

import (
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// position is how the compiler, vet, cgo and gcc begin a message.
var position = regexp.MustCompile(`^(.+?\.[A-Za-z]+):(\d+)(?::(\d+))?:? (.*)$`)

// diagnostics reads compiler output. Lines that begin with a tab continue the
// message before them; lines without a position are left to the full output.
func diagnostics(workDir, output string) []Diagnostic {
	var ds []Diagnostic
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "\t") && len(ds) > 0 {
			ds[len(ds)-1].Message += " " + strings.TrimSpace(line)
			continue
		}
		m := position.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		d := Diagnostic{File: m[1], Message: m[4]}
		d.Line, _ = strconv.Atoi(m[2])
		d.Col, _ = strconv.Atoi(m[3])
		if !filepath.IsAbs(d.File) {
			d.File = filepath.Join(workDir, d.File)
		}
		ds = append(ds, d)
	}
	return ds
}

// diagnosticAt reads the position of a package error: file:line:col, relative
// to the working directory.
func diagnosticAt(workDir, pos, msg string) (Diagnostic, bool) {
	ds := diagnostics(workDir, pos+": "+strings.ReplaceAll(msg, "\n", " "))
	if pos == "" {
		ds = diagnostics(workDir, msg) // scanner errors carry theirs in the text
	}
	if len(ds) == 0 {
		return Diagnostic{}, false
	}
	return ds[0], true
}
