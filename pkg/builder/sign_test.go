package builder

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/scrypt"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/minisign"
)

func newKey(t *testing.T) *SigningKey {
	t.Helper()
	k, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func writeText(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func noPassword() ([]byte, error) { return nil, errors.New("nobody to ask") }

func TestSignedFileIsVerifiedWithItsKeyAlone(t *testing.T) {
	k, other := newKey(t), newKey(t)
	path := writeText(t, filepath.Join(t.TempDir(), "any"), "hello")
	end := time.Now().Add(time.Hour)
	s, err := k.Sign(path, SignOptions{Sequence: 7, Expires: end})
	if err != nil {
		t.Fatal(err)
	}
	if file, err := s.WriteFile(path); err != nil || file != path+".minisig" {
		t.Fatal(file, err)
	}
	got, err := VerifySignature(path, []string{other.Public(), k.Public()})
	if err != nil || got.KeyID != k.ID() || got.Sequence != 7 || got.Plugin != "" || !got.Expires.Equal(end.Truncate(time.Second)) || got.Digest != s.Digest {
		t.Errorf("verified %+v, %v", got, err)
	}
	refused := func(want string) {
		t.Helper()
		var e *SignatureError
		if _, err := VerifySignature(path, []string{k.Public()}); !errors.As(err, &e) || !strings.Contains(e.Error(), want) || e.Next == "" || e.Limit == "" {
			t.Errorf("gave %v, want an error with %q", err, want)
		}
	}
	if _, err := VerifySignature(path, []string{other.Public()}); err == nil {
		t.Error("another key verifies it")
	}
	writeText(t, path, "hello!")
	refused("not of this file")
	writeText(t, path, "hello")
	writeText(t, path+".minisig", strings.Replace(s.Text, "sequence:7", "sequence:8", 1))
	refused("claims was changed")
	writeText(t, path+".minisig", strings.Repeat("x", 1<<20))
	refused("no signature has")
	writeText(t, path+".minisig", "x")
	refused("cannot be read")
	if s, err = k.Sign(path, SignOptions{Expires: time.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	writeText(t, path+".minisig", s.Text)
	refused("expired")
	if err := os.Remove(path + ".minisig"); err != nil {
		t.Fatal(err)
	}
	refused("not signed")
}

func TestSignerSaysWhichPluginAFileIs(t *testing.T) {
	k := newKey(t)
	path := writeText(t, filepath.Join(t.TempDir(), "any.so"), "hello")
	s, err := k.Sign(path, SignOptions{Plugin: "pricing"})
	if err != nil || s.Plugin != "pricing" || s.Host != minisign.AnyHost {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := s.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if got, err := VerifySignature(path, []string{k.Public()}); err != nil || got.Plugin != "pricing" {
		t.Errorf("verified %+v, %v", got, err)
	}
	var e *KeyError
	for _, name := range []string{"../pricing", "a b", "x\tplugin:y"} {
		if _, err := k.Sign(path, SignOptions{Plugin: name}); !errors.As(err, &e) || e.Next == "" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What no host takes is not verified here either.
func TestWhatNoHostTakesIsNotVerified(t *testing.T) {
	k := newKey(t)
	dir := t.TempDir()
	refused := func(path, want string) {
		t.Helper()
		var e *SignatureError
		if _, err := VerifySignature(path, []string{testMinisignKey, k.Public()}); !errors.As(err, &e) || !strings.Contains(e.Error(), want) || e.Next == "" {
			t.Errorf("gave %v, want an error with %q", err, want)
		}
	}
	legacy := writeText(t, filepath.Join(dir, "legacy"), "hello\n")
	writeText(t, legacy+SignatureSuffix, testMinisignLegacy)
	refused(legacy, "old form")

	// An artifact that fits one build of the host, signed as one for another.
	elf, err := os.ReadFile(filepath.Join("..", "internal", "abi", "testdata", "thin-go1.26.elf"))
	if err != nil {
		t.Fatal(err)
	}
	path := writeText(t, filepath.Join(dir, "pricing.so"), string(elf))
	if err := artifact.Append(path, artifact.Manifest{
		Plugin: "pricing", Key: strings.Repeat("ab", 32), Package: "example.com/shop/plugins/pricing", PluginPath: "example.com/shop/plugins/pricing",
		GoVersion: "go1.26.8", GOOS: "linux", GOARCH: "amd64", Link: "thin", HostBuild: "one/build",
	}); err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{"one/build": "", "": "", "another/build": "another build of the host", minisign.AnyHost: "another build of the host"} {
		sig, err := k.secret.Sign(strings.NewReader(readText(t, path)), minisign.Claims{Sequence: 1, Plugin: "pricing", Host: host}.Comment())
		if err != nil {
			t.Fatal(err)
		}
		writeText(t, path+SignatureSuffix, sig.String())
		if want != "" {
			refused(path, want)
		} else if got, err := VerifySignature(path, []string{k.Public()}); err != nil || got.Host != host {
			t.Errorf("host %q: %+v, %v", host, got, err)
		}
	}
	if _, err := k.Sign(path, SignOptions{Plugin: "shipping"}); err == nil || !strings.Contains(err.Error(), "another plugin") {
		t.Errorf("signed as another plugin: %v", err)
	}
}

// Made by minisign 0.11 with -S -l of a file with "hello\n".
const (
	testMinisignKey    = "RWRRKRJORk/ICgel/BW+P+EA9dMmgnTDLFLHcMOwFLXHksW7fKeTUjfy"
	testMinisignLegacy = "untrusted comment: signature from minisign secret key\n" +
		"RWRRKRJORk/ICiQKaRxO1bYlfu6lUK1h84sE1izjfi3Qd4pSh7J2Ek4GGdI+13J2/Vasy4FB+kTpkX2hsJkgK5n01POknDa9OA8=\n" +
		"trusted comment: timestamp:1795888003\tfile:f\n" +
		"3aitZc1Njm6JXlewKe7GSd4XPJjoPXWxqh0iyhEG5W0G2gW9VVeSE/ZkuKEusie/oOwtpo/w2L1iQ7m1//2vAQ==\n"
)

func readText(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLaterSignatureHasAHigherSequence(t *testing.T) {
	k := newKey(t)
	path := writeText(t, filepath.Join(t.TempDir(), "any"), "hello")
	var last uint64
	for range 3 {
		s, err := k.Sign(path, SignOptions{})
		if err != nil || s.Sequence <= last {
			t.Fatalf("sequence %d after %d, %v", s.Sequence, last, err)
		}
		last = s.Sequence
	}
}

func TestChangedFileIsNotSigned(t *testing.T) {
	k := newKey(t)
	path := writeText(t, filepath.Join(t.TempDir(), "any"), "hello")
	s, err := k.Sign(path, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sign(path, SignOptions{Digest: s.Digest}); err != nil {
		t.Error(err)
	}
	writeText(t, path, "other")
	var e *SignatureError
	if _, err := k.Sign(path, SignOptions{Digest: s.Digest}); !errors.As(err, &e) || len(e.Evidence) != 1 {
		t.Errorf("gave %v", err)
	}
}

func TestKeyIsNeverOverwrittenAndIsItsOwnersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	k := newKey(t)
	public, err := k.Write(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret key: %v, %v", info, err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var e *KeyError
	if _, err := newKey(t).Write(path, nil); !errors.As(err, &e) || e.Next == "" {
		t.Errorf("overwriting gave %v", err)
	}
	// One of the two files is enough to refuse, a dangling link as well.
	for _, taken := range []string{"a", "b.pub"} {
		if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, taken)); err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(taken, ".pub")
		if _, err := newKey(t).Write(filepath.Join(dir, name), nil); !errors.As(err, &e) {
			t.Errorf("%s: %v", taken, err)
		}
		if files, _ := filepath.Glob(filepath.Join(dir, name+"*")); len(files) != 1 {
			t.Errorf("left behind: %q", files)
		}
	}
	after, _ := os.ReadFile(path)
	if !bytes.Equal(before, after) {
		t.Error("the key was changed")
	}
	again, err := ReadSigningKey(path, noPassword)
	if err != nil || again.Public() != k.Public() || again.Warning != "" {
		t.Errorf("read again: %+v, %v", again, err)
	}
	if text, err := os.ReadFile(public); err != nil || !strings.Contains(string(text), k.Public()) {
		t.Errorf("the public key: %s, %v", text, err)
	}
}

func TestKeyThatOthersCanReadIsWarnedOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if _, err := newKey(t).Write(path, nil); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, link} {
		if k, err := ReadSigningKey(p, noPassword); err != nil || !strings.Contains(k.Warning, "mode 0640") {
			t.Errorf("%s: %+v, %v", p, k, err)
		}
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if k, err := ReadSigningKey(link, noPassword); err != nil || k.Warning != "" { // a link's own mode is none
		t.Errorf("%+v, %v", k, err)
	}
	if _, err := ReadSigningKey(filepath.Dir(path), noPassword); err == nil {
		t.Error("a directory is read as a key")
	}
}

// TestPasswordsCostWhatMinisignsDo: what minisign 0.11 writes into a key stands for
// the parameters of scrypt that libsodium takes for it.
func TestPasswordsCostWhatMinisignsDo(t *testing.T) {
	for _, c := range []struct {
		operations, memory uint64
		n, r, p            int
	}{
		{scryptOperations, scryptMemory, 1 << 17, 8, 1}, // ours
		{1 << 25, 1 << 30, 1 << 20, 8, 1},               // SENSITIVE, minisign's
		{524288, 16777216, 1 << 14, 8, 1},               // INTERACTIVE
		{32768, 16777216, 1 << 10, 8, 1},                // operations are what is short
		{1 << 22, 1 << 20, 1 << 10, 8, 128},             // memory is
		{0, 0, 2, 8, 512},
	} {
		if n, r, p, err := scryptCost(c.operations, c.memory); err != nil || n != c.n || r != c.r || p != c.p {
			t.Errorf("%d operations, %d bytes: %d %d %d %v, want %+v", c.operations, c.memory, n, r, p, err, c)
		}
	}
	if _, _, _, err := scryptCost(1<<40, 1<<30); err == nil {
		t.Error("a damaged key may take any time")
	}
	// RFC 7914, 12, for the parameters' order.
	got, err := scrypt.Key([]byte("password"), []byte("NaCl"), 1024, 8, 16, 64)
	if want := "fdbabe1c9d3472007856e7190d01e9fe"; err != nil || hex.EncodeToString(got[:16]) != want {
		t.Errorf("scrypt gives %x, %v", got, err)
	}
}

// TestPasswordOfMinisignOpensItsKey has the real tool make a key with a password,
// which takes a gigabyte of memory on either side, and sign with one of ours.
func TestPasswordOfMinisignOpensItsKey(t *testing.T) {
	if testing.Short() {
		t.Skip("deriving keys takes seconds")
	}
	tool, err := exec.LookPath("minisign")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("CI has to have minisign: ", err)
	}
	if err != nil {
		t.Skip("no minisign")
	}
	dir := t.TempDir()
	run := func(input string, args ...string) {
		t.Helper()
		c := exec.Command(tool, args...)
		c.Dir, c.Stdin = dir, strings.NewReader(input)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("minisign %q: %v\n%s", args, err, out)
		}
	}
	password := func(word string) Password { return func() ([]byte, error) { return []byte(word), nil } }
	run("secret\nsecret\n", "-G", "-p", "their.pub", "-s", "their.key")
	theirs := filepath.Join(dir, "their.key")
	k, err := ReadSigningKey(theirs, password("secret"))
	if err != nil {
		t.Fatal(err)
	}
	file := writeText(t, filepath.Join(dir, "file"), "hello")
	s, err := k.Sign(file, SignOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.WriteFile(file); err != nil {
		t.Fatal(err)
	}
	run("", "-V", "-p", "their.pub", "-m", "file")
	var e *KeyError
	if _, err := ReadSigningKey(theirs, noPassword); !errors.As(err, &e) || !strings.Contains(err.Error(), "nobody to ask") {
		t.Errorf("no password gives %v", err)
	}

	ours := newKey(t)
	if _, err := ours.Write(filepath.Join(dir, "our.key"), []byte("hush")); err != nil {
		t.Fatal(err)
	}
	run("hush\n", "-S", "-s", "our.key", "-m", "file", "-x", "file.minisig")
	if _, err := VerifySignature(file, []string{ours.Public()}); err != nil {
		t.Error(err)
	}
	if _, err := ReadSigningKey(filepath.Join(dir, "our.key"), password("wrong")); !errors.As(err, &e) || !errors.Is(err, minisign.ErrPassword) {
		t.Errorf("a wrong password gives %v", err)
	}
}
