// Package damage says how much a hit hurts.
package damage

// critical is the lowest roll of a six-sided die that hits twice as hard.
const critical = 6

// Blow gives the points of a player's blow: strength and roll together, twice
// that for a critical one.
func Blow(strength, roll int) (points int, isCritical bool) {
	points = strength + roll
	if roll >= critical {
		return 2 * points, true
	}
	return points, false
}

// Bite gives the points of a monster's bite.
func Bite(strength int) int { return strength }
