//go:build !race

package reloader

const raceDetector = false
