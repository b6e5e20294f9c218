package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/hotgo/hotgo/examples/gameserver/game"
	"github.com/hotgo/hotgo/pkg/reloader"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.TestMode)
	m.Run()
}

// newTestServer has the built-in rules: nothing is loaded into a test binary.
func newTestServer(t *testing.T, out io.Writer) (*server, http.Handler) {
	t.Helper()
	host, err := reloader.New(reloader.Options{Name: "gameserver", NoSocket: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	s := newServer(host, 1, out)
	return s, s.routes()
}

// call sends a request and decodes the answer.
func call(t *testing.T, h http.Handler, method, path, body string, into any) int {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	if into != nil {
		if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Code
}

func TestGameWorksWithItsBuiltInRules(t *testing.T) {
	var out bytes.Buffer
	s, h := newTestServer(t, &out)
	s.step()
	if got := out.String(); !strings.HasPrefix(got, "tick 1  ada 30/30") || !strings.HasSuffix(got, "(rules v0)\n") {
		t.Errorf("a tick printed %q", got)
	}
	var cyd game.Player
	if code := call(t, h, "POST", "/players", `{"name":"cyd"}`, &cyd); code != 200 || cyd.HP == 0 {
		t.Errorf("join: %d, %+v", code, cyd)
	}
	var blow game.Blow
	if code := call(t, h, "POST", "/attack", `{"player":"cyd","monster":"dragon"}`, &blow); code != 200 || blow.Damage == 0 {
		t.Errorf("attack: %d, %+v", code, blow)
	}
	var st state
	if code := call(t, h, "GET", "/state", "", &st); code != 200 || st.World.Tick != 1 || st.PID == 0 {
		t.Errorf("state: %d, %+v", code, st)
	}
	if got := st.Monster("dragon"); got.HP != got.MaxHP-blow.Damage {
		t.Errorf("the dragon has %d of %d hit points after a blow of %d", got.HP, got.MaxHP, blow.Damage)
	}
	var players []game.Player
	if code := call(t, h, "GET", "/players", "", &players); code != 200 || len(players) != 3 {
		t.Errorf("players: %d, %+v", code, players)
	}
}

func TestBadRequestsAreToldWhy(t *testing.T) {
	s, h := newTestServer(t, io.Discard)
	s.world.Player("bob").HP = 0
	for range maxPlayers {
		if len(s.world.Players) < maxPlayers {
			s.world.Join(strings.Repeat("x", len(s.world.Players)))
		}
	}
	for _, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{"/attack", `{"player":"eve","monster":"rat"}`, 404, "eve"},
		{"/attack", `{"player":"ada","monster":"unicorn"}`, 404, "unicorn"},
		{"/attack", `{"player":"bob","monster":"rat"}`, 409, "bob has been struck down"},
		{"/attack", `{`, 400, "read the body"},
		{"/attack", `{"player":"` + strings.Repeat("a", maxBody) + `"}`, 400, "too large"},
		{"/players", `{}`, 400, "a name has 1 to"},
		{"/players", `{"name":"` + strings.Repeat("a", maxName+1) + `"}`, 400, "a name has 1 to"},
		{"/players", `{"name":"cyd"}`, 409, "players are here already"},
	} {
		var answer struct{ Error string }
		if code := call(t, h, "POST", c.path, c.body, &answer); code != c.code || !strings.Contains(answer.Error, c.want) {
			t.Errorf("POST %s %.60s: %d %q, want %d and %q", c.path, c.body, code, answer.Error, c.code, c.want)
		}
	}
}

func TestRuleThatPanicsEndsNeitherServerNorLock(t *testing.T) {
	s, h := newTestServer(t, io.Discard)
	err := s.play(func(*game.World) { panic("a bug") })
	if err == nil || !strings.Contains(err.Error(), "a bug") {
		t.Errorf("play: %v", err)
	}
	if code := call(t, h, "GET", "/state", "", nil); code != 200 {
		t.Errorf("state after a panic: %d", code)
	}
}

func TestControlHandlerAnswersUnderItsPrefix(t *testing.T) {
	_, h := newTestServer(t, io.Discard)
	var status struct{ Name string }
	if code := call(t, h, "GET", "/hotgo/v1/status", "", &status); code != 200 || status.Name != "gameserver" {
		t.Errorf("status: %d, %+v", code, status)
	}
	r := httptest.NewRequest("GET", "/hotgo/v1/status", nil)
	r.Header.Set("Origin", "https://example.com")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != 403 {
		t.Errorf("a web page got %d", w.Code)
	}
}

func TestFlagBeatsEnvironment(t *testing.T) {
	env := func(string) string { return "9000" }
	none := func(string) string { return "" }
	for _, c := range []struct {
		args   []string
		getenv func(string) string
		port   int
		fails  bool
	}{
		{nil, none, 8080, false},
		{nil, env, 9000, false},
		{[]string{"-port", "0"}, env, 0, false},
		{nil, func(string) string { return "http" }, 0, true},
		{[]string{"-tick", "0"}, none, 0, true},
		{[]string{"rules"}, none, 0, true},
	} {
		cfg, err := configure(c.args, c.getenv, io.Discard)
		if (err != nil) != c.fails || !c.fails && cfg.port != c.port {
			t.Errorf("%q: %+v, %v", c.args, cfg, err)
		}
	}
}
