//go:build linux

package builder

import (
	"bytes"
	"debug/elf"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// A host is judged by the C library that its dynamic linker would give it here.
func TestTheCLibraryOfThisMachineIsRead(t *testing.T) {
	f, err := elf.Open("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := slices.IndexFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
	libs, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	if at < 0 || !slices.Contains(libs, "libc.so.6") {
		t.Skip("the C library of this machine is not glibc, and has no symbol versions")
	}
	interp, err := io.ReadAll(f.Progs[at].Open())
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{
		host: &abi.Fingerprint{Machine: runtime.GOARCH, Settings: map[string]string{"GOOS": runtime.GOOS}, Interp: string(bytes.TrimRight(interp, "\x00"))},
		file: &abi.Fingerprint{Versions: map[string][]string{"libc.so.6": nil, "libnothing.so.1": nil}},
	}
	found := r.process().Libraries
	if !slices.ContainsFunc(found["libc.so.6"], func(v string) bool { return strings.HasPrefix(v, "GLIBC_2.") }) || len(found) != 1 {
		t.Errorf("found %q beside %s", found, r.host.Interp)
	}
	r.Host.Elsewhere = true
	if p := r.process(); p.Libraries != nil || p.CPU != "" {
		t.Errorf("a host elsewhere is judged by this machine: %q, %s", p.Libraries, p.CPU)
	}
}
