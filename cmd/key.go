package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/builder"
)

func newKey(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "key",
		Short: "Make keys; sign and verify artifacts",
		Long: `Make keys; sign and verify artifacts. Keys and signatures are those of minisign,
which can do the same. A host that trusts keys (Options.TrustedKeys, or
HOTGO_TRUSTED_KEYS where it has the one import) takes nothing that none of them
signed.`,
		Example: `  hotgo key new
  hotgo push --sign-key ~/.config/hotgo/key`,
		Args: unknownCommand,
		RunE: showHelp,
	}
	c.AddCommand(newKeyNew(a), newKeySign(a), newKeyVerify(a))
	return c
}

// newKeyAnswer is the JSON of key new.
type newKeyAnswer struct {
	V         int    `json:"v"`
	KeyID     string `json:"key_id"`
	PublicKey string `json:"public_key"`
	Secret    string `json:"secret_file"`
	Public    string `json:"public_file"`
	Protected bool   `json:"protected"` // by a password
}

// signedFile is a signature in the JSON of key sign and key verify.
type signedFile struct {
	File      string     `json:"file"`
	Signature string     `json:"signature"` // path
	KeyID     string     `json:"key_id"`
	Digest    string     `json:"digest"`
	Plugin    string     `json:"plugin,omitempty"`
	Host      string     `json:"host_build,omitempty"` // "any", or the build ID of the only host that it is for
	Sequence  uint64     `json:"sequence"`
	Time      *time.Time `json:"time,omitempty"`
	Expires   *time.Time `json:"expires,omitempty"`
}

type signatures struct {
	V          int          `json:"v"`
	Signatures []signedFile `json:"signatures"`
}

func newKeyNew(a *app) *cobra.Command {
	var out string
	var protect bool
	c := &cobra.Command{
		Use:   "new",
		Short: "Make a key",
		Long: `Make a key: a secret file that only you can read, and beside it the public key,
with .pub behind the name. stdout: the public key, for hosts to trust. What exists
is not overwritten.

Without --password whoever can read the secret file can sign. With it, the password
comes from HOTGO_KEY_PASSWORD, or is asked for.`,
		Example: `  hotgo key new
  hotgo key new --out deploy.key --password`,
		Args: args(cobra.NoArgs),
		RunE: a.verb(func(ctx context.Context, s *session, _ []string) error {
			return s.newKey(ctx, out, protect)
		}),
	}
	c.Flags().StringVar(&out, "out", "", "`file` for the secret key (default: hotgo/key in the user's configuration directory)")
	c.Flags().BoolVar(&protect, "password", false, "protect it with a password")
	return c
}

func (s *session) newKey(ctx context.Context, out string, protect bool) error {
	if out == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return &usageError{msg: "there is no place for keys: " + err.Error(), next: "hotgo key new --out FILE"}
		}
		out = filepath.Join(dir, "hotgo", "key")
		if err := os.MkdirAll(filepath.Dir(out), 0o700); err != nil {
			return fmt.Errorf("make a directory for keys: %w", err)
		}
	}
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	var password []byte
	if protect {
		if password, err = s.newPassword(ctx); err != nil {
			return err
		}
	}
	key, err := builder.NewSigningKey()
	if err != nil {
		return err
	}
	public, err := key.Write(out, password)
	if err != nil {
		return err
	}
	if !s.cfg.Quiet {
		s.say("secret key in %s, public key in %s", s.short(out), s.short(public))
		if !protect {
			s.say("no password protects it: whoever can read the file can sign")
		}
	}
	answer := newKeyAnswer{V: 1, KeyID: key.ID(), PublicKey: key.Public(), Secret: out, Public: public, Protected: protect}
	return s.print(answer, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, key.Public())
		return err
	})
}

// newPassword asks twice, where it has to ask.
func (s *session) newPassword(ctx context.Context) ([]byte, error) {
	word, err := s.password(ctx, "password")
	if err != nil {
		return nil, &builder.KeyError{Message: "the key cannot be protected", Err: err, Next: "set " + passwordVariable}
	}
	if len(word) == 0 {
		return nil, &usageError{msg: "the password is empty", next: "hotgo key new, for a key without one"}
	}
	if os.Getenv(passwordVariable) != "" {
		return word, nil
	}
	again, err := s.password(ctx, "password, once more")
	if err == nil && !bytes.Equal(word, again) {
		err = &usageError{msg: "the two passwords differ", next: "hotgo key new --password"}
	}
	return word, err
}

