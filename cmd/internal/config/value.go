package config

import (
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// parse checks raw, which viper found at from, and gives the value of k's type.
// A file has types, so there a text where a number belongs is an error; flags
// and environment are text by nature.
func (k Key) parse(raw any, from Origin) (any, error) {
	value, err := k.parseKind(raw, from)
	if err == nil && k.check != nil {
		err = k.check(value)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", k.Name, err)
	}
	return value, nil
}

func (k Key) parseKind(raw any, from Origin) (any, error) {
	typed := from.Kind == FromFile
	switch k.Kind {
	case Text:
		s, ok := raw.(string)
		switch {
		case !ok:
			return nil, wrongType("a text in quotes", raw)
		case len(k.Choices) > 0 && !slices.Contains(k.Choices, s):
			return nil, unknownChoice(k.Choices, s)
		}
		return s, nil
	case Int:
		return parseInt(raw, typed)
	case Bool:
		return parseBool(raw, typed)
	case TriState:
		b, err := parseBool(raw, typed)
		return &b, err
	case Duration:
		return parseDuration(raw)
	case List:
		if from.Name == "HOTGO_SOCKET" { // one path, which may hold a comma
			return []string{fmt.Sprint(raw)}, nil
		}
		return parseList(raw, typed)
	case Lines:
		if s, ok := raw.(string); ok && !typed {
			return []string{s}, nil
		}
		return parseList(raw, typed)
	case Tags:
		if s, ok := raw.(string); ok {
			return s, nil
		}
		list, err := parseList(raw, typed)
		return strings.Join(list, ","), err
	case Plugins:
		return parsePlugins(raw, typed)
	}
	return nil, fmt.Errorf("kind %d has no parser", k.Kind) // a row of the table is wrong
}

func parseInt(raw any, typed bool) (int, error) {
	const want = "a whole number"
	switch v := raw.(type) {
	case int:
		return v, nil
	case int64: // TOML
		if int64(int(v)) == v {
			return int(v), nil
		}
	case float64: // JSON
		if v == math.Trunc(v) && math.Abs(v) < 1<<31 {
			return int(v), nil
		}
	case string:
		if n, err := strconv.Atoi(v); err == nil && !typed {
			return n, nil
		}
	}
	return 0, wrongType(want, raw)
}

func parseBool(raw any, typed bool) (bool, error) {
	switch v := raw.(type) {
	case bool:
		return v, nil
	case string:
		if b, err := strconv.ParseBool(v); err == nil && !typed {
			return b, nil
		}
	}
	return false, wrongType("true or false", raw)
}

func parseDuration(raw any) (time.Duration, error) {
	if s, ok := raw.(string); ok {
		if d, err := time.ParseDuration(s); err == nil {
			return d, nil
		}
	}
	return 0, wrongType("a time with its unit, such as 300ms or 2s", raw)
}

// parseList reads a list of texts. Text from the environment is comma-separated
// with quotes as in CSV, which is how pflag reads a repeatable flag.
func parseList(raw any, typed bool) ([]string, error) {
	var items []string
	switch v := raw.(type) {
	case []string: // a flag
		items = v
	case string:
		if typed {
			items = []string{v}
			break
		}
		r := csv.NewReader(strings.NewReader(v))
		r.TrimLeadingSpace = true
		fields, err := r.Read()
		if err != nil {
			return nil, wrongType("a comma-separated list", raw)
		}
		items = fields
	case []any:
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, wrongType("a list of texts in quotes", item)
			}
			items = append(items, s)
		}
	default:
		return nil, wrongType("a list of texts", raw)
	}
	var list []string
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list, nil
}

// parsePlugins reads the list of plugins. The keys of the objects were compared
// with the two that exist by checkPluginKeys.
func parsePlugins(raw any, typed bool) ([]Plugin, error) {
	if m, ok := raw.(map[string]any); ok {
		return nil, fmt.Errorf("want a list, have an object with %s; write  plugins: [{path: ./rules, name: pricing}]",
			strings.Join(slices.Sorted(maps.Keys(m)), ", "))
	}
	items, ok := raw.([]any)
	if !ok {
		paths, err := parseList(raw, typed)
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			items = append(items, p)
		}
	}
	var plugins []Plugin
	names := map[string]string{}
	for i, item := range items {
		p, err := parsePlugin(item)
		if err != nil {
			return nil, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if p.Name != "" {
			if first, dup := names[p.Name]; dup {
				return nil, fmt.Errorf("entry %d: %s and %s have the one name %q", i+1, first, p.Path, p.Name)
			}
			names[p.Name] = p.Path
		}
		plugins = append(plugins, p)
	}
	return plugins, nil
}

func parsePlugin(item any) (Plugin, error) {
	var p Plugin
	switch v := item.(type) {
	case string:
		p.Path = v
	case map[string]any:
		for key, field := range map[string]*string{"path": &p.Path, "name": &p.Name} {
			if v[key] == nil {
				continue
			}
			s, ok := v[key].(string)
			if !ok {
				return p, fmt.Errorf("%s: %w", key, wrongType("a text in quotes", v[key]))
			}
			*field = s
		}
	default:
		return p, wrongType("a path or {path, name}", item)
	}
	switch {
	case p.Path == "":
		return p, errors.New("path is missing")
	case p.Name != "" && strings.Contains(p.Path, "..."):
		return p, fmt.Errorf("%s is a pattern; a name goes with one package", p.Path)
	case p.Name != "" && !pluginName.MatchString(p.Name):
		return p, fmt.Errorf("name %q: want letters, digits, dots, dashes and underscores, up to 64, a letter or digit first", p.Name)
	}
	return p, nil
}

// pluginName keeps names fit for file names: artifacts carry them.
var pluginName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func checkKeep(v any) error {
	if n := v.(int); n != -1 && n < 1 {
		return fmt.Errorf("want at least 1, or -1 for all, have %d", n)
	}
	return nil
}

func checkPositive(v any) error {
	if n := v.(int); n < 1 {
		return fmt.Errorf("want at least 1, have %d", n)
	}
	return nil
}

// checkWindow holds one value of a health window against what hosts take.
func checkWindow[T any](set func(*control.Window, T)) func(any) error {
	return func(v any) error {
		var w control.Window
		set(&w, v.(T))
		_, err := w.Complete()
		return err
	}
}

func checkLasts(v any) error {
	if d := v.(time.Duration); d <= 0 {
		return fmt.Errorf("want some time, have %s", d)
	}
	return nil
}

func checkNotNegative(v any) error {
	if d := v.(time.Duration); d < 0 {
		return fmt.Errorf("want no negative time, have %s", d)
	}
	return nil
}

func wrongType(want string, have any) error {
	switch v := have.(type) {
	case string:
		return fmt.Errorf("want %s, have %q", want, v)
	case []any:
		return fmt.Errorf("want %s, have a list", want)
	case map[string]any:
		return fmt.Errorf("want %s, have an object", want)
	case nil:
		return fmt.Errorf("want %s, have nothing", want)
	}
	return fmt.Errorf("want %s, have %v", want, have)
}

func unknownChoice(choices []string, have string) error {
	last := len(choices) - 1
	err := fmt.Errorf("want %s or %s, have %q", strings.Join(choices[:last], ", "), choices[last], have)
	if s := Suggest(have, choices); s != "" {
		err = fmt.Errorf("%w; did you mean %q?", err, s)
	}
	return err
}
