package carry

import (
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/after"
	"github.com/hotgo/hotgo/pkg/reloader/internal/carry/internal/before"
)

func TestLiteralOfTheNewCodeTakesThePlaceOfAnOldOne(t *testing.T) {
	for name, c := range map[string]struct {
		was, now func() int
		want     int
	}{
		"both have one":       {before.Closure(1), after.Closure(2), 2},
		"the old one alone":   {before.Closure(1), nil, 1},
		"the new one is none": {before.Closure(1), after.Nothing, 0},
	} {
		now := c.now
		mustCarry(t, state{"v": &c.was}, state{"v": &now})
		if got := now(); got != c.want {
			t.Errorf("%s: it gives %d, want %d", name, got, c.want)
		}
	}
}

func TestLiteralsAreToldByTheirNames(t *testing.T) {
	for name, want := range map[string]bool{
		"example.com/p.F":                      false,
		"example.com/p.(*T).M":                 false,
		"example.com/p.F[...]":                 false,
		"example.com/p.v2":                     false,
		"main.func1x":                          false,
		"a function without a name":            false,
		"example.com/p.F.func1":                true,
		"example.com/p.glob..func2":            true,
		"example.com/p.init.func1.2":           true,
		"example.com/p.F.gowrap1":              true,
		"sync.OnceValues[...].func2":           true,
		"sync.OnceFunc.OnceFunc.func1.func3":   true,
		"example.com/p.T.M-fm":                 true,
		"example.com/p.F-range1":               true,
		"example.com/my-module/p.F":            false,
		"example.com/p/hotgo_3fa91c2b4d5e.Fun": false,
	} {
		if isLiteral(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}
