//go:build linux && cgo

package reloader_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// What the hostile tests share: a host that many attacks go against in turn,
// and artifacts that differ in the one way an attack needs.
//
// Artifacts come from one build. The runtime knows a plugin by its path, which
// is all over the file: in strings, in symbol names, and in the hash table by
// which the dynamic linker finds symbols. Its hash of a name is a sum of
// h = 33*h + c, so "Az", "BY" and "C8" hash alike, and a path may exchange one
// for another without the table noticing.

const variantDir = "variant_AzAzAzAzAzAzAz"

// variantCount tells variants apart; they all have to be different.
var variantCount atomic.Int64

// variant makes an artifact that no host has seen. mode is what it does, such
// as "init-panic"; "good" multiplies by 5.
func variant(t *testing.T, mode string, edit func(*artifact.Manifest)) string {
	t.Helper()
	b := variantBytes(t, mode)
	return packBytes(t, fmt.Sprintf("variant%d", variantCount.Load()), b, edit)
}

func good(t *testing.T) string {
	t.Helper()
	return variant(t, "good", nil)
}

// variantBytes makes the plugin that variant puts a manifest on.
func variantBytes(t *testing.T, mode string) []byte {
	t.Helper()
	return variantOf(t, "variant.so", mode)
}

// variantOf makes a variant of a fixture.
func variantOf(t *testing.T, file, mode string) []byte {
	t.Helper()
	b := variantFile(t, file)
	const digits = 7
	name, n := "variant_", variantCount.Add(1)
	for range digits {
		name += []string{"Az", "BY", "C8"}[n%3]
		n /= 3
	}
	if n > 0 {
		t.Fatal("out of variants: give the plugin's directory another digit")
	}
	b = bytes.ReplaceAll(b, []byte(variantDir), []byte(name))
	if where, _, _ := strings.Cut(mode, "-"); where == "brought" {
		return replaceBytes(t, b, "brought:good................", fmt.Sprintf("%-28s", strings.Replace(mode, "-", ":", 1)), ".")
	}
	return replaceBytes(t, b, "variant:good................", fmt.Sprintf("%-28s", "variant:"+mode), ".")
}

