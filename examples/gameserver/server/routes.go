package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/hotgo/hotgo/examples/gameserver/game"
)

// usage answers GET /.
const usage = `GET  /state
GET  /players
POST /players  {"name":"cyd"}
POST /attack   {"player":"ada","monster":"rat"}
GET  /hotgo/v1/status
POST /hotgo/v1/load
POST /hotgo/v1/rollback
`

// Limits of what requests may ask for.
const (
	maxBody    = 4 << 10
	maxName    = 20
	maxPlayers = 100
)

func (s *server) routes() http.Handler {
	r := gin.New()
	r.Use(gin.Recovery())

	// The control protocol on the game's own port, for curl and for whatever
	// deploys by HTTP. It refuses requests that come from a web page, but it
	// cannot know who else is calling, as the Unix socket does: everybody with
	// an account on this machine can. It would not load anything for them without
	// Options.Authorize in main.go.
	r.Any("/hotgo/*any", gin.WrapH(s.host.Handler()))

	r.GET("/", func(c *gin.Context) { c.String(http.StatusOK, usage) })
	r.GET("/state", s.getState)
	r.GET("/players", s.getPlayers)
	r.POST("/players", s.postPlayer)
	r.POST("/attack", s.postAttack)
	return r
}

// state is what GET /state shows.
type state struct {
	PID   int `json:"pid"`
	Rules int `json:"rules"` // generation; 0 are the built-in ones
	*game.World
}

func (s *server) getState(c *gin.Context) {
	s.answer(c, func(w *game.World) (any, error) { return state{os.Getpid(), s.tick.Generation(), w}, nil })
}

func (s *server) getPlayers(c *gin.Context) {
	s.answer(c, func(w *game.World) (any, error) { return w.Players, nil })
}

func (s *server) postPlayer(c *gin.Context) {
	var req struct {
		Name string `json:"name"`
	}
	if !decode(c, &req) {
		return
	}
	if req.Name == "" || len(req.Name) > maxName {
		refuse(c, http.StatusBadRequest, fmt.Errorf("a name has 1 to %d bytes", maxName))
		return
	}
	s.answer(c, func(w *game.World) (any, error) {
		if len(w.Players) >= maxPlayers && w.Player(req.Name) == nil {
			return nil, fmt.Errorf("%d players are here already", len(w.Players))
		}
		return w.Join(req.Name), nil
	})
}

func (s *server) postAttack(c *gin.Context) {
	var req struct {
		Player  string `json:"player"`
		Monster string `json:"monster"`
	}
	if !decode(c, &req) {
		return
	}
	s.answer(c, func(w *game.World) (any, error) { return s.attack.Get()(w, req.Player, req.Monster) })
}

// answer sends what ask says about the world. It is encoded while nobody else
// changes the world, and sent when they may again: a slow client holds up no
// tick.
func (s *server) answer(c *gin.Context, ask func(*game.World) (any, error)) {
	var body []byte
	var refused error
	err := s.play(func(w *game.World) {
		var v any
		if v, refused = ask(w); refused == nil {
			body, refused = json.MarshalIndent(v, "", "  ")
		}
	})
	switch {
	case err != nil:
		refuse(c, http.StatusInternalServerError, err)
	case errors.Is(refused, game.ErrUnknown):
		refuse(c, http.StatusNotFound, refused)
	case refused != nil:
		refuse(c, http.StatusConflict, refused)
	default:
		send(c, http.StatusOK, body)
	}
}

// decode reads a small JSON body, whatever its content type, so that a bare
// `curl -d` will do.
func decode(c *gin.Context, into any) bool {
	err := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxBody)).Decode(into)
	if err != nil {
		refuse(c, http.StatusBadRequest, fmt.Errorf("read the body: %w", err))
	}
	return err == nil
}

func refuse(c *gin.Context, status int, err error) {
	body, _ := json.Marshal(gin.H{"error": err.Error()}) // two strings
	send(c, status, body)
}

// send ends the body with a line, for those who read it in a terminal.
func send(c *gin.Context, status int, body []byte) {
	c.Data(status, gin.MIMEJSON, append(body, '\n'))
}
