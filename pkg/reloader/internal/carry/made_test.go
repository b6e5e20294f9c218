package carry

import (
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestWhatInitialisersMakeIsNoLoss(t *testing.T) {
	re := regexp.MustCompile("a")
	var (
		gone     = errors.New("gone")
		wrapped  = fmt.Errorf("no: %w", gone)
		several  = []error{gone, errors.Join(gone, wrapped), nil}
		byName   = map[string]*regexp.Regexp{"a": re}
		boxed    = any(re)
		replacer = strings.NewReplacer("a", "b")
		zone     = time.FixedZone("here", 3600)
		page     = template.Must(template.New("page").Parse("{{.}}"))
		typ      = reflect.TypeFor[int]()
		now      = time.Now
		byWord   = map[string]func(string) string{"upper": strings.ToUpper, "nil": nil}
		logger   = slog.Default()
		bound    = strings.NewReplacer("a", "b").Replace
		lazy     struct {
			sync.Once
			mu sync.Mutex
			re *regexp.Regexp
		}
		counting = struct {
			re *regexp.Regexp
			n  int
		}{re, 1}
		mixed    = []any{re, 5}
		channels = map[error]chan int{gone: nil}
	)
	lazy.Do(func() { lazy.re = re })
	channels[wrapped] = make(chan int)
	_, w := file(t, state{
		"gone": &gone, "wrapped": &wrapped, "several": &several, "byName": &byName, "boxed": &boxed, "replacer": &replacer, "zone": &zone,
		"page": &page, "typ": &typ, "now": &now, "byWord": &byWord, "logger": &logger, "bound": &bound, "lazy": &lazy, "counting": &counting, "mixed": &mixed, "channels": &channels,
	})
	if w.Fresh != 13 || w.Variables != 0 || w.Busy {
		t.Errorf("%d start anew, %d are written", w.Fresh, w.Variables)
	}
	var lost []string
	for _, l := range w.Lost {
		lost = append(lost, l.String())
	}
	want := []string{
		"example.com/shop.bound (func(string) string): it is code of this process, and what that captured",
		"example.com/shop.channels[…] (chan int): a channel cannot leave its process",
		"example.com/shop.counting.re (*regexp.Regexp): it leads to what is another package's",
		"example.com/shop.mixed[0] (*regexp.Regexp): it leads to what is another package's",
	}
	if !slices.Equal(lost, want) {
		t.Errorf("lost:\n%s", strings.Join(lost, "\n"))
	}
}

func TestAOnceIsDoneOnlyWhileNothingThatItMayHaveMadeStartsAnew(t *testing.T) {
	type box = struct{ once sync.Once }
	for _, c := range []struct {
		name string
		re   *regexp.Regexp // of the new process, before anything is recalled
		done bool
		code string
	}{
		{"its initialiser makes it", regexp.MustCompile("b"), true, ""},
		{"nobody has made it", nil, false, CodeUnknown},
	} {
		var once, once2 sync.Once
		boxed, boxed2 := &box{}, (*box)(nil)
		re, re2 := regexp.MustCompile("a"), c.re
		m, m2 := map[string]int{"a": 1}, map[string]int(nil)
		once.Do(func() {})
		boxed.once.Do(func() {})
		_, report := recallAll(t, state{"once": &once, "boxed": &boxed, "re": &re, "m": &m}, state{"once": &once2, "boxed": &boxed2, "re": &re2, "m": &m2})
		done, boxDone := true, true
		once2.Do(func() { done = false })
		boxed2.once.Do(func() { boxDone = false })
		if done != c.done || !boxDone || m2["a"] != 1 || re2 != c.re || report.Carried != 3 || report.Fresh != 0 {
			t.Errorf("%s: done is %v, and behind a pointer %v; %+v", c.name, done, boxDone, report)
		}
		if (len(report.Findings) > 0) != (c.code != "") || c.code != "" && report.Findings[0].Code != c.code {
			t.Errorf("%s: %+v", c.name, report.Findings)
		}
	}
}

func TestALockIsWhatItIsWhenTheValuesAreStored(t *testing.T) {
	type guarded struct {
		mu sync.Mutex
		n  int
	}
	a, b := guarded{n: 1}, guarded{}
	data, _ := file(t, state{"g": &a})
	b.mu.Lock()
	x, err := Recall(data, newGeneration(state{"g": &b}))
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Unlock()
	x.Commit()
	if b.n != 1 || !b.mu.TryLock() {
		t.Errorf("n is %d, and the lock is held", b.n)
	}
	if x, err = Recall(data, newGeneration(state{"g": &b})); err != nil {
		t.Fatal(err)
	}
	x.Commit()
	b.mu.Unlock() // which ends the process where it is not held
}

func TestAHeldLockIsSaidToBeBusy(t *testing.T) {
	var mu sync.RWMutex
	c := make(chan int)
	mu.RLock()
	if _, w := file(t, state{"mu": &mu, "c": &c}); !w.Busy || len(w.Lost) != 2 {
		t.Errorf("%+v", w)
	}
	mu.RUnlock()
	if _, w := file(t, state{"mu": &mu, "c": &c}); w.Busy || len(w.Lost) != 1 {
		t.Errorf("%+v", w)
	}
}