func variantFile(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(fixture(t, file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// replaceBytes replaces text that occurs once by as much text, whose spaces
// stand for pad.
func replaceBytes(t *testing.T, b []byte, old, text, pad string) []byte {
	t.Helper()
	text = strings.ReplaceAll(text, " ", pad)
	if n := bytes.Count(b, []byte(old)); n != 1 || len(old) != len(text) {
		t.Fatalf("%q occurs %d times and is to become %q", old, n, text)
	}
	return bytes.Replace(b, []byte(old), []byte(text), 1)
}

// reseal replaces text in an artifact's manifest and makes the seal fit again,
// so that nothing but the lie is wrong. Both texts have to be equally long.
func reseal(t *testing.T, path, old, text string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// The section's content, two lines of JSON, begins like this.
	start := bytes.LastIndex(b, []byte(`{"v":1,"plugin":`))
	end := start + bytes.IndexByte(b[start:], '\n') + 1
	line := replaceBytes(t, b[start:end], old, text, " ")
	sum := func(b []byte) string {
		h := sha256.Sum256(b)
		return "sha256:" + hex.EncodeToString(h[:])
	}
	b = replaceBytes(t, b, sum(b[start:end]), sum(line), " ")
	copy(b[start:], line)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// victim is a host under attack, and what it was like before.
type victim struct {
	*host
	tmp        string
	price      int // for 1
	generation int
	listeners  int
	fds        int
	goroutines int
}

// newVictim starts a host that serves a plugin.
func newVictim(t *testing.T, env ...string) *victim {
	t.Helper()
	v := &victim{tmp: t.TempDir(), listeners: 1}
	v.host = startHost(t, append([]string{"TMPDIR=" + v.tmp, "TEST_OPEN_TIMEOUT=1m"}, env...)...)
	v.become()
	return v
}

// become loads the first plugin and remembers what the host costs.
func (v *victim) become() {
	v.t.Helper()
	v.loadsGood()
	v.Client.Close()
	// Connections that are being closed go, what the host keeps stays.
	v.fds, v.goroutines = v.openFiles(), v.countGoroutines()
	v.eventually("closed connections to be forgotten", func() bool {
		fds, goroutines := v.openFiles(), v.countGoroutines()
		same := fds == v.fds && goroutines == v.goroutines && v.connections() == 0
		v.fds, v.goroutines = fds, goroutines
		return same
	})
}

// unharmed checks, after an attack, that the same process serves what it
// served, and takes an artifact that it has not seen.
func (v *victim) unharmed() {
	v.t.Helper()
	s, err := v.Status(v.t.Context())
	if err != nil {
		v.t.Fatalf("status: %v\n%s", err, v.stderr)
	}
	if s.PID != v.cmd.Process.Pid {
		v.t.Fatalf("process %d answers, want %d", s.PID, v.cmd.Process.Pid)
	}
	v.serves(v.price, v.generation)
	v.loadsGood()
}

func (v *victim) loadsGood() {
	v.t.Helper()
	ev := v.load(good(v.t))
	if ev.Verdict != control.Swapped || ev.Generation <= v.generation {
		v.t.Fatalf("a good artifact: %+v", ev)
	}
	v.price, v.generation = 5, ev.Generation
	v.serves(v.price, v.generation)
}

// withoutLeaks checks, at the end, that the host has no more descriptors,
// goroutines and files than at the beginning, but for goroutines that it counts
// as stuck.
func (v *victim) withoutLeaks() {
	v.t.Helper()
	s, err := v.Status(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	v.Client.Close()
	v.eventually(fmt.Sprintf("%d descriptors and %d goroutines (stuck: %d)", v.fds, v.goroutines, s.Stuck), func() bool {
		return v.openFiles() <= v.fds && v.countGoroutines() <= v.goroutines+s.Stuck
	})
	if left := v.copies(v.tmp); len(left) > 0 {
		v.t.Errorf("left behind: %q", left)
	}
}

// copies lists the copies of artifacts below a directory for temporary files.
func (h *host) copies(tmp string) []string {
	left, _ := filepath.Glob(filepath.Join(tmp, "hotgo-*", "run-*", "*"))
	return left
}

func (h *host) openFiles() int {
	h.t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", h.cmd.Process.Pid))
	if err != nil {
		h.t.Fatal(err)
	}
	return len(fds)
}

// connections counts the connections that were made to the host and are not
// closed: every socket beside those that listen.
func (v *victim) connections() int {
	n := -v.listeners
	fds, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", v.cmd.Process.Pid))
	for _, fd := range fds {
		if to, _ := os.Readlink(fd); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

func (h *host) countGoroutines() int {
	h.t.Helper()
	n, err := strconv.Atoi(h.ask("goroutines"))
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// ask says a line to the host and gives its answer.
func (h *host) ask(line string) string {
	h.t.Helper()
	fmt.Fprintln(h.stdin, line)
	if !h.stdout.Scan() {
		h.t.Fatalf("host said nothing to %q (%v)\n%s", line, h.stdout.Err(), h.stderr)
	}
	return h.stdout.Text()
}

// eventually waits for a condition.
func (h *host) eventually(what string, cond func() bool) {
	h.t.Helper()
	const patience = time.Minute // costs nothing where it comes true
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !cond(); <-look.C {
		if time.Now().After(end) {
			h.t.Fatalf("waited in vain for %s; the host has %d descriptors\n%s", what, h.openFiles(), h.stderr)
		}
	}
}

// attack is one case of a group that goes against one host.
type attack struct {
	name string
	do   func(t *testing.T, v *victim)
}

// suffer runs attacks in turn; the host has to be unharmed after each.
func (v *victim) suffer(t *testing.T, attacks []attack) {
	for _, a := range attacks {
		ok := t.Run(a.name, func(t *testing.T) {
			whole := v.t
			v.t = t
			defer func() { v.t = whole }()
			a.do(t, v)
			v.unharmed()
		})
		if !ok {
			t.Fatalf("the host is not asked further; it said\n%s", v.stderr)
		}
	}
	v.withoutLeaks()
}

// result is how a load went that ran beside others.
type result struct {
	event *control.Event
	err   error
}

// code is the code of the host's error, "" for success.
func (r result) code() string {
	var e *control.Error
	if errors.As(r.err, &e) {
		return e.Code
	}
	if r.err != nil {
		return r.err.Error()
	}
	return ""
}

// atOnce runs n loads, or whatever fn does, at the same time.
func atOnce(n int, fn func(i int) (*control.Event, error)) []result {
	results := make([]result, n)
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			results[i].event, results[i].err = fn(i)
		})
	}
	close(start)
	all.Wait()
	return results
}
