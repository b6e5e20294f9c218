package config

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

// lines says on which lines the top-level keys of a file stand. viper's decoders
// give values without positions, and a message without a line makes people
// search. So the text is scanned a second time, for positions only: what the
// scan does not recognise (a flow mapping over the whole YAML file, an exotic
// quotation) costs the line number and nothing else.
type lines struct {
	text  [][]byte
	first map[string]int // key -> line, from 1
	dup   []string       // keys that come twice and that the decoder takes
}

// of gives key's line, or 0. A nil receiver knows none.
func (l *lines) of(key string) int {
	if l == nil {
		return 0
	}
	return l.first[key]
}

// twice gives the keys that come twice.
func (l *lines) twice() []string {
	if l == nil {
		return nil
	}
	return l.dup
}

// within gives the first line on which inner stands as a key below the
// top-level key outer, or outer's own line.
func (l *lines) within(outer, inner string) int {
	start := l.of(outer)
	if start == 0 {
		return 0
	}
	end := len(l.text)
	for _, n := range l.first {
		if n > start && n-1 < end {
			end = n - 1
		}
	}
	key := regexp.MustCompile(`(?:^|[\s{,\-"'])` + regexp.QuoteMeta(inner) + `["']?\s*[:=]`)
	for n := start; n <= end; n++ {
		if key.Match(l.text[n-1]) {
			return n
		}
	}
	return start
}

// locate scans data.
func locate(format string, data []byte) *lines {
	l := &lines{text: bytes.Split(data, []byte("\n")), first: map[string]int{}}
	switch format {
	case "yaml":
		l.scanYAML()
	case "toml":
		l.scanTOML()
	case "json":
		l.scanJSON(data)
	}
	return l
}

func (l *lines) add(key string, line int) {
	if _, ok := l.first[key]; !ok {
		l.first[key] = line
	}
}

var yamlKey = regexp.MustCompile(`^(?:"([^"]*)"|'([^']*)'|([^\s#:'"\-\[\]{}][^:]*?))\s*:(?:\s|$)`)

// scanYAML takes what stands in the first column: in a block mapping nothing but
// keys, comments and document markers can. (yaml/v3 refuses double keys itself.)
func (l *lines) scanYAML() {
	for i, text := range l.text {
		if m := yamlKey.FindSubmatch(text); m != nil {
			l.add(string(slices.Concat(m[1], m[2], m[3])), i+1)
		}
	}
}

var (
	tomlKey   = regexp.MustCompile(`^\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*[=.]`)
	tomlTable = regexp.MustCompile(`^\s*\[\[?\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))`)
)

// scanTOML takes keys before the first table, and the tables' own first names.
// (go-toml refuses double keys itself.)
func (l *lines) scanTOML() {
	inTable, inString := false, ""
	for i, text := range l.text {
		if inString == "" {
			if m := tomlTable.FindSubmatch(text); m != nil {
				inTable = true
				l.add(string(slices.Concat(m[1], m[2], m[3])), i+1)
			} else if m := tomlKey.FindSubmatch(text); m != nil && !inTable {
				l.add(string(slices.Concat(m[1], m[2], m[3])), i+1)
			}
		}
		for _, quote := range []string{`"""`, `'''`} {
			if (inString == "" || inString == quote) && strings.Count(string(text), quote)%2 == 1 {
				if inString == "" {
					inString = quote
				} else {
					inString = ""
				}
			}
		}
	}
}

// scanJSON walks the tokens and notes double keys: encoding/json lets the last
// one win.
func (l *lines) scanJSON(data []byte) {
	d := json.NewDecoder(bytes.NewReader(data))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return
	}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return
		}
		if _, dup := l.first[key]; dup {
			l.dup = append(l.dup, key)
		}
		l.add(key, lineAt(data, d.InputOffset()))
		var skip json.RawMessage
		if d.Decode(&skip) != nil {
			return
		}
	}
}