func newKeySign(a *app) *cobra.Command {
	var expires, plugin string
	var sequence uint64
	c := &cobra.Command{
		Use:   "sign FILE...",
		Short: "Sign artifacts, or any files",
		Long: `Sign artifacts, or any files, with the key of --sign-key. The signature of FILE is
in FILE.minisig, where hotgo push finds it; minisign -V checks it. stdout: the path
of one signature a line.

A host refuses what has a lower sequence than it has taken of a plugin. The
sequence is the time of signing, unless --sequence counts something else: the runs
of a pipeline, say. Then let everything that signs for a plugin count the same.

An artifact of hotgo's says which plugin it is. --plugin says it of others, and hosts
believe that: without it they go by what the file exports.`,
		Example: `  hotgo key sign --sign-key deploy.key greet-3fa91c0d2b7e.so
  hotgo key sign --sign-key deploy.key --expires 72h greet-3fa91c0d2b7e.so`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: a.verb(func(ctx context.Context, s *session, files []string) error {
			opt := builder.SignOptions{Sequence: sequence, Plugin: plugin}
			var err error
			if opt.Expires, err = expiry(expires, time.Now()); err != nil {
				return err
			}
			return s.keySign(ctx, files, opt)
		}),
	}
	config.Register(c.Flags(), config.Sign)
	c.Flags().StringVar(&expires, "expires", "", "`when` hosts stop taking it: after a time such as 72h, or at one such as 2027-01-31T00:00:00Z (default: never)")
	c.Flags().StringVar(&plugin, "plugin", "", "`name` of the plugin that a file is which hotgo did not build")
	c.Flags().Uint64Var(&sequence, "sequence", 0, "`number` that orders signatures (default: the time in nanoseconds)")
	return c
}

// expiry reads a duration from now, or a time.
func expiry(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return now.Add(d), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil && at.After(now) {
		return at, nil
	}
	return time.Time{}, &usageError{msg: "--expires is a time from now on such as 72h, or one to come such as 2027-01-31T00:00:00Z, not " + quote(text), next: "hotgo key sign --help"}
}

func (s *session) keySign(ctx context.Context, files []string, opt builder.SignOptions) error {
	if s.cfg.SignKey == "" {
		return &usageError{msg: "there is no key to sign with", next: "hotgo key sign --sign-key FILE " + strings.Join(files, " ")}
	}
	k, err := s.signer(ctx)
	if err != nil {
		return err
	}
	answer := signatures{V: 1, Signatures: []signedFile{}}
	var errs []error
	for _, file := range files {
		sig, err := k.key.Sign(file, opt)
		var path string
		if err == nil {
			path, err = sig.WriteFile(file)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		answer.Signatures = append(answer.Signatures, signed(file, sig))
		if s.json() {
			continue
		}
		if _, err := fmt.Fprintln(s.stdio.Out, path); err != nil {
			return err
		}
	}
	return s.signatures(answer, errs)
}

func newKeyVerify(a *app) *cobra.Command {
	var keys []string
	c := &cobra.Command{
		Use:   "verify FILE... --key PUBLIC",
		Short: "Verify the signatures of files",
		Long: `Verify FILE against FILE.minisig. --key is a public key, as hotgo key new prints it,
or a file with one; of several, any may have signed. stdout: who signed what, a file
a line. Exit code 8: one of them is not what the key's owner signed.`,
		Example: `  hotgo key verify --key deploy.key.pub greet-3fa91c0d2b7e.so`,
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: a.verb(func(_ context.Context, s *session, files []string) error {
			return s.keyVerify(files, keys)
		}),
	}
	c.Flags().StringArrayVar(&keys, "key", nil, "`public` key, or a file with one; repeatable")
	return c
}

func (s *session) keyVerify(files, keys []string) error {
	if len(keys) == 0 {
		return &usageError{msg: "whose signature should it be?", next: "hotgo key verify --key PUBLIC " + strings.Join(files, " ")}
	}
	for i, key := range keys {
		if text, err := os.ReadFile(key); err == nil {
			keys[i] = string(text)
		}
	}
	answer := signatures{V: 1, Signatures: []signedFile{}}
	var errs []error
	for _, file := range files {
		sig, err := builder.VerifySignature(file, keys)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		one := signed(file, sig)
		answer.Signatures = append(answer.Signatures, one)
		if s.json() {
			continue
		}
		if _, err := fmt.Fprintln(s.stdio.Out, ui.Clean(one.String())); err != nil {
			return err
		}
	}
	return s.signatures(answer, errs)
}

// signatures writes what is good, also where other files are not, and gives what is
// not.
func (s *session) signatures(answer signatures, errs []error) error {
	if s.json() && (len(answer.Signatures) > 0 || errs == nil) {
		if err := ui.JSON(s.stdio.Out, answer); err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// signed describes a signature.
func signed(file string, sig *builder.Signature) signedFile {
	f := signedFile{
		File: file, Signature: file + builder.SignatureSuffix, KeyID: sig.KeyID, Digest: sig.Digest,
		Plugin: sig.Plugin, Host: sig.Host, Sequence: sig.Sequence,
	}
	if !sig.Time.IsZero() {
		at := sig.Time.UTC().Truncate(time.Second)
		f.Time = &at
	}
	if !sig.Expires.IsZero() {
		at := sig.Expires.UTC()
		f.Expires = &at
	}
	return f
}

// String gives one line for people.
func (f signedFile) String() string {
	s := f.File + ": signed by " + f.KeyID
	if f.Time != nil {
		s += " at " + f.Time.Format(time.RFC3339)
	}
	if f.Plugin != "" {
		s += ", plugin " + f.Plugin + " for host " + f.Host
	}
	s += fmt.Sprintf(", sequence %d", f.Sequence)
	if f.Expires != nil {
		s += ", expires " + f.Expires.Format(time.RFC3339)
	}
	return s
}
