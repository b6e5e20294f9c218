package builder

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

func TestMappingsNameEveryFileOnce(t *testing.T) {
	const maps = `00400000-0049b000 r-xp 00000000 fe:00 1001                               /srv/server
0049b000-00546000 r--p 0009b000 fe:00 1001                               /srv/server
c000000000-c000400000 rw-p 00000000 00:00 0
7f0000000000-7f0000001000 r--p 00000000 fe:00 1002                       /srv/with blanks/greet.so
7f0000001000-7f0000002000 r-xp 00001000 fe:00 1002                       /srv/with blanks/greet.so
7f0000003000-7f0000004000 r--p 00000000 fe:00 1003                       /tmp/hotgo-0/run-1/000001.so (deleted)
7f0000005000-7f0000006000 r--p 00000000 fe:01 1002                       /mnt/greet.so
7ffd5c9d0000-7ffd5c9f1000 rw-p 00000000 00:00 0                          [stack]
7ffd5c9f6000-7ffd5c9fa000 r--p 00000000 00:00 0                          [vvar]
nonsense
`
	want := []mapping{
		{path: "/srv/server", inode: 1001, area: "00400000-0049b000"},
		{path: "/srv/with blanks/greet.so", inode: 1002, area: "7f0000000000-7f0000001000"},
		{path: "/tmp/hotgo-0/run-1/000001.so", gone: true, inode: 1003, area: "7f0000003000-7f0000004000"},
		{path: "/mnt/greet.so", inode: 1002, area: "7f0000005000-7f0000006000"},
	}
	if got := mappings([]byte(maps)); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// What cannot be looked at is an error, and no verdict.
func TestVerifyGivesNoVerdictOnWhatItCannotRead(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no plugin"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(text+"x", VerifyHost{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Verify(filepath.Dir(text), VerifyHost{}); err == nil {
		t.Error("a directory has a verdict")
	}
	var host *HostError
	if _, err := Verify(text, VerifyHost{Binary: text}); !errors.As(err, &host) || host.Binary != text {
		t.Errorf("a host that is a text: %v", err)
	}
	if _, err := Verify(text, VerifyHost{Binary: text + "x"}); !errors.As(err, &host) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a host that is not there: %v", err)
	}
}

func TestVerifyWithoutAHostJudgesTheFile(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no plugin"), 0o600); err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, exe} {
		r, err := Verify(path, VerifyHost{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Fits() || r.Mismatches[0].Kind != MismatchFile || r.Artifact.Digest == "" {
			t.Errorf("%s: fits %v, digest %q, %+v", path, r.Fits(), r.Artifact.Digest, r.Mismatches)
		}
	}
}

func TestReportKeepsRefusalsFirst(t *testing.T) {
	r := &Report{}
	for _, m := range []Mismatch{
		{What: "d", Kind: abi.MismatchRelease, Weight: Warns},
		{What: "e", Kind: abi.MismatchFile, Weight: Notes},
		{What: "b", Kind: abi.MismatchFlag},
		{What: "c", Kind: abi.MismatchFlag},
		{What: "a", Kind: abi.MismatchFile},
	} {
		r.Add(m)
	}
	var order string
	for _, m := range r.Mismatches {
		order += m.What
	}
	if order != "abcde" {
		t.Errorf("order %s", order)
	}
}

// Lines count in package hashes: a comment is a difference.
func TestChangedOnDiskComparesBytes(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sum := func(text string) baselineFile {
		return baselineFile{Raw: fmt.Sprintf("%x", sha256.Sum256([]byte(text)))}
	}
	write("same.go", "package p")
	write("worded.go", "package p // once more")
	write("new.go", "package p")
	write("new_test.go", "package p")
	write("notes.txt", "")
	bl := &baseline{Packages: map[string]baselinePackage{
		"example.com/p": {Dir: dir, Files: map[string]baselineFile{
			"same.go": sum("package p"), "worded.go": sum("package p"), "gone.go": sum("package p"),
		}},
		"example.com/moved": {Dir: filepath.Join(dir, "moved"), Files: map[string]baselineFile{"a.go": sum("")}},
	}}
	want := []string{filepath.Join(dir, "gone.go"), filepath.Join(dir, "new.go"), filepath.Join(dir, "worded.go")}
	if got := bl.changedOnDisk("example.com/p"); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, pkg := range []string{"example.com/unknown", "example.com/moved"} {
		if got := bl.changedOnDisk(pkg); got != nil {
			t.Errorf("%s: %q", pkg, got)
		}
	}
}
