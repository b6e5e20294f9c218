package builder

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/internal/minisign"
)

// SignatureSuffix is what the name of a signature file has behind that of the file
// that it is of.
const SignatureSuffix = minisign.Suffix

// SignOptions refine a signature. The zero value signs what is there now, for
// good.
type SignOptions struct {
	// Sequence orders what is signed of one plugin: hosts refuse what has a lower
	// one than they have taken. 0 is the time in nanoseconds since 1970.
	Sequence uint64
	// Expires ends it, by the host's clock; the zero value is never. Fractions of
	// a second are dropped.
	Expires time.Time
	// Digest is what the file must have, "sha256:…"; "" signs whatever is there.
	Digest string
	// Plugin is which plugin a file is that hotgo did not build: a host that
	// trusts the key then takes it for no other. An artifact that hotgo built has
	// to be that one.
	Plugin string
}

// Signature is what somebody signed.
type Signature struct {
	Text     string // of the signature file; minisign reads it
	KeyID    string
	Digest   string    // of the file, "sha256:…"
	Plugin   string    // "" where the file is no artifact of hotgo's, or the signature does not say
	Host     string    // build ID of the only host that it is for, "any", or "" as for Plugin
	Time     time.Time // of signing; the zero value where it does not say
	Sequence uint64
	Expires  time.Time // the zero value is never
}

// SignatureError says that a signature does not do, or that a file is not the one
// that was to be signed.
type SignatureError struct {
	Path     string
	Message  string
	Evidence []Mismatch // Host is what is wanted
	Limit    string     // who sets the limit
	Next     string     // what to do
	Err      error      // cause; may be nil
}

// Error names the file and what is wrong.
func (e *SignatureError) Error() string {
	s := e.Path + ": " + e.Message
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *SignatureError) Unwrap() error { return e.Err }

// Sign signs the file at path, in the form that minisign -V and hosts with trusted
// keys take. Of an artifact the signature names the plugin and the host that it
// was built for.
//
// Errors: *SignatureError where the file does not have o.Digest or is another
// plugin; *KeyError where o.Plugin is no name; those of reading it.
func (k *SigningKey) Sign(path string, o SignOptions) (*Signature, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	now := time.Now()
	c := minisign.Claims{
		Time: now, File: filepath.Base(path), Expires: o.Expires.Truncate(time.Second),
		Sequence: cmp.Or(o.Sequence, uint64(now.UnixNano())),
	}
	switch m, err := artifact.Read(f, fi.Size()); {
	case err == nil && o.Plugin != "" && o.Plugin != m.Plugin:
		return nil, &SignatureError{
			Path: path, Message: "it is not signed: it was built as another plugin",
			Evidence: []Mismatch{{What: "plugin", Host: o.Plugin, Artifact: m.Plugin}}, Limit: "hotgo", Next: "hotgo key sign " + path,
		}
	case err == nil:
		c.Plugin, c.Host = m.Plugin, cmp.Or(m.HostBuild, minisign.AnyHost)
	case !errors.Is(err, artifact.ErrNoManifest):
		return nil, &SignatureError{Path: path, Message: "it is not signed", Limit: "hotgo", Next: "hotgo build", Err: err}
	case o.Plugin != "":
		if err := artifact.ValidName(o.Plugin); err != nil {
			return nil, &KeyError{Message: "nothing is signed", Next: "hotgo key sign --plugin NAME " + path, Err: err}
		}
		c.Plugin, c.Host = o.Plugin, minisign.AnyHost
	}
	// The digest is of the very bytes that are signed.
	sum := sha256.New()
	sig, err := k.secret.Sign(io.TeeReader(f, sum), c.Comment())
	if err != nil {
		return nil, fmt.Errorf("sign %s: %w", path, err)
	}
	digest := "sha256:" + hex.EncodeToString(sum.Sum(nil))
	if o.Digest != "" && o.Digest != digest {
		return nil, &SignatureError{
			Path: path, Message: "it is not signed: it was changed after it was built",
			Evidence: []Mismatch{{What: "digest", Host: o.Digest, Artifact: digest}}, Limit: "hotgo", Next: "build it again",
		}
	}
	return signatureOf(sig, c, digest), nil
}

func signatureOf(sig *minisign.Signature, c minisign.Claims, digest string) *Signature {
	return &Signature{
		Text: sig.String(), KeyID: sig.KeyID.String(), Digest: digest,
		Plugin: c.Plugin, Host: c.Host, Time: c.Time, Sequence: c.Sequence, Expires: c.Expires,
	}
}

// WriteFile puts the signature beside the file at path and gives its own path. An
// earlier signature is replaced at once: readers see the one or the other.
func (s *Signature) WriteFile(path string) (string, error) {
	path += SignatureSuffix
	f, err := os.CreateTemp(filepath.Dir(path), ".minisig-*")
	if err != nil {
		return "", fmt.Errorf("write signature: %w", err)
	}
	_, err = f.WriteString(s.Text)
	// Signatures are public, and who loads may be another user.
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return "", fmt.Errorf("write signature: %w", err)
	}
	return path, nil
}

