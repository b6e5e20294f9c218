package livepatch_test

import (
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

func TestCallableCallsTheCodeAtAnAddress(t *testing.T) {
	type repeat = func(s string, count int) string
	f := livepatch.Callable[repeat](reflect.ValueOf(strings.Repeat).Pointer())
	runtime.GC()
	if got := f("ab", 3); got != "ababab" {
		t.Errorf("got %q", got)
	}
}
