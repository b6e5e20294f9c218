package reloader

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/minisign"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// signer is somebody with a key.
type signer struct {
	t   *testing.T
	key minisign.SecretKey
}

func newSigner(t *testing.T) signer {
	t.Helper()
	k, err := minisign.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return signer{t, k}
}

func (s signer) trust() []string { return []string{s.key.Public().String()} }

func (s signer) text(path string, c minisign.Claims) string {
	s.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	sig, err := s.key.Sign(bytes.NewReader(b), c.Comment())
	if err != nil {
		s.t.Fatal(err)
	}
	return sig.String()
}

// sign puts the signature beside the file, and gives the file.
func (s signer) sign(path string, c minisign.Claims) string {
	s.t.Helper()
	s.put(path, s.text(path, c))
	return path
}

func (s signer) put(path, text string) {
	s.t.Helper()
	if err := os.WriteFile(path+minisign.Suffix, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// refused loads what has to be refused with a rule, and checks that nothing of it
// was opened and that people are told all they need.
func (f *fakeProcess) refused(h *Host, path, rule string) *control.Error {
	f.t.Helper()
	before := len(f.opened)
	e := mustFail(f.t, h, path, control.CodeSignature)
	if e.Rule != rule {
		f.t.Errorf("rule %s (%v), want %s", e.Rule, e, rule)
	}
	if len(f.opened) != before {
		f.t.Error("it was opened")
	}
	if e.Limit == "" || e.Next == "" {
		f.t.Errorf("the refusal does not explain itself: %+v", e)
	}
	return e
}

func at(sequence uint64) minisign.Claims { return minisign.Claims{Sequence: sequence} }

// TestHostWithKeysTakesNothingThatTheyDidNotSign goes through what may be wrong
// with a signature. Nothing is opened, nothing of the file is believed, and the
// old generation serves.
func TestHostWithKeysTakesNothingThatTheyDidNotSign(t *testing.T) {
	f := newFakeProcess(t)
	s, stranger := newSigner(t), newSigner(t)
	h := openHost(t, Options{TrustedKeys: s.trust()}, f)
	price := Bind(h, "pricing", "Price", times(1))
	ev := mustLoad(t, h, s.sign(f.version("pricing", "good", prices(2)), at(10)))
	if id := s.key.ID.String(); ev.Signer != id || h.Status().Plugins[0].Generations[0].Signer != id || !slices.Equal(h.Status().TrustedKeys, []string{id}) {
		t.Errorf("event %+v, status %+v: they do not say who signed", ev, h.Status())
	}
	imposter := stranger
	imposter.key.ID = s.key.ID
	other := f.version("pricing", "other", prices(3))
	now := time.Now().Truncate(time.Second)

	for name, c := range map[string]struct {
		rule string
		sign func(path string)
	}{
		"unsigned":               {ruleUnsigned, func(string) {}},
		"empty":                  {ruleUnsigned, func(path string) { s.put(path, "") }},
		"a stranger's":           {ruleOtherKey, func(path string) { stranger.sign(path, at(11)) }},
		"of a key with its name": {ruleForged, func(path string) { imposter.sign(path, at(11)) }},
		"of another artifact":    {ruleForged, func(path string) { s.put(path, s.text(other, at(11))) }},
		"garbage":                {ruleForged, func(path string) { s.put(path, "\x00\x01\x02") }},
		"too long":               {ruleForged, func(path string) { s.put(path, s.text(path, at(11))+strings.Repeat("x", 2*minisign.MaxFile)) }},
		"truncated":              {ruleForged, func(path string) { s.put(path, s.text(path, at(11))[:200]) }},
		"tampered comment": {ruleForged, func(path string) {
			s.put(path, strings.Replace(s.text(path, at(11)), "sequence:11", "sequence:99", 1))
		}},
		"tampered artifact": {ruleForged, func(path string) {
			s.sign(path, at(11))
			appendTo(t, path, " ")
		}},
		"no sequence": {ruleForged, func(path string) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sig, err := s.key.Sign(bytes.NewReader(b), "release 1.4")
			if err != nil {
				t.Fatal(err)
			}
			s.put(path, sig.String())
		}},
		"expired":      {ruleExpired, func(path string) { s.sign(path, minisign.Claims{Sequence: 11, Expires: now.Add(-time.Second)}) }},
		"replayed":     {ruleDowngrade, func(path string) { s.sign(path, at(9)) }},
		"of the time":  {ruleDowngrade, func(path string) { s.sign(path, at(10)) }},
		"other plugin": {ruleOtherClaim, func(path string) { s.sign(path, minisign.Claims{Sequence: 11, Plugin: "shipping"}) }},
		"other host":   {ruleOtherClaim, func(path string) { s.sign(path, minisign.Claims{Sequence: 11, Host: "another/build"}) }},
	} {
		t.Run(name, func(t *testing.T) {
			path := f.version("pricing", name, prices(7))
			c.sign(path)
			e := f.refused(h, path, c.rule)
			if price.Get()(1) != 2 {
				t.Error("the old generation does not serve")
			}
			if last := h.History()[len(h.History())-1]; last.Code != c.rule || last.Reason == "" {
				t.Errorf("the history has %+v of %v", last, e)
			}
			// A dry run says the same.
			_, err := h.load(t.Context(), loadRequest{dryRun: true, receive: func() (*copied, error) { return h.receiveFile(t.Context(), path) }})
			var dry *control.Error
			if !errors.As(err, &dry) || dry.Rule != c.rule {
				t.Errorf("a dry run gives %v", err)
			}
		})
	}
	// None of it got in the way of what is right.
	ev = mustLoad(t, h, s.sign(f.version("pricing", "next", prices(4)), minisign.Claims{Sequence: 11, Plugin: "pricing", Host: minisign.AnyHost, Expires: now.Add(time.Hour)}))
	if ev.Verdict != control.Swapped || price.Get()(1) != 4 {
		t.Errorf("the next load: %+v", ev)
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalShowsTheKeysAndTheSequences(t *testing.T) {
	f := newFakeProcess(t)
	s, stranger := newSigner(t), newSigner(t)
	h := openHost(t, Options{TrustedKeys: s.trust()}, f)
	path := f.version("pricing", "a", prices(2))
	e := f.refused(h, stranger.sign(path, at(1)), ruleOtherKey)
	if want := (control.Evidence{What: "key", Host: s.key.ID.String(), Artifact: stranger.key.ID.String()}); !slices.Contains(e.Evidence, want) {
		t.Errorf("evidence %+v, want %+v", e.Evidence, want)
	}
	mustLoad(t, h, s.sign(path, at(7)))
	e = f.refused(h, s.sign(f.version("pricing", "b", prices(3)), at(6)), ruleDowngrade)
	if want := (control.Evidence{What: "sequence", Host: "above 7", Artifact: "6"}); !slices.Contains(e.Evidence, want) {
		t.Errorf("evidence %+v, want %+v", e.Evidence, want)
	}
}

func TestOneOfSeveralKeysIsEnough(t *testing.T) {
	f := newFakeProcess(t)
	old, fresh, never := newSigner(t), newSigner(t), newSigner(t)
	namesake := newSigner(t) // ids prove nothing: two keys may have one
	namesake.key.ID = fresh.key.ID
	h := openHost(t, Options{TrustedKeys: []string{old.key.Public().String(), namesake.key.Public().String(), fresh.key.Public().File()}}, f)
	mustLoad(t, h, old.sign(f.version("pricing", "a", prices(2)), at(1)))
	mustLoad(t, h, fresh.sign(f.version("pricing", "b", prices(3)), at(2)))
	mustLoad(t, h, namesake.sign(f.version("pricing", "c", prices(3)), at(3)))
	f.refused(h, never.sign(f.version("pricing", "d", prices(4)), at(4)), ruleOtherKey)
	// The sequence is the plugin's, not the key's.
	f.refused(h, old.sign(f.version("pricing", "e", prices(4)), at(2)), ruleDowngrade)
	mustLoad(t, h, old.sign(f.version("shipping", "f", prices(4)), at(1)))
}

func TestKeysThatAreNoneAreAnErrorOfNew(t *testing.T) {
	f := newFakeProcess(t)
	for _, key := range []string{"", "RWQkey", newSigner(t).key.Public().String() + "x"} {
		if h, err := newHost(Options{NoSocket: true, TrustedKeys: []string{key}}, f.platform()); err == nil {
			h.Close()
			t.Errorf("key %q is accepted", key)
		} else if !strings.Contains(err.Error(), "TrustedKeys[0]") {
			t.Errorf("the error does not say which: %v", err)
		}
	}
}

func TestEmptyListTrustsNobody(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{TrustedKeys: []string{}}, f)
	path := f.version("pricing", "a", prices(2))
	f.refused(h, path, ruleUnsigned)
	f.refused(h, newSigner(t).sign(path, at(1)), ruleOtherKey)
	if keys := h.Status().TrustedKeys; keys == nil || len(keys) != 0 {
		t.Errorf("trusted keys in the status: %#v", keys)
	}
	if keys := openHost(t, Options{}, f).Status().TrustedKeys; keys != nil {
		t.Errorf("a host that asks for nothing says %#v", keys)
	}
}

func TestOlderIsTakenWhenItIsMeant(t *testing.T) {
	f := newFakeProcess(t)
	s := newSigner(t)
	older := func() string { return s.sign(f.version("pricing", "old", prices(2)), at(5)) }
	newer := func() string { return s.sign(f.version("pricing", "new", prices(3)), at(6)) }
	down := func(h *Host, path string) error {
		_, err := h.load(t.Context(), loadRequest{downgrade: true, receive: func() (*copied, error) { return h.receiveFile(t.Context(), path) }})
		return err
	}
	h := openHost(t, Options{TrustedKeys: s.trust()}, f)
	price := Bind(h, "pricing", "Price", times(1))
	mustLoad(t, h, newer())
	f.refused(h, older(), ruleDowngrade)
	if err := down(h, older()); err != nil || price.Get()(1) != 2 {
		t.Fatalf("with allow_downgrade: %v, price %d", err, price.Get()(1))
	}
	// The same bytes were taken before; what lies between was not.
	mustLoad(t, h, newer())
	if _, err := h.Rollback(t.Context(), "pricing", Previous); err != nil || price.Get()(1) != 1 {
		t.Errorf("rollback: %v, price %d", err, price.Get()(1))
	}

	g := newFakeProcess(t)
	strict := openHost(t, Options{TrustedKeys: s.trust(), NoDowngrade: true}, g)
	mustLoad(t, strict, s.sign(g.version("pricing", "new", prices(3)), at(6)))
	err := down(strict, s.sign(g.version("pricing", "old", prices(2)), at(5)))
	var e *control.Error
	if !errors.As(err, &e) || e.Rule != ruleDowngrade || e.Limit != "the host's Options.NoDowngrade" {
		t.Errorf("with NoDowngrade: %v", err)
	}
}

func TestSameBytesAreNoDowngrade(t *testing.T) {
	f := newFakeProcess(t)
	s := newSigner(t)
	h := openHost(t, Options{TrustedKeys: s.trust()}, f)
	path := f.version("pricing", "a", prices(2))
	mustLoad(t, h, s.sign(path, at(5)))
	for _, sequence := range []uint64{5, 4, 9} {
		if ev := mustLoad(t, h, s.sign(path, at(sequence))); ev.Verdict != control.Unchanged {
			t.Errorf("sequence %d: %+v", sequence, ev)
		}
	}
	// Also what is unchanged raises what has to follow.
	f.refused(h, s.sign(f.version("pricing", "b", prices(3)), at(8)), ruleDowngrade)
}

func TestFailedLoadAndDryRunLeaveTheSequence(t *testing.T) {
	f := newFakeProcess(t)
	s := newSigner(t)
	for _, dir := range []string{"", ownDir(t)} {
		h := openHost(t, Options{TrustedKeys: s.trust(), Dir: dir}, f)
		sick := prices(9)
		sick["HotHealth"] = Hook(func(context.Context) error { return errors.New("bad day") })
		mustFail(t, h, s.sign(f.version("pricing", "sick"+dir, sick), at(10)), control.CodeUnhealthy)
		dry := s.sign(f.version("pricing", "dry"+dir, prices(8)), at(9))
		if _, err := h.load(t.Context(), loadRequest{dryRun: true, receive: func() (*copied, error) { return h.receiveFile(t.Context(), dry) }}); err != nil {
			t.Fatal(err)
		}
		mustLoad(t, h, s.sign(f.version("pricing", "b"+dir, prices(3)), at(5)))
	}
}

func TestHostWithoutKeysDoesNotLookAtSignatures(t *testing.T) {
	f := newFakeProcess(t)
	h := openHost(t, Options{}, f)
	path := f.version("pricing", "a", prices(2))
	newSigner(t).put(path, "garbage")
	if ev := mustLoad(t, h, path); ev.Signer != "" {
		t.Errorf("%+v", ev)
	}
}

// A file that hotgo did not build does not say which plugin it is. Whoever signs it
// may, and then nobody else does.
func TestWhoSignsSaysWhichPluginAFileIs(t *testing.T) {
	s := newSigner(t)
	for name, c := range map[string]struct {
		claims minisign.Claims
		as     string // what the caller says
		want   string // plugin, or rule
	}{
		"nobody says":           {at(1), "", "pricing"},
		"the caller says":       {at(1), "tax", ruleOtherClaim},
		"the signer says":       {minisign.Claims{Sequence: 1, Plugin: "tax", Host: minisign.AnyHost}, "", "tax"},
		"both say":              {minisign.Claims{Sequence: 1, Plugin: "tax"}, "tax", "tax"},
		"they contradict":       {minisign.Claims{Sequence: 1, Plugin: "tax"}, "pricing", ruleOtherClaim},
		"the signer says wrong": {minisign.Claims{Sequence: 1, Plugin: "nobody"}, "", control.CodeRefused},
		"for another host":      {minisign.Claims{Sequence: 1, Plugin: "tax", Host: "b1"}, "", ruleOtherClaim},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeProcess(t)
			h := openHost(t, Options{TrustedKeys: s.trust()}, f)
			Bind(h, "pricing", "Price", times(1))
			Bind(h, "tax", "Price", times(1))
			path := s.sign(f.foreignVersion("example.com/plugins/pricing", "a", prices(2)), c.claims)
			ev, err := h.LoadAs(t.Context(), c.as, path)
			var e *control.Error
			switch {
			case err == nil:
				if ev.Plugin != c.want {
					t.Errorf("it is %s, want %s", ev.Plugin, c.want)
				}
			case !errors.As(err, &e) || e.Rule != c.want && e.Code != c.want || e.Next == "":
				t.Errorf("%+v, want %s", err, c.want)
			case len(f.opened) > 0:
				t.Error("it was opened")
			}
		})
	}
}
