package control

import (
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestWindowIsReadAsItIsWritten(t *testing.T) {
	for _, w := range []Window{
		{Length: time.Minute},
		{Length: time.Hour, Interval: 20 * time.Millisecond, Failures: 7, MaxPanics: -1, MaxErrors: "2.5%", Confirm: true},
	} {
		want, err := w.Complete()
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range []Window{w, want} {
			q, err := url.ParseQuery(strings.TrimPrefix(LoadOptions{Window: &v}.query(), "?"))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := ParseWindow(q); err != nil || *got != want {
				t.Errorf("%+v is read as %+v, %v", v, got, err)
			}
		}
	}
}

// FuzzParseWindow: a query is refused, or gives a window that hosts take and that is
// read as it is written.
func FuzzParseWindow(f *testing.F) {
	for _, seed := range []string{
		"", "window=30s", "window=0", "window=1h&interval=20ms&failures=3&max_panics=-1&max_errors=2.5%25&confirm=1", "interval=1s",
		"window=30", "window=1m&max_errors=NaN%25", "window=1m&max_errors=-1", "window=1m&failures=99999999999999999999", "window=1m&confirm=perhaps",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		w, err := ParseWindow(q)
		if err != nil || w == nil {
			return
		}
		if same, err := w.Complete(); err != nil || same != *w {
			t.Errorf("%+v is not complete: %+v, %v", w, same, err)
		}
		again, err := url.ParseQuery(strings.TrimPrefix(LoadOptions{Window: w}.query(), "?"))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseWindow(again); err != nil || *got != *w {
			t.Errorf("%+v is read as %+v, %v", w, got, err)
		}
	})
}
