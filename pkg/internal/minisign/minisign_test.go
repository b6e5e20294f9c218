package minisign

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// Made by minisign 0.11: -G -W, then -S and -S -l of a file with "hello\n".
const (
	testPublic = "RWRRKRJORk/ICgel/BW+P+EA9dMmgnTDLFLHcMOwFLXHksW7fKeTUjfy"
	testSecret = "untrusted comment: minisign encrypted secret key\n" +
		"RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAUSkSTkZPyApDJL25PwX2Vy+El1w1QXezSTR4sjbQpf5Qu22Z2vBFCwel/BW+P+EA9dMmgnTDLFLHcMOwFLXHksW7fKeTUjfyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
	testHashed = "untrusted comment: signature from minisign secret key\n" +
		"RURRKRJORk/ICr/w50H3NlCfOTeCPzztvFU7xaAZGhYedMBO03lb21mcf3TeqSokpFC8R7ElTs9rA1wSIoXpqiBQWajw1NR0yAQ=\n" +
		"trusted comment: timestamp:1795888003\tfile:f\thashed\n" +
		"C2z2ycFsddrEExPDMVhCgc5gRQomGkTaTDLggjfYnegAVrzdM/hOQwitt8Ar8x9QM1xA/mSVk5BP+hMTyuR4Cw==\n"
	testLegacy = "untrusted comment: signature from minisign secret key\n" +
		"RWRRKRJORk/ICiQKaRxO1bYlfu6lUK1h84sE1izjfi3Qd4pSh7J2Ek4GGdI+13J2/Vasy4FB+kTpkX2hsJkgK5n01POknDa9OA8=\n" +
		"trusted comment: timestamp:1795888003\tfile:f\n" +
		"3aitZc1Njm6JXlewKe7GSd4XPJjoPXWxqh0iyhEG5W0G2gW9VVeSE/ZkuKEusie/oOwtpo/w2L1iQ7m1//2vAQ==\n"
	testFile = "hello\n"
)

