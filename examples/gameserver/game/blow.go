package game

import "errors"

// Blow is how an attack of a player went.
type Blow struct {
	Player   string   `json:"player"`
	Monster  string   `json:"monster"`
	Damage   int      `json:"damage"`
	Critical bool     `json:"critical"`
	Slain    bool     `json:"slain"`
	Loot     []string `json:"loot,omitempty"`
}

// Errors of an attack. They are here and not in the rules, because each version
// of the rules has variables of its own: an error that they defined would stop
// being equal to what the server compares it with.
var (
	ErrUnknown = errors.New("nobody of that name is here")
	ErrDown    = errors.New("has been struck down and is not back yet")
)
