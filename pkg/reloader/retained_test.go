package reloader

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader/control"
	"github.com/hotgo/hotgo/pkg/reloader/internal/retained"
)

// keeping makes a program that keeps n functions of the first generation that is looked
// for.
func keeping(n int) *retained.Look {
	l := &retained.Look{}
	for range n {
		l.Found = append(l.Found, retained.Found{
			Kind: retained.Func, Name: "example.com/shop/pricing/hotgo_0123456789ab.price",
			Root: "example.com/shop/api.Hooks", Path: "example.com/shop/api.Hooks …", Count: 2,
		})
	}
	return l
}

func TestWhatIsRetainedIsToldOnceAndLookedForAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		looks, kept := 0, shownRetained+2
		h.platform.old.retained = func([]retained.Generation, retained.Options) (*retained.Look, error) {
			looks++
			return keeping(kept), nil
		}
		retainedNow := func() *control.Retained { return generationOf(t, h.Status(), 1).Retained }
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		if synctest.Wait(); looks != 0 || retainedNow() != nil {
			t.Errorf("%d looks while nothing is old", looks)
		}
		mustLoad(t, h, f.version("pricing", "b", prices(3)))
		synctest.Wait()
		r := retainedNow()
		if looks != 1 || r == nil || len(r.Things) != shownRetained || r.More != 2 || r.Things[0].String() != "api.Hooks … → function pricing.price, 2 times" {
			t.Fatalf("after %d looks: %+v", looks, r)
		}
		notes := told(h, control.KindNote)
		if len(notes) != 1 || notes[0].Generation != 1 || notes[0].Code != "HG0004" || len(notes[0].Notes) != shownRetained ||
			notes[0].Reason != "the host keeps something of it: api.Hooks … → function pricing.price, 2 times; it goes on with old code, as do 11 more" {
			t.Errorf("notes %+v", notes)
		}

		// A status asks again when the answer is old, and has the new one from then on.
		kept = 0
		if retainedNow(); looks != 1 {
			t.Errorf("%d looks at once", looks)
		}
		time.Sleep(lookAgain + time.Second)
		if r := retainedNow(); r == nil {
			t.Error("a status waits for the look")
		}
		if synctest.Wait(); looks != 2 || retainedNow() != nil {
			t.Errorf("after %d looks: %+v", looks, retainedNow())
		}
		kept = 1
		time.Sleep(lookAgain + time.Second)
		retainedNow()
		if synctest.Wait(); retainedNow() == nil || len(told(h, control.KindNote)) != 1 {
			t.Errorf("told again: %+v", told(h, control.KindNote))
		}
	})
}

func TestRetirementDuringALookIsLookedAtAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		gate := make(chan struct{})
		var seen []int
		h.platform.old.retained = func(gens []retained.Generation, _ retained.Options) (*retained.Look, error) {
			if seen = append(seen, len(gens)); len(seen) == 1 {
				<-gate
			}
			return &retained.Look{}, nil
		}
		for i, version := range []string{"a", "b", "c", "d"} {
			mustLoad(t, h, f.version("pricing", version, prices(i)))
			synctest.Wait()
		}
		if len(seen) != 1 {
			t.Errorf("%d looks at a time", len(seen))
		}
		close(gate)
		if synctest.Wait(); len(seen) != 2 || seen[1] != 3 {
			t.Errorf("looks at %v generations", seen)
		}
	})
}

func TestLookThatCannotBeMadeSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{}, f)
		look, err := &retained.Look{Part: true}, errors.New("no such symbol")
		h.platform.old.retained = func([]retained.Generation, retained.Options) (*retained.Look, error) { return look, err }
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		mustLoad(t, h, f.version("pricing", "b", prices(3)))
		synctest.Wait()
		if r := generationOf(t, h.Status(), 1).Retained; r == nil || r.Unknown != "no such symbol" {
			t.Errorf("retained %+v", r)
		}
		err = nil
		time.Sleep(lookAgain + time.Second)
		h.Status()
		synctest.Wait()
		if r := generationOf(t, h.Status(), 1).Retained; r == nil || r.Unknown != "" || !r.Part {
			t.Errorf("retained %+v", r)
		}
		if len(told(h, control.KindNote)) != 0 {
			t.Errorf("told %+v", told(h, control.KindNote))
		}
	})
}

func TestNobodyLooksWhoIsNotTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeProcess(t)
		h := openHost(t, Options{NoHeapLook: true}, f)
		h.platform.old.retained = func([]retained.Generation, retained.Options) (*retained.Look, error) {
			t.Error("somebody looks")
			return keeping(1), nil
		}
		mustLoad(t, h, f.version("pricing", "a", prices(2)))
		mustLoad(t, h, f.version("pricing", "b", prices(3)))
		synctest.Wait()
		if r := generationOf(t, h.Status(), 1).Retained; r == nil || r.Unknown != "Options.NoHeapLook says not to" {
			t.Errorf("the status says %+v", r)
		}
	})
}
