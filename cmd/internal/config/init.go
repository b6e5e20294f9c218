package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Starter is what a new file sets; everything else is there as a comment.
type Starter struct {
	Host    string   // "" leaves it out
	Plugins []Plugin // paths as they should be written: relative with ./, or import paths
}

// ErrExists is the cause of a WriteStarter that found a file.
var ErrExists = errors.New("a configuration file is already there")

// WriteStarter writes a commented hotgo.yaml into dir and gives its path. It
// never overwrites: with any of the names that Load looks for in dir, the error
// wraps ErrExists and the path is that file's.
func WriteStarter(dir string, s Starter) (path string, err error) {
	for _, name := range fileNames {
		path = filepath.Join(dir, name)
		if _, err := os.Lstat(path); err == nil {
			return path, fmt.Errorf("write %s: %w", path, ErrExists)
		}
	}
	path = filepath.Join(dir, fileNames[0])
	return path, create(path, s.yaml())
}

// create writes a file that must not be there yet, even where another process
// made it since somebody looked.
func create(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("write %s: %w", path, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(path) // ours: O_EXCL made it
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// yaml gives the file's text.
func (s Starter) yaml() []byte {
	var b strings.Builder
	b.WriteString(`# Settings of hotgo. Everything here is optional.
#
# A flag beats the environment, the environment beats this file. What is in
# effect, and why:  hotgo config view
# Paths are relative to this file. A line such as "# keep: 16" shows the default;
# after "e.g." it shows an example.
`)
	for _, k := range Keys {
		if k.NoFile {
			continue
		}
		b.WriteString("\n# " + upperFirst(strings.ReplaceAll(k.Usage, "`", "")) + ".\n")
		if k.Unset != "" {
			b.WriteString("# If not set: " + k.Unset + ".\n")
		}
		b.WriteString("# " + k.names() + "\n")
		switch {
		case k.Name == "plugins" && len(s.Plugins) > 0:
			b.WriteString("plugins:\n")
			for _, p := range s.Plugins {
				if p.Name == "" {
					b.WriteString("  - " + quoteYAML(p.Path) + "\n")
				} else {
					b.WriteString("  - {path: " + quoteYAML(p.Path) + ", name: " + quoteYAML(p.Name) + "}\n")
				}
			}
		case k.Name == "host" && s.Host != "":
			b.WriteString("host: " + quoteYAML(s.Host) + "\n")
		case k.Example != "":
			b.WriteString("# e.g. " + k.Name + ": " + k.Example + "\n")
		default:
			b.WriteString("# " + k.Name + ": " + defaultYAML(k.Default) + "\n")
		}
	}
	return []byte(b.String())
}

// names says what else sets k.
func (k Key) names() string {
	var names []string
	if !k.NoFlag {
		names = append(names, "--"+k.Name)
	}
	return strings.Join(slices.Concat(names, k.Env), ", ")
}

func defaultYAML(v any) string {
	if d, ok := v.(time.Duration); ok {
		return d.String()
	}
	return fmt.Sprint(v)
}

// quoteYAML gives s as a YAML text. Go's quoted form is YAML's double-quoted one
// for everything that strconv writes.
func quoteYAML(s string) string {
	if plainYAML(s) {
		return s
	}
	return fmt.Sprintf("%+q", s)
}

// plainYAML says whether s can stand without quotes: paths and import paths.
func plainYAML(s string) bool {
	if !strings.HasPrefix(s, "./") && !strings.HasPrefix(s, "../") && !strings.HasPrefix(s, "/") && !strings.Contains(s, "/") {
		return false // could be true, null, 812
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("./_-", r) && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

func upperFirst(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
