//go:build linux && cgo

package reloader_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// Thousands of damaged and forged artifacts go to a live host, which has to
// refuse or load each, to have said so in a dry run, and to serve afterwards. There are three ways to damage
// one:
//
//   - raw: bits of the file. Its digest shows nearly all of that.
//   - sealed: bits of the tables that the dynamic linker and the runtime follow,
//     with manifest and digest made for the result: what a forger would send, or a
//     broken linker. See mutation_regions_test.go for which bits.
//   - manifest: bits of the manifest, sealed again.
//
// What loads is given to the garbage collector and called, and that host has
// done its duty: the next mutation gets a new one, since the plugin path is taken.
//
// HOTGO_TEST_MUTATIONS is how many there are of each artifact, HOTGO_TEST_SEED
// begins another series. A failure names the seed and the bits, and leaves the
// file in the test's artifact directory (go test -artifacts).

const (
	mutations    = 400
	mutationSeed = 1
)

func TestMutatedArtifactsNeverHurtTheHost(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]func(*testing.T) string{"full": good, "thin": thinArtifact} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			newMutator(t, path(t)).run(fromEnv(t, "HOTGO_TEST_MUTATIONS", mutations))
		})
	}
}

func fromEnv(t *testing.T, name string, otherwise int) int {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// thinArtifact has the command line link an artifact against the host.
func thinArtifact(t *testing.T) string {
	t.Helper()
	host, dir := fixture(t, "host"), t.TempDir()
	hotgo := filepath.Join(dir, "hotgo")
	for _, args := range [][]string{
		{"go", "build", "-o", hotgo, "github.com/hotgo/hotgo"},
		{hotgo, "build", "--link", "thin", "--host", host, "--dir", filepath.Join(dir, "store"), "./testdata/thin/pricing"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-buildvcs=false", "XDG_CACHE_HOME="+dir, "GOCACHE="+goCache(t))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "store", "pricing-*.so"))
	if err != nil || len(found) != 1 {
		t.Fatalf("artifacts %q, %v", found, err)
	}
	return found[0]
}

func goCache(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// mutator damages one artifact again and again.
type mutator struct {
	t        *testing.T
	file     []byte
	payload  []byte // file without its manifest
	manifest artifact.Manifest
	regions  []region
	work     string // directory for what is made
	host     *host
	price    int // for 1, of the artifact as it was

	refused  map[string]int // by code
	loaded   int
	unsealed int // what could not be sealed, and went as it was
	beyond   int // see region.beyond
	deaths   int
}

func newMutator(t *testing.T, path string) *mutator {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := &mutator{t: t, file: file, work: t.TempDir(), refused: map[string]int{}, price: 5}
	if m.manifest, err = artifact.Read(bytes.NewReader(file), int64(len(file))); err != nil {
		t.Fatal(err)
	}
	m.payload = unseal(t, file)
	m.regions = regionsOf(t, m.payload)
	m.begin()
	m.host.load(path) // else every refusal would prove nothing
	m.host.serves(m.price, 1)
	m.begin()
	return m
}

// begin starts a host.
func (m *mutator) begin() {
	if m.host != nil {
		_ = m.host.cmd.Process.Kill() // it may have ended already
		_ = m.host.wait()
	}
	m.host = startHost(m.t)
}

func (m *mutator) run(count int) {
	seed := uint64(fromEnv(m.t, "HOTGO_TEST_SEED", mutationSeed))
	for i := range count {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		var b []byte
		var what string
		switch n := r.IntN(10); {
		case n == 0:
			b, what = m.raw(r)
		case n == 1:
			b, what = m.inManifest(r)
		default:
			b, what = m.sealed(r)
		}
		if b != nil {
			m.send(b, fmt.Sprintf("seed %d, mutation %d: %s", seed, i, what))
		}
	}
	m.t.Logf("of %d mutations %d loaded, %d could not be sealed, %d only made a pointer to another place, refused %v",
		count, m.loaded, m.unsealed, m.beyond, m.refused)
	if m.loaded == 0 || m.refused[control.CodeNotArtifact] == 0 {
		m.t.Errorf("loaded %d, refused %v: nothing was proved", m.loaded, m.refused)
	}
}

// send has the host load b, and checks the host.
func (m *mutator) send(b []byte, what string) {
	const patience = time.Minute
	path := filepath.Join(m.work, "mutated.so")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		m.t.Fatal(err)
	}
	hangs := time.AfterFunc(patience, func() { _ = m.host.cmd.Process.Kill() })
	defer hangs.Stop()
	_, dryErr := m.host.LoadFile(m.t.Context(), path, control.LoadOptions{DryRun: true})
	ev, err := m.host.LoadFile(m.t.Context(), path, control.LoadOptions{})
	if dry, wet := preflightCode(dryErr), preflightCode(err); dry != wet {
		m.died(b, what, fmt.Sprintf("the dry run says %q, the load %q", dry, wet))
		return
	}
	var e *control.Error
	price, generation := 1, 0
	switch {
	case err == nil && ev.Verdict == control.Swapped:
		m.loaded++
		if ev.Plugin == "pricing" { // else nothing is bound to it
			price, generation = m.price, ev.Generation
		}
	case errors.As(err, &e):
		m.refused[e.Code]++
	default:
		m.died(b, what, fmt.Sprintf("%+v, %v", ev, err))
		return
	}
	for _, line := range []string{"gc", "1"} {
		want := map[string]string{"gc": "gc", "1": fmt.Sprint(price, generation)}[line]
		fmt.Fprintln(m.host.stdin, line)
		if !m.host.stdout.Scan() || m.host.stdout.Text() != want {
			m.died(b, what, fmt.Sprintf("it says %q to %q, want %q", m.host.stdout.Text(), line, want))
			return
		}
	}
	if _, statusErr := m.host.Status(m.t.Context()); statusErr != nil {
		m.died(b, what, statusErr.Error())
		return
	}
	if err == nil || e.Code != control.CodeNotArtifact && e.Code != control.CodeIncompatible {
		m.begin()
	}
}

// preflightCode is the code of an error that says that nothing was opened, or "".
func preflightCode(err error) string {
	if code := (result{err: err}).code(); code != control.CodeRefused {
		return code
	}
	return ""
}

// died keeps the file, and goes on with another host.
func (m *mutator) died(b []byte, what, why string) {
	m.t.Helper()
	const enough, shown = 10, 600
	if m.deaths++; m.deaths > enough {
		m.t.FailNow()
	}
	kept := filepath.Join(m.t.ArtifactDir(), fmt.Sprint("mutated", m.deaths, ".so"))
	if err := os.WriteFile(kept, b, 0o600); err != nil {
		m.t.Error(err)
	}
	_ = m.host.cmd.Process.Kill()
	_ = m.host.wait()
	said := m.host.stderr.String()
	m.t.Errorf("%s\nthe host: %s\nthe file is %s\n%s", what, why, kept, said[:min(len(said), shown)])
	m.begin()
}

// raw flips some bits anywhere.
func (m *mutator) raw(r *rand.Rand) ([]byte, string) {
	b := bytes.Clone(m.file)
	what := "raw"
	for range 1 + r.IntN(3) {
		at, bit := r.IntN(len(b)), r.IntN(8)
		b[at] ^= 1 << bit
		what += fmt.Sprintf(", byte %#x bit %d", at, bit)
	}
	return b, what
}

// inManifest flips a bit of the manifest and seals it again.
func (m *mutator) inManifest(r *rand.Rand) ([]byte, string) {
	begin, end := manifestLine(m.t, m.file)
	at, bit := begin+r.IntN(end-begin-1), r.IntN(8)
	b := bytes.Clone(m.file)
	b[at] ^= 1 << bit
	copy(b[end:], bytes.Replace(b[end:], []byte(sum(m.file[begin:end])), []byte(sum(b[begin:end])), 1))
	return b, fmt.Sprintf("manifest, byte %d bit %d: %.80q", at-begin, bit, b[max(begin, at-20):min(end, at+20)])
}

// sealed flips bits of a region and makes an artifact of the result. It gives nil
// where that is beyond what can be checked.
func (m *mutator) sealed(r *rand.Rand) ([]byte, string) {
	reg := m.regions[r.IntN(len(m.regions))]
	if !reg.grave() { // they mostly load, which takes longest, and prove least
		reg = m.regions[r.IntN(len(m.regions))]
	}
	b := bytes.Clone(m.payload)
	at, bit := reg.off+r.IntN(reg.size), r.IntN(8)
	b[at] ^= 1 << bit
	what := fmt.Sprintf("sealed, %s, byte %#x (%d in it) bit %d", reg.name, at, at-reg.off, bit)
	if reg.beyond(b, at-reg.off) {
		m.beyond++
		return nil, what
	}
	path := filepath.Join(m.work, "payload.so")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		m.t.Fatal(err)
	}
	if err := artifact.Append(path, m.manifest); err != nil {
		m.unsealed++
		return b, what
	}
	b, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	return b, what
}
