package noroom

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
)

func TestWantOfRoomIsToldFromOtherFailures(t *testing.T) {
	for _, e := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		err := &fs.PathError{Op: "write", Path: "/x", Err: e}
		if !Is(err) || !Says(err.Error()) {
			t.Errorf("%v is not known", err)
		}
	}
	if !Says("/usr/bin/ld: final link failed: No space left on device") {
		t.Error("the linker's words are not known")
	}
	for _, err := range []error{errors.New("undefined: x"), syscall.EACCES} {
		if Is(err) || Says(err.Error()) {
			t.Errorf("%v is taken for it", err)
		}
	}
	if Is(nil) {
		t.Error("no error is taken for it")
	}
}
