package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var errSick = errors.New("no stock")

// says gives a probe that answers by the letters of a text: "+" is well, "-" is not,
// "~" hangs. The last one is repeated.
func says(name, answers string) Probe {
	n := 0
	return Probe{Name: name, Ask: func(ctx context.Context) error {
		answer := answers[min(n, len(answers)-1)]
		n++
		switch answer {
		case '-':
			return errSick
		case '~':
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
}

func TestProbesAreAskedUntilTheEndOrTooManyFailures(t *testing.T) {
	opts := Options{Length: 5 * time.Second, Interval: time.Second, Timeout: 3 * time.Second, Failures: 2}
	for _, c := range []struct {
		probes  []string
		found   string
		took    time.Duration
		failure string
	}{
		{probes: []string{"+"}, found: "6/0", took: 5 * time.Second},
		{probes: []string{"-+-+"}, found: "6/2", took: 5 * time.Second},
		{probes: []string{"++--"}, found: "4/2", took: 3 * time.Second, failure: "p0 failed 2 times in a row: no stock"},
		{probes: []string{"+++++-+"}, found: "7/1", took: 6 * time.Second}, // not on a failure
		{probes: []string{"+++++--"}, found: "7/2", took: 6 * time.Second, failure: "p0 failed 2 times in a row: no stock"},
		{probes: []string{"~"}, found: "2/2", took: 7 * time.Second, failure: "p0 failed 2 times in a row: no answer within 3s"},
		{probes: []string{"+", "--"}, found: "1/0 2/2", took: time.Second, failure: "p1 failed 2 times in a row: no stock"},
		{probes: []string{"+", "+"}, found: "6/0 6/0", took: 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			var probes []Probe
			for i, answers := range c.probes {
				probes = append(probes, says(fmt.Sprint("p", i), answers))
			}
			began := time.Now()
			results, err := Watch(t.Context(), probes, opts)
			var found []string
			for _, r := range results {
				found = append(found, fmt.Sprintf("%d/%d", r.Runs, r.Failed))
			}
			got := strings.Join(found, " ")
			if len(c.probes) > 1 && c.failure != "" { // which of two at the same moment comes first is open
				got, c.found = found[1], strings.Fields(c.found)[1]
			}
			if got != c.found || time.Since(began) != c.took {
				t.Errorf("%q: %s after %s, want %s after %s", c.probes, got, time.Since(began), c.found, c.took)
			}
			if failed, ok := errors.AsType[*FailedError](err); ok != (c.failure != "") || ok && failed.Error() != c.failure {
				t.Errorf("%q: %v, want %q", c.probes, err, c.failure)
			}
		})
	}
}

func TestProbesEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("interrupted")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 2500*time.Millisecond, why)
		defer cancel()
		results, err := Watch(ctx, []Probe{says("a", "+"), says("b", "+~")}, Options{Length: time.Hour, Interval: time.Second, Timeout: time.Hour, Failures: 1})
		if !errors.Is(err, why) || results[0].Runs != 3 || results[1].Runs != 1 || results[1].Failed != 0 {
			t.Errorf("%+v, %v", results, err)
		}
	})
}

func TestHTTPProbe(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/well":
		case "/moved":
			http.Redirect(w, r, "/sick", http.StatusFound)
		case "/slow":
			<-r.Context().Done()
		default:
			http.Error(w, "starting\nno stock", http.StatusServiceUnavailable)
		}
	}))
	defer s.Close()
	closed := httptest.NewServer(nil)
	closed.Close()
	for url, want := range map[string]string{
		s.URL + "/well":  "",
		s.URL + "/sick":  "503 Service Unavailable: no stock",
		s.URL + "/moved": "503 Service Unavailable: no stock",
		s.URL + "/slow":  "no answer within 100ms",
		closed.URL:       "connection refused",
	} {
		p, err := HTTP(url)
		if err != nil {
			t.Fatal(err)
		}
		limit := time.Minute
		if strings.HasSuffix(url, "/slow") {
			limit = 100 * time.Millisecond
		}
		switch err := ask(t.Context(), p, limit); {
		case (err == nil) != (want == ""), err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
	for _, url := range []string{"", "localhost:8080", "ftp://localhost/", "http://", "/healthz", "http://[::1", "\x7f"} {
		if p, err := HTTP(url); err == nil {
			t.Errorf("%q is a probe: %s", url, p.Name)
		}
	}
	if p, err := HTTP("http://me:secret@localhost/"); err != nil || strings.Contains(p.Name, "secret") {
		t.Errorf("%s, %v", p.Name, err)
	}
}

func TestCommandProbe(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	for line, want := range map[string]string{
		"exit 0":                              "",
		`test "$WHO" = you`:                   "",
		"echo one; echo no stock >&2; exit 3": "exit status 3: no stock",
		"exit 4":                              "exit status 4",
		"head -c 20000 /dev/zero | tr '\\0' x; exit 5": "exit status 5: " + strings.Repeat("x", mostTail),
		"no-such-command-here":                         "no-such-command-here",
	} {
		switch err := ask(t.Context(), Command(line, []string{"WHO=you"}), time.Minute); {
		case (err == nil) != (want == ""), err != nil && !strings.Contains(err.Error(), want):
			t.Errorf("%s: %.100v, want %.100q", line, err, want)
		}
	}
}

func TestCommandThatHangsIsKilledWithItsChildren(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil || runtime.GOOS == "windows" {
		t.Skip("no sh")
	}
	pipe := filepath.Join(t.TempDir(), "open")
	p := Command(`mkfifo "$PIPE"; sh -c 'exec 3<"$PIPE"; sleep 600' & wait`, []string{"PIPE=" + pipe})
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Ask(ctx) }()
	var w *os.File
	for w == nil { // until the child is there, and reads
		w, _ = os.OpenFile(pipe, os.O_WRONLY, 0)
	}
	defer w.Close()
	cancel(errSick)
	if err := <-ended; err == nil {
		t.Error("it ended well")
	}
	for { // until nobody reads any more
		if _, err := w.Write([]byte("x")); err != nil {
			return
		}
	}
}
