package minisign

import (
	"strings"
	"testing"
)

// FuzzSignature: any text is refused, or is a signature whose text is read as the
// same, and that verifies nothing it was not made for.
func FuzzSignature(f *testing.F) {
	for _, text := range []string{
		"", testHashed, testLegacy, testSecret, testPublic, testHashed[:100],
		strings.Replace(testHashed, "timestamp", "\ttimestamp", 1), strings.Repeat("\n", 5),
	} {
		f.Add(text)
	}
	k := testKey(f).Public()
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSignature(text)
		if err != nil {
			return
		}
		again, err := ParseSignature(s.String())
		if len(s.String()) <= MaxFile && (err != nil || *again != *s) {
			t.Fatalf("%+v becomes %+v, %v", s, again, err)
		}
		if s.Verify(k, strings.NewReader("never signed")) == nil {
			t.Fatalf("%q verifies what was never signed", text)
		}
	})
}

// FuzzClaims: any comment is refused, or gives claims whose comment is read as the
// same.
func FuzzClaims(f *testing.F) {
	for _, text := range []string{
		"", "timestamp:1795888003\tfile:f\thashed", "sequence:1\texpires:2027-01-01T00:00:00+02:00",
		"plugin:p\thost:any\tsequence:18446744073709551615", "sequence:1\tsequence:2", "a\ta", "timestamp:0",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseClaims(text)
		if err != nil {
			return
		}
		c.File = ""
		if again, err := ParseClaims(c.Comment()); err != nil || again != c {
			t.Fatalf("%+v of %q becomes %q: %+v, %v", c, text, c.Comment(), again, err)
		}
	})
}

// FuzzKeys: any text is refused as a key, or is one that is written as it is read.
func FuzzKeys(f *testing.F) {
	for _, text := range []string{"", testPublic, testSecret, testHashed, testKey(f).Public().File(), strings.Replace(testSecret, "RWQAAE", "RWRTY0", 1)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if k, err := ParsePublicKey(text); err == nil {
			if again, err := ParsePublicKey(k.File()); err != nil || again != k {
				t.Fatalf("%v becomes %v, %v", k, again, err)
			}
		}
		k, err := ParseSecretKey(text, seal(1))
		if err != nil {
			return
		}
		s, err := k.Sign(strings.NewReader(testFile), "x")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(k.Public(), strings.NewReader(testFile)); err != nil {
			t.Fatal(err)
		}
	})
}
