package carry

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

// The corpus of changes says of each change in the table what is planned and what is
// done. The builder foretells the first, and the conditions of the second, from the
// sources of packages before and after (pkg/builder/internal/statediff), and its tests
// read this file.

var update = flag.Bool("update", false, "rewrite the corpus of changes")

const corpusFile = "testdata/changes.jsonl"

// told is what the corpus says of a change.
type told struct {
	Name     string  `json:"name"`
	Old      string  `json:"old"` // types, as Go spells them
	New      string  `json:"new"`
	Function bool    `json:"function,omitempty"` // the new code has put a function there
	Verdict  Verdict `json:"verdict"`
	Code     string  `json:"code,omitempty"`
	Text     string  `json:"text,omitempty"`
	Refused  string  `json:"refused,omitempty"` // why, in the end
	Found    string  `json:"found,omitempty"`   // codes of what was found, each with a space behind it
}

// planned tells what is planned for a change, before anything is done.
func planned(c change) told {
	d := Compare(oldGeneration(state{"v": c.was}), newGeneration(state{"v": c.now})).Decisions[0]
	now := reflect.ValueOf(c.now).Elem()
	return told{
		Name: c.name, Old: spelledInGo(c.was), New: spelledInGo(c.now), Function: now.Kind() == reflect.Func && !now.IsNil(),
		Verdict: d.Verdict, Code: d.Code, Text: d.Text,
	}
}

// spelledInGo gives the type of what a pointer leads to as a file that imports its
// packages has it. Only in type arguments does reflect write import paths.
func spelledInGo(pointer any) string {
	t := reflect.TypeOf(pointer).Elem()
	return strings.ReplaceAll(t.String(), pathOf(change{})+"/internal/", "")
}

// checked says that the table was gone through: with -count, what a variable of the new
// code starts with is then what was carried before.
var checked bool

// checkCorpus compares what happened to changes with what the corpus says.
func checkCorpus(t *testing.T, all []told) {
	t.Helper()
	if checked {
		return
	}
	checked = true
	var b bytes.Buffer
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false)
	for _, x := range all {
		if err := lines.Encode(x); err != nil {
			t.Fatal(err)
		}
	}
	if *update {
		if err := os.WriteFile(corpusFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(corpusFile)
	if err != nil {
		t.Fatalf("%v (go test -update writes it)", err)
	}
	was, now := strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")
	if len(was) != len(now) {
		t.Errorf("%s has %d lines, and there are %d (go test -update writes it)", corpusFile, len(was), len(now))
		return
	}
	for i := range was {
		if was[i] != now[i] {
			t.Errorf("%s (go test -update writes it):\n got %s\nwant %s", corpusFile, now[i], was[i])
		}
	}
}
