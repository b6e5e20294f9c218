package damage

import "testing"

func TestCriticalBlowCountsTwice(t *testing.T) {
	for _, c := range []struct {
		strength, roll, points int
		critical               bool
	}{
		{4, 1, 5, false},
		{4, 5, 9, false},
		{4, 6, 20, true},
		{0, 6, 12, true},
	} {
		if points, crit := Blow(c.strength, c.roll); points != c.points || crit != c.critical {
			t.Errorf("strength %d, roll %d: %d points, critical %t; want %d, %t", c.strength, c.roll, points, crit, c.points, c.critical)
		}
	}
}

func TestBiteHurts(t *testing.T) {
	if got := Bite(3); got <= 0 {
		t.Errorf("a bite of strength 3 gives %d points", got)
	}
}
