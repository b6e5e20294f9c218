//go:build race

package reloader

// raceDetector: reading what others write to, while they stand still, looks like
// a race to it.
const raceDetector = true
