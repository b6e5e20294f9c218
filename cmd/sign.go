package cmd

import (
	"context"
	"errors"
	"os"

	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/builder"
)

// passwordVariable has the password of a secret key, for where nobody can be asked.
// It is no setting: settings are shown.
const passwordVariable = "HOTGO_KEY_PASSWORD"

// signer gives what goes with an artifact to hosts: a signature made now, with
// --sign-key, or else the one that lies beside it.
type signer struct{ key *builder.SigningKey }

// signer opens the key of the configuration, if there is one. That may ask for a
// password, so commands do it before they begin.
func (s *session) signer(ctx context.Context) (*signer, error) {
	if s.cfg.SignKey == "" {
		return &signer{}, nil
	}
	key, err := builder.ReadSigningKey(s.cfg.SignKey, func() ([]byte, error) {
		return s.password(ctx, "password of "+s.short(s.cfg.SignKey))
	})
	if err != nil {
		return nil, err
	}
	if key.Warning != "" && !s.cfg.Quiet {
		s.say("%s", key.Warning)
	}
	return &signer{key: key}, nil
}

// signature gives the text of a signature file, "" where there is none to give.
func (k *signer) signature(art *builder.Artifact) (string, error) {
	if k.key == nil {
		return builder.ReadSignature(art.Path)
	}
	o := builder.SignOptions{Digest: art.Digest}
	if art.Manifest.Foreign {
		o.Plugin = art.Manifest.Plugin // as whoever pushes it says, or hosts bind it
	}
	sig, err := k.key.Sign(art.Path, o)
	if err != nil {
		return "", err
	}
	return sig.Text, nil
}

// put signs an artifact and leaves the signature beside it, whose path it gives;
// "" without a key.
func (k *signer) put(art *builder.Artifact) (string, error) {
	if k.key == nil {
		return "", nil
	}
	sig, err := k.key.Sign(art.Path, builder.SignOptions{Digest: art.Digest})
	if err != nil {
		return "", err
	}
	return sig.WriteFile(art.Path)
}

// password gives the key's password from the environment, or asks for it.
func (s *session) password(ctx context.Context, prompt string) ([]byte, error) {
	if word := os.Getenv(passwordVariable); word != "" {
		return []byte(word), nil
	}
	word, err := ui.Password(ctx, s.stdio.In, s.stdio.Err, "hotgo: "+ui.Clean(prompt)+": ")
	if errors.Is(err, ui.ErrNoTerminal) {
		return nil, errors.New("it has a password, and there is no terminal to ask for it; " + passwordVariable + " is not set")
	}
	return word, err
}
