package minisign

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestMinisignAndWeReadEachOther has the real tool (Debian's package minisign) make
// keys and signatures, and check ours. Where it is not installed there is nothing
// to compare with; .ci/run installs it.
func TestMinisignAndWeReadEachOther(t *testing.T) {
	tool, err := exec.LookPath("minisign")
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal("CI has to have minisign: ", err)
	}
	if err != nil {
		t.Skip("no minisign")
	}
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(tool, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("minisign %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write("file", testFile)

	// Theirs.
	run("-G", "-W", "-p", path("their.pub"), "-s", path("their.key"))
	theirs, err := ParsePublicKey(read("their.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range [][]string{{"-H"}, {"-l"}} {
		run(append([]string{"-S", "-s", path("their.key"), "-m", path("file"), "-x", path("sig")}, how...)...)
		s, err := ParseSignature(read("sig"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(theirs, strings.NewReader(testFile)); err != nil {
			t.Errorf("minisign -S %s: %v", how, err)
		}
		if _, err := ParseClaims(s.Comment); err != nil {
			t.Error(err)
		}
	}
	secret, err := ParseSecretKey(read("their.key"), nil)
	if err != nil || secret.Public() != theirs {
		t.Fatalf("their secret key: %v", err)
	}

	// Ours.
	ours, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := ours.File(nil, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	write("our.key", text)
	write("our.pub", ours.Public().File())
	// $ minisign -Sm greet.so -s deploy.key
	run("-S", "-s", path("our.key"), "-m", path("file"), "-x", path("sig"))
	// $ minisign -Vm greet.so -p deploy.key.pub
	run("-V", "-p", path("our.pub"), "-m", path("file"), "-x", path("sig"))
	for name, k := range map[string]SecretKey{"our.pub": ours, "their.pub": secret} {
		s, err := k.Sign(strings.NewReader(testFile), Claims{Plugin: "pricing", Host: AnyHost, Sequence: 42}.Comment())
		if err != nil {
			t.Fatal(err)
		}
		write("sig", s.String())
		if out := run("-V", "-H", "-p", path(name), "-m", path("file"), "-x", path("sig")); !strings.Contains(out, "plugin:pricing") || !strings.Contains(out, "sequence:42") {
			t.Errorf("minisign -V does not show the claims:\n%s", out)
		}
	}
}
