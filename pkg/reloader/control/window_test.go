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
