//go:build linux

package abi

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The matrix: hosts and plugins that were built differently, each pair twice. Once
// it is judged by what the files say, once a process that is thrown away opens the
// plugin without asking. Whatever one accepts the other has to, or else a good
// plugin is refused, or a host is hurt.
//
// There are two kinds of cells where more can be said than that. They are marked:
//
//   - blind: the runtime accepts, and it is not what one wants. No file tells.
//   - strict: it is refused and would open.
//
// musl is not in it: no C library but glibc is supposed on the machine. Nor is a
// program linked with -static.
var cells = []struct {
	host, plugin string
	fits         bool
	mark         string
}{
	{"host", "same", true, ""},
	{"host", "trimpath", false, ""},
	{"host", "race", false, ""},
	{"host", "all -N -l", false, ""},
	{"host", "all -l", false, ""},
	{"host", "own -N", true, ""}, // of the plugin's own package, which the host does not have
	{"host", "tags idle", true, ""},
	{"host", "tags more", false, ""},
	{"host", "stripped", true, ""},
	{"host", "-X", true, ""},
	{"host", "v3", true, ""}, // on a machine that has v3
	{"host", "pgo", false, ""},
	{"host", "other", false, ""},
	{"host", "experiment", false, ""},
	{"host", "dependency", false, ""},
	{"host", "cflags", true, ""},
	{"host", "api", false, ""},
	{"host", "inline", false, ""},
	{"host", "body", true, "blind: calls from the plugin run the new body, the host's the old one; sources tell, hashes do not"},
	{"host", "comment", false, ""}, // lines are in the hash
	{"host", "below", true, ""},
	{"host", "own module", true, ""},
	{"host", "own workspc", true, ""},
	{"host", "C code", true, ""},
	{"host", "old hashes", true, ""},
	{"host", "c-shared", false, ""},
	{"host", "c-archive", false, ""},
	{"host", "program", false, ""},
	{"host", "no.txt", false, ""},
	{"host", "empty", false, ""},
	{"host", "half", false, ""},
	{"host", "most", false, "strict: without its section headers the dynamic linker takes it, but nobody can tell what it is"},

	{"host trimpath", "trimpath", true, ""},
	{"host trimpath", "same", false, ""},
	{"host trimpath", "trim module", false, ""}, // the main module has another label in it
	{"host trimpath", "trim workspc", true, ""},
	{"host race", "race", true, ""},
	{"host race", "same", false, ""},
	{"host v3", "v3", true, ""},
	{"host v3", "same", true, ""},
	{"host pgo", "pgo", true, ""},
	{"host pgo", "same", false, ""},
	{"host pie", "same", true, ""},
	{"host stripped", "same", true, ""},
	{"host stripped", "trimpath", false, ""},
	{"host static", "same", false, ""},
	{"host without", "same", false, ""},
	{"host other", "other", true, ""},
	{"host other", "same", false, ""},
}

func TestVerdictAgreesWithTheRuntimeInEveryCell(t *testing.T) {
	if testing.Short() {
		t.Skip("builds dozens of plugins")
	}
	m, err := theMatrix()
	if err != nil {
		t.Fatal(err)
	}
	cpuinfo, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	cpu := CPULevel(string(cpuinfo))
	for _, c := range cells {
		t.Run(c.host+", "+c.plugin, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(c.host+c.plugin, "other") && m.other == "" {
				t.Skip("the other Go release cannot be had here: GOTOOLCHAIN")
			}
			if strings.Contains(c.host+c.plugin, "v3") && (runtime.GOARCH != "amd64" || cpu < "v3") {
				t.Skip("this processor has not GOAMD64=v3: it would die at the first such instruction")
			}
			if c.plugin == "half" || c.plugin == "most" {
				m.truncate(t, c.plugin)
			}
			host, plugin := m.binary(t, c.host), m.binary(t, c.plugin)
			found := judge(t, host, plugin, &Process{CPU: cpu})
			truth := opens(t, host, plugin)[0]
			if !strings.HasPrefix(c.mark, "strict") && (found == "") != (truth == "ok") {
				t.Errorf("the verdict is %q, and the host says %q", found, truth)
			}
			if (found == "") != c.fits {
				t.Errorf("the verdict is %q; fits should be %v", found, c.fits)
			}
			if c.mark != "" {
				t.Log(c.mark)
			}
			t.Logf("verdict %q, host %q", found, truth)
		})
	}
	t.Run("strict: GOAMD64 above the processor", func(t *testing.T) {
		// It opens, and dies of SIGILL whenever it gets there.
		t.Parallel()
		if found := judge(t, m.binary(t, "host"), m.binary(t, "v3"), &Process{CPU: "v2"}); !strings.Contains(found, "GOAMD64") {
			t.Errorf("the verdict is %q", found)
		}
	})
}

// truncate makes the beginning of a plugin.
func (m *matrix) truncate(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(m.binary(t, "same"))
	if err != nil {
		t.Fatal(err)
	}
	n := len(b) / 2
	if name == "most" { // all but the section headers
		n = bytes.LastIndex(b, []byte(".shstrtab"))
	}
	if err := os.WriteFile(filepath.Join(m.dir, name), b[:n], 0o600); err != nil {
		t.Fatal(err)
	}
}

// judge says what keeps a plugin from being opened; "" means that it fits. It is
// what a host asks, in its order.
func judge(t *testing.T, host, plugin string, proc *Process) string {
	t.Helper()
	h, err := ReadFile(host)
	if err != nil {
		t.Fatal(err)
	}
	fp, err := ReadFile(plugin)
	if err == nil {
		err = fp.RequirePlugin()
	}
	if err == nil {
		err = checkLoadableFile(plugin)
	}
	if err != nil {
		return err.Error()
	}
	if found := Compare(h, fp, proc); len(found) > 0 {
		return fmt.Sprintf("%d mismatches, first %s", len(found), lines(Headline(found, 3)))
	}
	return ""
}

func checkLoadableFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return CheckLoadable(f, info.Size())
}
