package config

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

func TestNearestFileUpToTheOutermostRootWins(t *testing.T) {
	env(t)
	outside := t.TempDir()
	write(t, filepath.Join(outside, "hotgo.yaml"), "keep: 1\n")
	write(t, filepath.Join(outside, "work", "go.work"), "")
	write(t, filepath.Join(outside, "work", "hotgo.yaml"), "keep: 2\n")
	write(t, filepath.Join(outside, "work", "mod", "go.mod"), "")
	write(t, filepath.Join(outside, "work", "mod", "pkg", "x.go"), "")
	write(t, filepath.Join(outside, "other", "go.mod"), "")
	write(t, filepath.Join(outside, "other", "pkg", "x.go"), "")
	write(t, filepath.Join(outside, "work", "near", "hotgo.toml"), "keep = 3\n")
	write(t, filepath.Join(outside, "work", "near", "pkg", "x.go"), "")
	write(t, filepath.Join(outside, "plain", "x.go"), "")

	for dir, want := range map[string]int{
		"work/mod/pkg":  2,  // the workspace's, above the module
		"work/near/pkg": 3,  // the nearer one
		"other/pkg":     16, // what lies above the module is not ours
		"plain":         16, // no module: the directory itself only
	} {
		if c := load(t, filepath.Join(outside, filepath.FromSlash(dir))); c.Keep != want {
			t.Errorf("from %s: keep %d of %q, want %d", dir, c.Keep, c.File, want)
		}
	}
}

func TestThreeFormatsMeanTheSame(t *testing.T) {
	env(t)
	byYAML := load(t, tree(t, "hotgo.yaml", "keep: 3\nrace: true\ndebounce: 2s\ntags: [a, b]\nplugins: [/p, {path: /q, name: Q}]\n"))
	byTOML := load(t, tree(t, "hotgo.toml", "keep = 3\nrace = true\ndebounce = '2s'\ntags = 'a,b'\n[[plugins]]\npath = '/p'\n[[plugins]]\npath = '/q'\nname = 'Q'\n"))
	byJSON := load(t, tree(t, "hotgo.json", `{"keep": 3, "race": true, "debounce": "2s", "tags": ["a", "b"], "plugins": ["/p", {"path": "/q", "name": "Q"}]}`))
	compare(t, "YAML and TOML", byYAML, byTOML)
	compare(t, "YAML and JSON", byYAML, byJSON)
	if byYAML.Keep != 3 || !*byYAML.Race || byYAML.Tags != "a,b" || len(byYAML.Plugins) != 2 || byYAML.Plugins[1].Name != "Q" {
		t.Errorf("%+v", byYAML)
	}
}

func TestProblemsNameFileAndLine(t *testing.T) {
	env(t)
	for _, tc := range []struct{ name, content, want string }{
		{"hotgo.toml", "# x\nkeep = 3\n\nlnik = 'full'\n", `hotgo.toml:4: unknown key "lnik"; did you mean "link"?`},
		{"hotgo.toml", "ldflags = '''\nkep = 1\n'''\nkep = 1\n", `hotgo.toml:4: unknown key "kep"; did you mean "keep"?`},
		{"hotgo.toml", "[[plugins]]\npath = 'a'\n[[plugins]]\npath = 'b'\nnmae = 'c'\n", `hotgo.toml:5: plugins: entry 2: unknown key "nmae"; did you mean "name"?`},
		{"hotgo.toml", "# x\nkeep = \n", `hotgo.toml:2: incomplete number`},
		{"hotgo.toml", "keep = 1\nkeep = 2\n", `hotgo.toml: key keep is already defined`},
		{"hotgo.json", "{\n \"keep\": 3,\n \"lnik\": 1}", `hotgo.json:3: unknown key "lnik"; did you mean "link"?`},
		{"hotgo.json", "{\n \"keep\": 3,\n \"keep\": 4}", `hotgo.json:2: key "keep" is there twice`},
		{"hotgo.json", "{\n \"keep\": 3,\n}", `hotgo.json:3: invalid character '}' looking for beginning of object key string`},
		{"hotgo.json", "[1]", `hotgo.json:1: want an object with settings, have array`},
		{"hotgo.json", "{\n \"keep\":\n \"x\"}", `hotgo.json:2: keep: want a whole number, have "x"`},
		{"hotgo.yml", "---\n'lnik': full\n", `hotgo.yml:2: unknown key "lnik"; did you mean "link"?`},
		{"hotgo.yaml", "keep: 3\nkeep: 4\n", `hotgo.yaml:2: mapping key "keep" already defined at line 1`},
		{"hotgo.yaml", "{keep: x}\n", `hotgo.yaml: keep: want a whole number, have "x"`},
		{"hotgo.yaml", "keep: [\n", `hotgo.yaml:1: did not find expected node content`},
		{"hotgo.yaml", "a\n", "hotgo.yaml:1: cannot unmarshal !!str `a` into map[string]interface {}"},
	} {
		wantStrings(t, tc.content, loadError(t, tree(t, tc.name, tc.content)), tc.want)
	}
}

