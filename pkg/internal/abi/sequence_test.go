//go:build linux

package abi

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What fits depends on what was loaded before, and on how that ended. A sequence
// is loads in one process, each with the verdict that its ledger gives. The truth
// is a process that does the same and does not ask: where the verdict is "fits",
// opening has to go as the step says; where it refuses, that process must be worse
// off, by an error, or by its end.
type step struct {
	file string
	fits bool
	// unasked: it is opened all the same, as by a program that calls plugin.Open
	// itself, and entered as a load that failed.
	unasked bool
	// strict: the runtime would take it. Said with the reason.
	strict string
}

var sequences = []struct {
	name, init string // init is what the initialiser of package middle does
	steps      []step
}{
	{"good after good", "", []step{
		{file: "good.so", fits: true}, {file: "stripped.so", fits: true}, {file: "boom.so", fits: true}, {file: "later.so", fits: true},
	}},
	{"good after bad that was refused", "", []step{
		{file: "trimmed.so"}, {file: "changed.so"}, {file: "good.so", fits: true}, {file: "stripped.so", fits: true},
	}},
	{"bad after good", "", []step{
		{file: "good.so", fits: true}, {file: "trimmed.so"}, {file: "changed.so"}, {file: "boom.so", fits: true},
	}},
	{"good after bad that was opened", "", []step{
		{file: "changed.so", unasked: true},
		// What they share is in scope in the copy of the file that failed, where the
		// garbage collector does not look.
		{file: "good.so", strict: "variables of lib.go/odd.v1 would be in a module that the runtime ignores"},
		{file: "boom.so", fits: true},
	}},
	{"one plugin path in two files", "", []step{
		{file: "stripped.so", fits: true}, {file: "copy.so"}, {file: "good.so", fits: true},
	}},
	{"one plugin path in two versions", "", []step{
		{file: "later.so", fits: true}, {file: "third.so"}, {file: "boom.so", fits: true},
	}},
	{"a package that plugins bring, in two versions", "", []step{
		{file: "boom.so", fits: true}, {file: "third.so"}, {file: "later.so", fits: true},
	}},
	{"the same, in the other order", "", []step{
		{file: "third.so", fits: true}, {file: "boom.so"}, {file: "good.so", fits: true}, {file: "again.so", fits: true},
	}},
	{"good after an initialiser that panicked", "panic", []step{
		{file: "boom.so", fits: true}, {file: "again.so"}, {file: "later.so", fits: true}, {file: "good.so", fits: true},
	}},
}

func TestVerdictAgreesWithTheRuntimeAfterOtherLoads(t *testing.T) {
	b, err := os.ReadFile(built(t, "stripped.so"))
	if err == nil {
		err = os.WriteFile(filepath.Join(builtIn, "copy.so"), b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sequences {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			proc, opened := &Process{}, []string(nil)
			for _, step := range s.steps {
				found := judge(t, built(t, "host.bin"), built(t, step.file), proc)
				if (found == "") != step.fits {
					t.Fatalf("%s after %q: the verdict is %q; fits should be %v", step.file, opened, found, step.fits)
				}
				run := start(t, s.init)
				for _, file := range opened {
					run.open(file)
				}
				answer, fp := run.open(step.file), fingerprint(t, step.file)
				// The next answer is one only if the process lives.
				alive := strings.HasPrefix(run.open("nothing.so"), "error: ")
				t.Logf("%s after %q: verdict %q, runtime %q", step.file, opened, found, answer)
				switch {
				case step.strict == "" && !step.fits && answer == "ok" && alive:
					t.Errorf("%s after %q: it is refused (%s), and would open", step.file, opened, found)
				case step.fits && strings.HasPrefix(answer, "panic: no answer") && s.init == "panic":
					proc.AddStuck(fp, step.file, run.stuck(step.file))
					opened = append(opened, step.file)
				case step.fits && (answer != "ok" || !alive):
					t.Errorf("%s after %q: it fits, and the host says %q", step.file, opened, answer)
				case step.fits, step.unasked:
					proc.Add(fp, step.file, step.unasked)
					opened = append(opened, step.file)
				}
			}
		})
	}
}
