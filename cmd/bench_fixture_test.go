package cmd_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// benchModule is a module with a host that serves what plugin answer says, on
// a Unix socket. It is generated, for each kind of plugin.
type benchModule struct {
	b     *testing.B
	kind  string // "std" or "gin"
	dir   string
	env   []string // of the go command and of hotgo
	host  string   // binary
	store string   // where it is written down what the host was built from
	hotgo string   // binary
}

const benchHost = `package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"plugin"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/hotgo/hotgo/pkg/reloader"

	"example.com/bench/plugins/answer"
)

var stock atomic.Pointer[function]

func main() {
	h, err := reloader.New(reloader.Options{Name: "bench"})
	if err != nil {
		log.Fatal(err)
	}
	live := reloader.Bind(h, "answer", "Answer", answer.Answer)
	http.Handle("/", serve(func() function {
		if f := stock.Load(); f != nil {
			return *f
		}
		return live.Get()
	}))
	http.HandleFunc("/open", func(w http.ResponseWriter, r *http.Request) {
		if err := open(r.FormValue("path")); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	http.HandleFunc("/rss", func(w http.ResponseWriter, r *http.Request) {
		runtime.GC()
		debug.FreeOSMemory()
		status, _ := os.ReadFile("/proc/self/status")
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		fmt.Fprint(w, strings.Fields(rest)[0])
	})
	l, err := net.Listen("unix", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(l, nil))
}

// open is what people do without hotgo.
func open(path string) error {
	p, err := plugin.Open(path)
	if err != nil {
		return err
	}
	s, err := p.Lookup("Answer")
	if err != nil {
		return err
	}
	f := function(s.(func` + "SIGNATURE" + `))
	stock.Store(&f)
	return nil
}
`

// kinds gives the files that differ by what the plugin is written with.
var kinds = map[string]struct{ signature, serve, answer, require string }{
	"std": {
		signature: "(http.ResponseWriter, *http.Request)",
		serve: `package main

import "net/http"

type function func(http.ResponseWriter, *http.Request)

func serve(current func() function) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { current()(w, r) })
}
`,
		answer: `
import (
	"encoding/json"
	"fmt"
	"net/http"
)

func Answer(w http.ResponseWriter, r *http.Request) {
	err := json.NewEncoder(w).Encode(map[string]any{"n": number(), "q": r.FormValue("q"), "t": fmt.Sprintf("%T", r)})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}
`,
	},
	"gin": {
		signature: "(*gin.Context)",
		serve: `package main

import (
	"net/http"

	"github.com/gin-gonic/gin"
)

type function func(*gin.Context)

func serve(current func() function) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.GET("/", func(c *gin.Context) { current()(c) })
	return r
}
`,
		answer: `
import (
	"fmt"

	"github.com/gin-gonic/gin"
)

func Answer(c *gin.Context) {
	c.JSON(200, gin.H{"n": number(), "q": c.Query("q"), "t": fmt.Sprintf("%T", c)})
}
`,
		require: "\nrequire github.com/gin-gonic/gin v1.12.0\n",
	},
}

func newBenchModule(b *testing.B, kind string) *benchModule {
	b.Helper()
	repo, err := filepath.Abs("..")
	if err != nil {
		b.Fatal(err)
	}
	m := &benchModule{b: b, kind: kind, dir: filepath.Join(b.TempDir(), "module")}
	m.env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-mod=mod -buildvcs=false", "GOWORK=off")
	k := kinds[kind]
	host := strings.ReplaceAll(benchHost, "SIGNATURE", k.signature)
	if kind == "gin" {
		host = strings.ReplaceAll(host, "\t\"github.com/hotgo", "\t\"github.com/gin-gonic/gin\"\n\t\"github.com/hotgo")
	}
	// The example with gin has the sums of everything that is needed.
	sum, err := os.ReadFile(filepath.Join(repo, "examples", "gameserver", "go.sum"))
	if err != nil {
		b.Fatal(err)
	}
	m.write("go.mod", "module example.com/bench\n\ngo 1.26.0\n\nrequire github.com/hotgo/hotgo v0.0.0\n"+k.require+
		"\nreplace github.com/hotgo/hotgo => "+repo+"\n")
	m.write("go.sum", string(sum))
	m.write("host/main.go", host)
	m.write("host/serve.go", k.serve)
	m.write("plugins/answer/answer.go", "package answer\n"+k.answer)
	m.edit(0)
	m.hotgo = filepath.Join(m.b.TempDir(), "hotgo")
	m.run(repo, "build", "-o", m.hotgo, ".")
	return m
}