func testKey(t testing.TB) SecretKey {
	t.Helper()
	k, err := ParseSecretKey(testSecret, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignaturesOfMinisignAreVerified(t *testing.T) {
	k, err := ParsePublicKey(testPublic)
	if err != nil {
		t.Fatal(err)
	}
	for text, hashed := range map[string]bool{testHashed: true, testLegacy: false, strings.ReplaceAll(testHashed, "\n", "\r\n"): true} {
		s, err := ParseSignature(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(k, strings.NewReader(testFile)); err != nil || s.Hashed != hashed {
			t.Errorf("hashed %v: %v", s.Hashed, err)
		}
	}
}

func TestWhatWasChangedIsNotVerified(t *testing.T) {
	k := testKey(t)
	s, err := k.Sign(strings.NewReader(testFile), "sequence:1")
	if err != nil {
		t.Fatal(err)
	}
	other, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	imposter := other.Public()
	imposter.ID = k.ID
	otherFile, err := k.Sign(strings.NewReader("other"), "sequence:1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		key  PublicKey
		file string
		edit func(*Signature)
		want error
	}{
		{"nothing", k.Public(), testFile, func(*Signature) {}, nil},
		{"another key", other.Public(), testFile, func(*Signature) {}, ErrOtherKey},
		{"another key with the id", imposter, testFile, func(*Signature) {}, ErrFile},
		{"the file", k.Public(), "hello\r\n", func(*Signature) {}, ErrFile},
		{"the signature", k.Public(), testFile, func(s *Signature) { s.file[0] ^= 1 }, ErrFile},
		{"the algorithm", k.Public(), testFile, func(s *Signature) { s.Hashed = false }, ErrFile},
		{"the comment", k.Public(), testFile, func(s *Signature) { s.Comment = "sequence:2" }, ErrComment},
		{"the comment's signature", k.Public(), testFile, func(s *Signature) { s.comment[0] ^= 1 }, ErrComment},
		{"the signature of another file", k.Public(), testFile, func(s *Signature) { *s = *otherFile }, ErrFile},
		{"the comment of another file", k.Public(), testFile, func(s *Signature) { s.comment = otherFile.comment }, ErrComment},
	} {
		changed := *s
		c.edit(&changed)
		read, err := ParseSignature(changed.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := read.Verify(c.key, strings.NewReader(c.file)); !errors.Is(err, c.want) {
			t.Errorf("%s changed: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestWhatIsNoSignatureIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":        "",
		"too long":       testHashed + strings.Repeat("x", MaxFile),
		"truncated":      testHashed[:len(testHashed)-20],
		"no comment":     strings.Replace(testHashed, "trusted comment: timestamp", "timestamp", 1),
		"no base64":      strings.Replace(testHashed, "RUR", "RU*", 1),
		"another tool's": strings.Replace(testHashed, "RUR", "RVR", 1),
		"five lines":     testHashed + "\n\n",
		"control":        strings.Replace(testHashed, "file:f", "file:\x1b[2Jf", 1),
		"not UTF-8":      strings.Replace(testHashed, "file:f", "file:\xff", 1),
		"key":            testSecret,
	} {
		if s, err := ParseSignature(text); err == nil {
			t.Errorf("%s is read as %+v", name, s)
		}
	}
}

func TestKeysAreWrittenAsTheyWereRead(t *testing.T) {
	k := testKey(t)
	if got := k.Public().String(); got != testPublic {
		t.Errorf("public key %s, want %s", got, testPublic)
	}
	if got, err := ParsePublicKey(k.Public().File()); err != nil || got != k.Public() {
		t.Errorf("read %v, %v", got, err)
	}
	if got, want := k.ID.String(), "AC84F464E122951"; got != want { // as minisign printed it
		t.Errorf("id %s, want %s", got, want)
	}
	open, err := k.File(nil, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, body, _ := strings.Cut(open, "\n"); !strings.HasSuffix(testSecret, "\n"+body) {
		t.Errorf("the secret key becomes %s", body)
	}
}

// seal stands for scrypt: a stream that depends on everything it is given.
func seal(password byte) Seal {
	return func(salt []byte, operations, memory uint64) ([]byte, error) {
		b := make([]byte, SealSize)
		for i := range b {
			b[i] = password + salt[i%len(salt)] + byte(operations) + byte(memory>>8) + byte(i)
		}
		return b, nil
	}
}

func TestSealedKeyOpensWithItsPasswordAlone(t *testing.T) {
	k := testKey(t)
	text, err := k.File(seal(1), 7, 9<<8)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ParseSecretKey(text, seal(1)); err != nil || !got.key.Equal(k.key) || got.ID != k.ID {
		t.Errorf("opened: %v", err)
	}
	if _, err := ParseSecretKey(text, seal(2)); !errors.Is(err, ErrPassword) {
		t.Errorf("with another password: %v", err)
	}
	if again, _ := k.File(seal(1), 7, 9<<8); again == text {
		t.Error("two files have the same salt")
	}
}

func TestDamagedKeysAreRefused(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":         "",
		"no comment":      strings.SplitAfter(testSecret, "\n")[1],
		"algorithm":       strings.Replace(testSecret, "RWQA", "RWRA", 1),
		"truncated":       testSecret[:len(testSecret)-9],
		"halves mismatch": strings.Replace(testSecret, "pDJL25", "pDJL26", 1),
		"a public key":    testKey(t).Public().File(),
	} {
		if _, err := ParseSecretKey(text, seal(1)); err == nil {
			t.Errorf("%s is read as a secret key", name)
		}
	}
	for name, text := range map[string]string{
		"nothing": "", "truncated": testPublic[:40], "a secret key": testSecret, "two": testPublic + "\n" + testPublic,
		"a signature's algorithm": "RUR" + testPublic[3:],
	} {
		if _, err := ParsePublicKey(text); err == nil {
			t.Errorf("%s is read as a public key", name)
		}
	}
}

func TestClaimsAreReadAsWritten(t *testing.T) {
	at := time.Date(2026, 11, 28, 17, 0, 0, 0, time.UTC)
	for _, c := range []Claims{
		{},
		{Sequence: 1<<64 - 1},
		{Time: at, File: "pricing-3fa91c2b4d5e.so", Plugin: "pricing", Host: "a/b/c-d_e", Sequence: 7, Expires: at.Add(time.Hour)},
		{Plugin: "prix-é", Host: AnyHost},
	} {
		if got, err := ParseClaims(c.Comment()); err != nil || got != c {
			t.Errorf("%q is read as %+v, %v; want %+v", c.Comment(), got, err, c)
		}
	}
	if got := (Claims{File: "a\tsequence:9", Sequence: 1}).Comment(); got != "hashed\tsequence:1" {
		t.Errorf("a file's name brings fields of its own: %q", got)
	}
}

func TestClaimsOfMinisignHaveItsTimeAsSequence(t *testing.T) {
	c, err := ParseClaims("timestamp:1795888003\tfile:f\thashed")
	if err != nil || c.Sequence != 1795888003_000000000 || !c.Expires.IsZero() || c.Plugin != "" {
		t.Errorf("claims %+v, %v", c, err)
	}
	for _, bad := range []string{
		"", "release 1.4", "timestamp:", "timestamp:-1", "timestamp:99999999999", "timestamp:1\ttimestamp:2",
		"sequence:-1", "sequence:+1", "sequence:1x", "sequence:1\tsequence:2", "sequence:18446744073709551616",
		"sequence:1\texpires:tomorrow", "sequence:1\texpires:", "sequence:1\texpires:0001-01-01T00:00:00Z",
	} {
		if c, err := ParseClaims(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, c)
		}
	}
}
