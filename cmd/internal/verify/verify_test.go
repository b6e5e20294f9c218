package verify

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

var (
	flag     = builder.Mismatch{Kind: builder.MismatchPackage, What: "-trimpath", Host: "true", Artifact: "false", Cause: "known here"}
	library  = builder.Mismatch{Kind: builder.MismatchPlatform, What: "libc.so.6", Host: "up to GLIBC_2.31", Artifact: "needs GLIBC_2.34"}
	drift    = builder.Mismatch{Kind: builder.MismatchSource, What: "example.com/shop/cart"}
	doubt    = builder.Mismatch{Kind: builder.MismatchUnknown, Weight: builder.Warns, What: "go version"}
	evidence = control.Evidence{What: "-trimpath", Host: "true", Artifact: "false"}
)

// whats gives what was found, in order.
func whats(r *builder.Report) []string {
	var list []string
	for _, m := range r.Mismatches {
		list = append(list, m.What)
	}
	return list
}

func TestTheHostHasTheLastWord(t *testing.T) {
	for _, c := range []struct {
		name  string
		local []builder.Mismatch
		err   error // the host's answer
		want  []string
		fits  bool
		next  string
	}{
		{"both find nothing", nil, nil, nil, true, ""},
		{"it takes what the files speak against", []builder.Mismatch{flag}, nil, nil, true, ""},
		{"but for what it does not look at", []builder.Mismatch{library, drift, flag}, nil, []string{"libc.so.6", "example.com/shop/cart"}, false, ""},
		{"doubts stay", []builder.Mismatch{doubt}, nil, []string{"go version"}, true, ""},
		{
			"both find the same, and it is listed once",
			[]builder.Mismatch{flag},
			&control.Error{Code: control.CodeIncompatible, Evidence: []control.Evidence{evidence}, Next: "theirs"},
			[]string{"-trimpath"},
			false, "",
		},
		{
			"it knows what it has loaded",
			nil,
			&control.Error{Code: control.CodeIncompatible, Message: "taken", Evidence: []control.Evidence{{What: "plugin path"}}, Next: "restart the host"},
			[]string{"plugin path"},
			false, "restart the host",
		},
		{
			"it finds more than the files tell",
			[]builder.Mismatch{flag, doubt},
			&control.Error{Code: control.CodeIncompatible, Evidence: []control.Evidence{evidence, {What: "example.com/brought"}}, Next: "theirs"},
			[]string{"-trimpath", "example.com/brought", "go version"},
			false, "",
		},
		{
			"it trusts other keys", nil,
			&control.Error{Code: control.CodeSignature, Rule: "HG0101", Evidence: []control.Evidence{{What: "key"}}, Next: "hotgo key sign"},
			[]string{"key"},
			false, "hotgo key sign",
		},
		{
			"it refuses without evidence", nil, &control.Error{Code: control.CodeRefused, Message: "opened as generation 1 and failed", Next: "restart"},
			[]string{"the host's answer"},
			false, "restart",
		},
		{
			"it refuses without evidence what the files speak against",
			[]builder.Mismatch{flag},
			&control.Error{Code: control.CodeUnsupported},
			[]string{"-trimpath"},
			false, "",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &builder.Report{}
			for _, m := range c.local {
				r.Add(m)
			}
			next, err := merge(r, c.err)
			if err != nil {
				t.Fatal(err)
			}
			if got := whats(r); !slices.Equal(got, c.want) || r.Fits() != c.fits || next != c.next {
				t.Errorf("found %q, fits %v, next %q; want %q, %v, %q", got, r.Fits(), next, c.want, c.fits, c.next)
			}
			for _, m := range r.Mismatches {
				if m.What == flag.What && m.Cause != flag.Cause {
					t.Errorf("the host's words took the place of an explanation: %+v", m)
				}
			}
		})
	}
}

// That a host is busy, or is none, says nothing about the artifact.
func TestWhatIsNoVerdictIsAnError(t *testing.T) {
	for _, answer := range []error{
		&control.Error{Code: control.CodeBusy}, &control.Error{Code: control.CodeForbidden},
		&control.Error{Code: control.CodeInternal}, &control.UnreachableError{Target: "shop"}, context.Canceled,
	} {
		r := &builder.Report{}
		if _, err := merge(r, answer); !errors.Is(err, answer) || len(r.Mismatches) > 0 {
			t.Errorf("%v became %v with %q", answer, err, whats(r))
		}
	}
}
