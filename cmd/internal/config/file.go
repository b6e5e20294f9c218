package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/viper"
)

// fileNames are looked for in each directory. Two of them in one directory are
// an error: a setting must have one place.
var fileNames = []string{"hotgo.yaml", "hotgo.yml", "hotgo.toml", "hotgo.json"}

// formats maps a file's extension to viper's name of its format.
var formats = map[string]string{".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json"}

// file is a parsed file. The zero value is no file.
type file struct {
	path   string // absolute
	name   string // as shown
	values map[string]any
	lines  *lines
}

// find gives the nearest file in dir or above it, or "". The search ends at the
// outermost of the module, workspace and repository that dir lies in: a file
// beyond them is about something else.
func find(dir string) (string, error) {
	root := searchRoot(dir)
	for d := dir; ; d = filepath.Dir(d) {
		var found []string
		for _, name := range fileNames {
			if info, err := os.Stat(filepath.Join(d, name)); err == nil && !info.IsDir() {
				found = append(found, name)
			}
		}
		switch {
		case len(found) > 1:
			return "", &Error{Problems: []Problem{{
				Where:   Origin{Kind: FromFile, Name: shown(dir, filepath.Join(d, found[0]))},
				Message: fmt.Sprintf("%s lies beside %s; keep one", found[0], strings.Join(found[1:], " and ")),
			}}}
		case len(found) == 1:
			return filepath.Join(d, found[0]), nil
		case d == root || d == filepath.Dir(d):
			return "", nil
		}
	}
}

// searchRoot gives the outermost directory among the nearest module, workspace
// and repository around dir, or dir itself.
func searchRoot(dir string) string {
	root := dir
	for _, mark := range []string{"go.mod", "go.work", ".git"} {
		for d := dir; ; d = filepath.Dir(d) {
			if _, err := os.Stat(filepath.Join(d, mark)); err == nil {
				if len(d) < len(root) { // both are ancestors of dir
					root = d
				}
				break
			}
			if d == filepath.Dir(d) {
				break
			}
		}
	}
	return root
}

// read parses the file at path; name is how messages call it.
func read(path, name string) (*file, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		message := "cannot be read: " + err.Error()
		if errors.Is(err, fs.ErrNotExist) {
			message = "no such file"
		}
		return nil, &Error{Problems: []Problem{{Where: Origin{Kind: FromFile, Name: name}, Message: message, Err: err}}}
	}
	format, ok := formats[strings.ToLower(filepath.Ext(path))]
	if !ok {
		return nil, &Error{Problems: []Problem{{
			Where:   Origin{Kind: FromFile, Name: name},
			Message: "the name must end in .yaml, .yml, .toml or .json",
		}}}
	}
	f, err := decode(format, data, name)
	if err != nil {
		return nil, err
	}
	f.path = path
	return f, nil
}

// decode parses data. The keys of the result are as written: viper's codecs do
// not lower-case, only viper's own merge does.
func decode(format string, data []byte, name string) (*file, error) {
	f := &file{name: name, values: map[string]any{}, lines: locate(format, data)}
	codec, err := viper.NewCodecRegistry().Decoder(format)
	if err != nil {
		return nil, fmt.Errorf("find a decoder for %s: %w", format, err)
	}
	if err := codec.Decode(data, f.values); err != nil {
		line, message := syntaxError(err, data)
		return nil, &Error{Problems: []Problem{{
			Where: Origin{Kind: FromFile, Name: name, Line: line}, Message: message, Err: err,
		}}}
	}
	return f, nil
}

// at says where the file sets key.
func (f *file) at(key string) Origin {
	return Origin{Kind: FromFile, Name: f.name, Line: f.lines.of(key)}
}

// check compares the file's keys with the table.
func (f *file) check() []Problem {
	var problems []Problem
	for _, key := range slices.Sorted(maps.Keys(f.values)) {
		k, ok := lookup(key)
		switch {
		case !ok:
			p := Problem{Where: f.at(key), Key: key, Message: fmt.Sprintf("unknown key %q", key)}
			p.Suggest = Suggest(key, fileKeys())
			problems = append(problems, p)
		case k.NoFile:
			problems = append(problems, Problem{
				Where: f.at(key), Key: key,
				Message: fmt.Sprintf("%s cannot be set in the file; use --%s or %s", key, key, k.Env[0]),
			})
		}
	}
	problems = append(problems, f.checkPluginKeys()...)
	for _, key := range f.lines.twice() {
		problems = append(problems, Problem{Where: f.at(key), Key: key, Message: fmt.Sprintf("key %q is there twice", key)})
	}
	slices.SortStableFunc(problems, func(a, b Problem) int { return a.Where.Line - b.Where.Line })
	return problems
}

// checkPluginKeys compares the keys of the objects in the list of plugins.
func (f *file) checkPluginKeys() []Problem {
	known := []string{"path", "name"}
	items, _ := f.values["plugins"].([]any)
	var problems []Problem
	for i, item := range items {
		m, _ := item.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if slices.Contains(known, key) {
				continue
			}
			problems = append(problems, Problem{
				Where:   Origin{Kind: FromFile, Name: f.name, Line: f.lines.within("plugins", key)},
				Key:     "plugins",
				Message: fmt.Sprintf("plugins: entry %d: unknown key %q", i+1, key),
				Suggest: Suggest(key, known),
			})
		}
	}
	return problems
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors:\n\s*)?line (\d+): `)

// syntaxError finds the line in an error of one of the three decoders, and
// gives the message without it; 0 where the decoder does not say.
func syntaxError(err error, data []byte) (line int, message string) {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	var position interface{ Position() (row, col int) } // go-toml's DecodeError
	message = err.Error()
	switch {
	case errors.As(err, &syntax):
		line = lineAt(data, syntax.Offset)
	case errors.As(err, &typ):
		return lineAt(data, typ.Offset), fmt.Sprintf("want an object with settings, have %s", typ.Value)
	case errors.As(err, &position):
		line, _ = position.Position()
	default: // go.yaml.in/yaml/v3 has text only
		if m := yamlLine.FindStringSubmatch(message); m != nil {
			line, _ = strconv.Atoi(m[1])
			message = message[len(m[0]):]
		}
	}
	message = strings.TrimPrefix(strings.TrimPrefix(message, "yaml: "), "toml: ")
	return line, message
}

// lineAt gives the line, from 1, of a byte offset.
func lineAt(data []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(data)))
	return 1 + strings.Count(string(data[:offset]), "\n")
}
