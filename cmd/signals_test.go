package cmd

import (
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestOnePressThatArrivesTwiceDoesNotForce plays the signals of one Ctrl-C under
// `go tool`, then of a second press.
func TestOnePressThatArrivesTwiceDoesNotForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan os.Signal, 2)
		firsts, seconds := 0, 0
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			tellApart(got, nil, func() { firsts++ }, func() { seconds++ })
		}()
		press := func() {
			got <- os.Interrupt
			time.Sleep(time.Millisecond) // in the time of the bubble
			got <- os.Interrupt
			synctest.Wait()
		}
		press()
		if firsts != 1 || seconds != 0 {
			t.Errorf("after one press: %d and %d", firsts, seconds)
		}
		time.Sleep(echo)
		press()
		<-ended
		if firsts != 1 || seconds != 1 {
			t.Errorf("after two presses: %d and %d", firsts, seconds)
		}
	})
}
