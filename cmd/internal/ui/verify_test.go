package ui

import (
	"bytes"
	"path/filepath"
	"testing"
)

// verified is an answer with every field: one host refuses, one has doubts, one
// takes it, and a binary.
func verified() VerifyAnswer {
	module := VerifyMismatch{
		Kind: "module", Weight: "refused", Code: "HG0091", What: "golang.org/x/text", Host: "v0.21.0", Artifact: "v0.22.0", Limit: "the Go runtime",
		Cause: "a process has one copy of a package, in the version that came first", Way: "build it with the version that was there first",
		RequiredBy: []string{"example.com/other@v1.2.0", "example.com/shop"},
	}
	hash := VerifyMismatch{
		Kind: "package", Weight: "refused", Code: "HG0091", What: "golang.org/x/text/language", Host: "0300000000000000", Artifact: "ff00000000000000",
		Limit: "the Go runtime", Cause: module.Cause, Way: module.Way,
	}
	own := VerifyMismatch{
		Kind: "package", Weight: "refused", Code: "HG0090", What: "example.com/shop/cart", Host: "0500000000000000", Artifact: "ff00000000000000",
		Limit: "the Go runtime", Cause: "its source changed since the host was built", Way: "restart the host with a new build (hotgo run does it)",
		Files: []string{
			filepath.Join(dir(), "cart", "a.go"), filepath.Join(dir(), "cart", "b.go"), filepath.Join(dir(), "cart", "c.go"), filepath.Join(dir(), "cart", "d.go"),
		},
	}
	build := VerifyMismatch{
		Kind: "build", Weight: "refused", Code: "HG0092", What: "build id", Limit: "hotgo: a thin artifact fits the one binary that it was linked against",
		Host:     "A8UtA8AxeB8dzLSxGhtL/CrYBkPJgJAGQVqg7J1Nb/xCreyUvS_6pshwkbfouQ/zu80QK8p2mVBdoIzNFQX",
		Artifact: "qEpZYETfIERmh7vwCyAf/WQQc5-i9lBBdb2YmD48z/yYdNM8n-8aKrqQZzKzl8/-fJtdaYoKGFK7XBWRGW8",
		Cause:    "it was linked against another build of this host", Way: "build it for this host",
	}
	doubt := VerifyMismatch{
		Kind: "platform", Weight: "warning", What: "GOAMD64", Host: "v1", Artifact: "v3", Limit: "the processor",
		Cause: "this processor has v3, others that run the host may not", Way: "build it with GOAMD64=v1",
	}
	note := VerifyMismatch{
		Kind: "origin", Weight: "note", What: "origin", Artifact: "not built by hotgo", Limit: "hotgo",
		Cause: "it has no manifest and is judged by the file alone",
	}
	return VerifyAnswer{
		V: 1, Verdict: VerifyRefused,
		Artifact: VerifiedArtifact{
			Path: "greet.so", Plugin: "greet", Package: "example.com/shop/plugins/greet", Key: key8, Link: "thin", Digest: "sha256:5e1f", Bytes: 24320,
		},
		Hosts: []HostVerify{
			{
				Host: "shop", PID: 812, Binary: "/srv/server", Verdict: VerifyRefused, Asked: true, Mismatches: []VerifyMismatch{module, hash, own, doubt, note},
				Next: "go get golang.org/x/text@v0.21.0 && hotgo build --host 812 example.com/shop/plugins/greet", Headline: []VerifyMismatch{module, own},
			},
			{Host: "shop", PID: 813, Binary: "/srv/server", Verdict: VerifyFits, Asked: true, Live: true},
			{Binary: "./server", Verdict: VerifyDoubtful, Mismatches: []VerifyMismatch{doubt, note}},
			{
				Binary: "./other", Verdict: VerifyRefused, Mismatches: []VerifyMismatch{build}, Headline: []VerifyMismatch{build},
				Next: "hotgo build --host ./other example.com/shop/plugins/greet",
			},
		},
	}
}

func TestVerifyText(t *testing.T) {
	for name, verbose := range map[string]bool{"verify.txt.golden": false, "verify-verbose.txt.golden": true} {
		golden(t, name, text(t, func(b *bytes.Buffer) error {
			for _, h := range verified().Hosts {
				if err := Verify(b, "greet", h, verbose, plain()); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func TestVerifyJSON(t *testing.T) {
	golden(t, "verify.json.golden", text(t, func(b *bytes.Buffer) error { return JSON(b, verified()) }))
}