// ReadSignature gives the text of the signature beside the file at path; "" where
// there is none. Whether it does is for who trusts keys to check.
//
// Errors: those of reading it, and one for a file that is too long for a signature.
func ReadSignature(path string) (string, error) {
	path += SignatureSuffix
	// Looked at before it is opened, for opening a named pipe waits for a writer.
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return "", fmt.Errorf("read signature: %s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read signature: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, minisign.MaxFile+1))
	if err != nil {
		return "", fmt.Errorf("read signature: %w", err)
	}
	if len(b) > minisign.MaxFile {
		return "", &SignatureError{Path: f.Name(), Message: fmt.Sprintf("it has more than %d bytes, which no signature has", minisign.MaxFile), Limit: "hotgo", Next: "hotgo key sign " + strings.TrimSuffix(path, SignatureSuffix)}
	}
	return string(b), nil
}

// VerifySignature checks the file at path against the signature beside it, which
// one of the public keys must have made: lines of base64, or texts of .pub files.
// It checks what can be told here; a host also knows what it has taken already.
// An expired signature is given together with the error.
//
// Errors: *SignatureError; those of reading the two; *KeyError for a key.
func VerifySignature(path string, keys []string) (*Signature, error) {
	var trusted []minisign.PublicKey
	var ids []string
	for _, text := range keys {
		k, err := minisign.ParsePublicKey(text)
		if err != nil {
			return nil, &KeyError{Message: "this is no public key", Err: err}
		}
		trusted, ids = append(trusted, k), append(ids, k.ID.String())
	}
	next := "get the file and its signature again from whoever signed it"
	refuse := func(message string, err error, evidence ...Mismatch) (*Signature, error) {
		return nil, &SignatureError{Path: path, Message: message, Evidence: evidence, Limit: "the keys that were given", Next: next, Err: err}
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("verify signature: %w", err)
	}
	text, err := ReadSignature(path)
	switch {
	case err != nil:
		return nil, err
	case text == "":
		next = "hotgo key sign " + path
		return refuse("it is not signed: there is no "+filepath.Base(path)+SignatureSuffix, nil)
	}
	sig, err := minisign.ParseSignature(text)
	if err != nil {
		return refuse("its signature cannot be read", err)
	}
	key := Mismatch{What: "key", Host: strings.Join(ids, " or "), Artifact: sig.KeyID.String()}
	if !slices.Contains(ids, sig.KeyID.String()) {
		return refuse("it is signed with another key", nil, key)
	}
	if !sig.Hashed {
		next = "hotgo key sign " + path
		return refuse("its signature is of minisign's old form, which signs the file instead of its hash; no host takes it", nil, key)
	}
	digest, m, err := verifyBytes(path, sig, trusted)
	switch {
	case errors.Is(err, minisign.ErrFile):
		return refuse("the signature is not of this file: one of the two was changed", nil, key, Mismatch{What: "digest", Artifact: digest})
	case errors.Is(err, minisign.ErrComment):
		return refuse("what the signature claims was changed after it was made", nil, key)
	case err != nil:
		return nil, err
	}
	c, err := minisign.ParseClaims(sig.Comment)
	if err != nil {
		// minisign takes any comment. Hosts do not.
		return refuse("the signature is good, but does not say when it was made; no host takes it", err)
	}
	if m != nil && c.Plugin != "" && c.Plugin != m.Plugin {
		return refuse("the signature is for another plugin", nil, Mismatch{What: "plugin", Host: c.Plugin, Artifact: m.Plugin})
	}
	if m != nil {
		if build := cmp.Or(m.HostBuild, minisign.AnyHost); c.Host != "" && c.Host != build {
			return refuse("the signature is for another build of the host", nil, Mismatch{What: "host build", Host: c.Host, Artifact: build})
		}
	}
	out := signatureOf(sig, c, digest)
	out.Text = text
	if now := time.Now(); !c.Expires.IsZero() && !now.Before(c.Expires) {
		_, err := refuse("its signature has expired", nil, Mismatch{What: "expires", Host: "now " + now.UTC().Format(time.RFC3339), Artifact: c.Expires.Format(time.RFC3339)})
		return out, err
	}
	return out, nil
}

// verifyBytes gives the file's digest, and its manifest where it has one.
func verifyBytes(path string, sig *minisign.Signature, keys []minisign.PublicKey) (digest string, m *artifact.Manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", nil, fmt.Errorf("verify signature: %w", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return "", nil, fmt.Errorf("verify signature: %w", err)
	}
	err = minisign.ErrOtherKey
	for _, k := range keys {
		if k.ID != sig.KeyID {
			continue
		}
		sum := sha256.New()
		err = sig.Verify(k, io.TeeReader(io.NewSectionReader(f, 0, fi.Size()), sum))
		digest = "sha256:" + hex.EncodeToString(sum.Sum(nil))
		if err == nil {
			break
		}
	}
	if read, readErr := artifact.Read(f, fi.Size()); readErr == nil {
		m = &read
	}
	return digest, m, err
}