// buildHost builds the host as hotgo run does. With a cache of its own, nothing
// is in it but what the host is made of.
func (m *benchModule) buildHost() {
	m.b.Helper()
	m.host, m.store = filepath.Join(m.b.TempDir(), "host"), filepath.Join(m.b.TempDir(), "store")
	b, err := builder.New(builder.Options{WorkDir: m.dir, Dir: m.store, Env: m.env})
	if err != nil {
		m.b.Fatal(err)
	}
	if _, err := b.BuildHost(m.b.Context(), "./host", m.host); err != nil {
		m.b.Fatal(err)
	}
}

func (m *benchModule) write(name, text string) {
	m.b.Helper()
	path := filepath.Join(m.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.b.Fatal(err)
	}
}

// number is the file that is edited.
func number(pkg string, n int) string {
	return "package " + pkg + "\n\nfunc number() int { return " + strconv.Itoa(n) + " }\n"
}

func (m *benchModule) edit(n int) {
	m.b.Helper()
	m.write("plugins/answer/number.go", number("answer", n))
}

func (m *benchModule) run(dir string, args ...string) {
	m.b.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, m.env
	if out, err := cmd.CombinedOutput(); err != nil {
		m.b.Fatalf("go %v: %v\n%s", args, err, out)
	}
}

// benchHostProcess is a running host.
type benchHostProcess struct {
	b       *testing.B
	client  http.Client
	control string // socket
}

func (m *benchModule) start() *benchHostProcess {
	m.b.Helper()
	dir, err := os.MkdirTemp("", "hb") // b.TempDir is too long for a socket
	if err != nil {
		m.b.Fatal(err)
	}
	m.b.Cleanup(func() { os.RemoveAll(dir) })
	h := &benchHostProcess{b: m.b, control: filepath.Join(dir, "c")}
	web := filepath.Join(dir, "w")
	h.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", web)
	}}
	cmd := exec.Command(m.host, web)
	cmd.Env = append(os.Environ(), "HOTGO_SOCKET="+h.control)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		m.b.Fatal(err)
	}
	m.b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	h.until(0)
	return h
}

func (h *benchHostProcess) get(path string) (string, error) {
	resp, err := h.client.Get("http://host" + path)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return string(body), err
}

// until asks every millisecond, until the code of an edit answers.
func (h *benchHostProcess) until(n int) {
	h.b.Helper()
	want := fmt.Sprintf(`"n":%d,`, n)
	every := time.NewTicker(time.Millisecond)
	defer every.Stop()
	deadline := time.After(5 * time.Minute)
	for {
		body, err := h.get("/")
		if strings.Contains(body, want) {
			return
		}
		select {
		case <-every.C:
		case <-deadline:
			h.b.Fatalf("edit %d never answered: %s, %v", n, body, err)
		}
	}
}

// rss gives the host's resident memory after a collection, in kilobytes.
func (h *benchHostProcess) rss() float64 {
	h.b.Helper()
	body, err := h.get("/rss")
	if err != nil {
		h.b.Fatal(err)
	}
	kb, err := strconv.ParseFloat(body, 64)
	if err != nil {
		h.b.Fatal(err)
	}
	return kb
}

// open has the host open a plugin that plain go build made.
func (h *benchHostProcess) open(path string) {
	h.b.Helper()
	if _, err := h.get("/open?path=" + url.QueryEscape(path)); err != nil {
		h.b.Fatal(err)
	}
}

// watch runs hotgo watch. The channel gets what it says of each load.
func (m *benchModule) watch(h *benchHostProcess, link string) <-chan control.Event {
	m.b.Helper()
	mode, store := "swap", filepath.Join(m.b.TempDir(), "store")
	if link == "patch" {
		// What the host was built from has to be known: the first edit may come
		// before hotgo has looked.
		mode, link, store = "patch", "auto", m.store
	}
	cmd := exec.Command(m.hotgo, "watch", "-o", "json", "--mode", mode, "--link", link, "--target", h.control,
		"--dir", store, "./plugins/answer")
	cmd.Dir, cmd.Env = m.dir, m.env
	out, err := cmd.StdoutPipe()
	if err != nil {
		m.b.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		m.b.Fatal(err)
	}
	loads := make(chan control.Event, 1000)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(loads)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var e control.Event
			if json.Unmarshal(lines.Bytes(), &e) == nil && (e.Event == control.KindLoaded || e.Event == control.KindFailed) {
				loads <- e
			}
		}
	})
	m.b.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		reading.Wait()
		_ = cmd.Wait()
	})
	return loads
}

// milliseconds is a series of times of which the middle and the tail count.
type milliseconds []float64

func (ms *milliseconds) add(d time.Duration) { *ms = append(*ms, float64(d.Microseconds())/1000) }

func (ms milliseconds) at(part float64) float64 {
	if len(ms) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(ms))
	return s[min(len(s)-1, int(part*float64(len(s))))]
}
