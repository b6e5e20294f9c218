package artifact

import (
	"strings"
	"testing"
)

func TestPluginNamesThatCouldHarmAreRefused(t *testing.T) {
	for _, good := range []string{"pricing", "a", "Pricing2", "_x", "pricing.v2", "pricing-eu", "a@b", "c++", "größe", "料金", strings.Repeat("x", 64)} {
		if err := ValidName(good); err != nil {
			t.Errorf("ValidName(%q): %v", good, err)
		}
	}
	for _, bad := range []string{
		"", ".", "..", "../x", "a/b", `a\b`, "/etc", "-rf", ".hidden", "a b", "a\nb", "a\x00b", "a\x1b[31m", "\u202egnp.so",
		"a:b", "a*", "$HOME", "a;b", "a'b", `a"b`, "C:", "\xff", strings.Repeat("x", 65), "\u0301x", "+x", "@x",
	} {
		if err := ValidName(bad); err == nil {
			t.Errorf("ValidName(%q) has nothing against it", bad)
		}
	}
}

func TestFileNamesComeApartAgain(t *testing.T) {
	key := strings.Repeat("0123456789abcdef", 4)
	for _, plugin := range []string{"pricing", "pricing-0123456789ab", "a.so", "größe"} {
		name := FileName(plugin, key)
		if got, part, ok := ParseFileName(name); !ok || got != plugin || part != key[:12] {
			t.Errorf("ParseFileName(%q) = %q, %q, %v", name, got, part, ok)
		}
	}
	if name := FileName("pricing", key); name != "pricing-0123456789ab.so" {
		t.Errorf("FileName = %q", name)
	}
	for _, bad := range []string{"", ".so", "pricing.so", "-0123456789ab.so", "pricing-0123456789AB.so", "pricing-0123456789ab", "pricing0123456789ab.so", "../x-0123456789ab.so", ".x-0123456789ab.so"} {
		if plugin, part, ok := ParseFileName(bad); ok {
			t.Errorf("ParseFileName(%q) = %q, %q", bad, plugin, part)
		}
	}
}

func TestKeysAndDigestsHaveOneForm(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	if err := ValidKey(hex); err != nil {
		t.Error(err)
	}
	if err := ValidDigest("sha256:" + hex); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", hex[1:], hex + "0", strings.ToUpper(hex), "g" + hex[1:]} {
		if ValidKey(bad) == nil {
			t.Errorf("ValidKey(%q) has nothing against it", bad)
		}
		if ValidDigest("sha256:"+bad) == nil {
			t.Errorf("ValidDigest(sha256:%q) has nothing against it", bad)
		}
	}
	if ValidDigest(hex) == nil {
		t.Error("ValidDigest without a prefix has nothing against it")
	}
}
