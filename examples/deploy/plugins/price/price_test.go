package price

import "testing"

func TestTwoCostTwiceAsMuch(t *testing.T) {
	if Of(2) != 2*Of(1) {
		t.Errorf("one costs %d, two cost %d", Of(1), Of(2))
	}
}
