package thin

import (
	"errors"
	"os/exec"
	"testing"
)

// What is remembered as unfit is linked in full for good.
func TestLinkerThatBrokeSaysNothingAboutWhatItWasGiven(t *testing.T) {
	exit := exec.Command("/bin/sh", "-c", "exit 1").Run()
	killed := exec.Command("/bin/sh", "-c", "kill -9 $$").Run()
	for _, test := range []struct {
		out   string
		err   error
		unfit bool
	}{
		{"/usr/bin/ld: final link failed: No space left on device\ncollect2: error: ld returned 1 exit status\n", exit, false},
		{"link: mapping output file failed: disk quota exceeded", exit, false},
		{"collect2: fatal error: ld terminated with signal 9 [Killed]\n", exit, false},
		{"", killed, false},
		{"", exit, true},
		{"/usr/bin/ld: cannot find -lz\n", exit, true},
	} {
		err := refused("the C compiler", []string{"gcc"}, []byte(test.out), test.err)
		if _, unfit := errors.AsType[*Unfit](err); unfit != test.unfit || !errors.Is(err, test.err) {
			t.Errorf("%q, %v: unfit is %v, want %v: %v", test.out, test.err, unfit, test.unfit, err)
		}
	}
}