func TestEmptyFileIsFine(t *testing.T) {
	env(t)
	for _, content := range []string{"", "# nothing\n", "---\n", "keep:\nhost: null\nplugins:\n"} {
		c := load(t, tree(t, "hotgo.yaml", content))
		if c.Keep != 16 || c.origin("keep").Kind != FromDefault {
			t.Errorf("%q: keep %d from %s", content, c.Keep, c.origin("keep"))
		}
	}
}

func TestTwoFilesInOneDirectoryAreRefused(t *testing.T) {
	env(t)
	dir := tree(t, "hotgo.yaml", "", "hotgo.json", "{}")
	wantStrings(t, "problems", loadError(t, dir), `hotgo.yaml: hotgo.yaml lies beside hotgo.json; keep one`)
}

func TestConfigNamesTheFile(t *testing.T) {
	dir := tree(t, "hotgo.yaml", "keep: 2\n", "other/my.toml", "keep = 3\n", "env.json", `{"keep": 4}`, "x.ini", "")
	env(t)
	c := load(t, dir, "--config", "other/my.toml")
	if c.Keep != 3 || c.File != filepath.Join(dir, "other", "my.toml") {
		t.Errorf("--config: keep %d of %s", c.Keep, c.File)
	}
	t.Setenv("HOTGO_CONFIG", "env.json")
	if c = load(t, dir); c.Keep != 4 {
		t.Errorf("HOTGO_CONFIG: keep %d, want 4", c.Keep)
	}
	wantStrings(t, "no such file", loadError(t, dir, "--config", "nope.yaml"), "nope.yaml: no such file")
	wantStrings(t, "no format", loadError(t, dir, "--config", "x.ini"), "x.ini: the name must end in .yaml, .yml, .toml or .json")
	_, err := Load(Options{Dir: dir, Flags: flags(t, "--config", "nope.yaml")})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
	if got := loadError(t, dir, "--config", "other.yaml/"); !strings.Contains(got[0], "no such file") {
		t.Error(got)
	}
}

func TestSuggestKnowsTyposFromOtherWords(t *testing.T) {
	for word, want := range map[string]string{
		"taget": "target", "targets": "target", "Target": "target", "tgs": "tags", "colour": "color",
		"dri": "dir", "time-out": "timeout", "signkey": "sign-key", "zzz": "", "": "", "registry": "",
	} {
		if got := Suggest(word, fileKeys()); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("yaml", "keep: 3\nplugins:\n  - {path: ./a, name: b}\n")
	f.Add("toml", "keep = 3\n[[plugins]]\npath = 'a'\n")
	f.Add("json", `{"keep": 3, "plugins": [{"path": "a"}]}`)
	f.Add("json", `{"keep": 3, "keep": 4}`)
	f.Add("toml", "ldflags = '''\nkeep = 1\n")
	f.Add("yaml", "plugins: {a.B: c}\n\"x\": {}\n? y\n")
	f.Fuzz(func(t *testing.T, format, content string) {
		if format != "yaml" && format != "toml" && format != "json" {
			t.Skip()
		}
		file, err := decode(format, []byte(content), "f")
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("not an *Error: %v", err)
			}
			return
		}
		count := strings.Count(content, "\n") + 1
		for _, p := range file.check() {
			if p.Where.Line < 0 || p.Where.Line > count {
				t.Errorf("%s: line %d of %d", p.Message, p.Where.Line, count)
			}
		}
		for _, k := range Keys { // whatever the type, a value or an error
			if raw := file.values[k.Name]; raw != nil {
				if value, err := k.parse(raw, file.at(k.Name)); err == nil && k.set != nil {
					k.set(&Config{}, value)
				}
			}
		}
	})
}
