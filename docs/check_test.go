package docs_test

import (
	"strings"
	"testing"
	"testing/fstest"
)

// tests is what runs the commands of the documents below.
var tests = fstest.MapFS{
	"cmd/testdata/script/push.txtar": {Data: []byte(`# Pushing twice changes nothing.
hotgo build ./plugins/...
hotgo push greet > out
# hotgo rollback greet
# $ hotgo push "$(hotgo build)"
! hotgo push --wait greet &
exec bash calls.sh
-- calls.sh --
curl --unix-socket "$HOTGO_SOCKET" http://hotgo/v1/status
`)},
	".ci/run": {Data: []byte("go test -count=1 ./...\n")},
	"main.go": {Data: []byte("package main\n\nfunc main() {\n\tprintln(1)\n}\n")},
}

func TestDocumentWithProofPasses(t *testing.T) {
	for name, text := range map[string]string{
		"prose":             "Run `hotgo push` [here](#push), [there](main.go#L1), [far](https://go.dev) away.",
		"script":            "```sh test=push\nhotgo build ./plugins/...\nhotgo  push greet\n```",
		"comment in block":  "```sh test=push\n# first\nhotgo build ./plugins/...  # all of them\n```",
		"in the background": "```sh test=push\nhotgo push --wait greet\n```",
		"from source":       "```sh test=push\ngo run . push greet\n```",
		"file of a script":  "```sh test=push\ncurl --unix-socket \"$HOTGO_SOCKET\" \\\n  http://hotgo/v1/status\n```",
		"stands for":        "```sh test=push\nhotgo push \"$(hotgo build)\"\n```",
		"console":           "```console test=push\n$ hotgo push greet\ngreet@sha256:8c9f\n```",
		"path":              "```sh test=.ci/run\ngo test -count=1 ./...\n```",
		"untested":          "```sh untested=\"needs root\"\nsysctl -w a=b\n```",
		"in a list":         "- so:\n\n  ```sh test=push\n  hotgo push greet\n  ```\n",
		"other language":    "```json\n{\"a\": 1}\n```\n\n~~~\ndrawing\n~~~",
		"nested fence":      "````text\n```sh\nhotgo\n```\n````",
		"excerpt":           "```go file=main.go\nfunc main() {\n\tprintln(1)\n}\n```",
		"statements":        "```go\nx := f()\n\ng(x)\n```",
	} {
		t.Run(name, func(t *testing.T) {
			if problems := checkText(t, text); len(problems) != 0 {
				t.Errorf("problems: %q", problems)
			}
		})
	}
}

func TestDocumentWithoutProofFails(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unmarked":               {"\n```sh\nhotgo push\n```", "README.md:2: nothing runs these commands"},
		"unmarked console":       {"```console\n$ hotgo push\n```", "nothing runs"},
		"no reason":              {"```sh untested=\"\"\nhotgo push\n```", "nothing runs"},
		"both":                   {"```sh test=push untested=\"no\"\nhotgo push\n```", "either"},
		"no such script":         {"```sh test=pull\nhotgo pull\n```", "cmd/testdata/script/pull.txtar"},
		"no script at all":       {"```sh test=main.go/\nhotgo pull\n```", "nothing runs what it says"},
		"other command":          {"```sh test=push\nhotgo push greet\nhotgo history\n```", "does not run: hotgo history"},
		"command with more":      {"```sh test=push\nhotgo push\n```", "does not run: hotgo push"},
		"only in a comment":      {"```sh test=push\nhotgo rollback greet\n```", "does not run: hotgo rollback"},
		"no command":             {"```console test=push\nhotgo push greet\n```", "without a command"},
		"hidden":                 {"```text\n$ hotgo push\n```", "```console"},
		"excerpt that drifted":   {"```go file=main.go\nfunc main() {\n\tprintln(2)\n}\n```", "no longer a piece of main.go"},
		"excerpt of no file":     {"```go file=none.go\nfunc main() {}\n```", "none.go"},
		"Go that does not parse": {"```go\nfunc {\n```", "does not parse"},
		"Go that is unformatted": {"```go\nx:=1\n```", "not formatted"},
		"dead link":              {"[x](docs/none.md#a)", "docs/none.md"},
	} {
		t.Run(name, func(t *testing.T) {
			problems := checkText(t, c.text)
			if len(problems) != 1 || !strings.Contains(problems[0], c.want) {
				t.Errorf("problems %q, want one with %q", problems, c.want)
			}
		})
	}
}

func checkText(t *testing.T, text string) []string {
	t.Helper()
	root := fstest.MapFS{"README.md": {Data: []byte(text)}}
	for name, f := range tests {
		root[name] = f
	}
	return check(t, root, "README.md")
}
