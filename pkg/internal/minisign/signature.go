package minisign

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/blake2b"
)

// What is wrong with a signature that can be read.
var (
	ErrOtherKey = errors.New("it was made with another key")
	ErrFile     = errors.New("it is not of these bytes")
	ErrComment  = errors.New("its trusted comment was changed")
)

// Signature is a signature file. None of it is to be believed before
// [Signature.Verify].
type Signature struct {
	KeyID   KeyID
	Hashed  bool   // it is of the file's hash; else of the file, as minisign made it before 0.10
	Comment string // the trusted one

	file, comment [ed25519.SignatureSize]byte
}

// ParseSignature reads the text of a signature file.
func ParseSignature(text string) (*Signature, error) {
	s, err := parseSignature(text)
	if err != nil {
		return nil, fmt.Errorf("parse signature: %w", err)
	}
	return s, nil
}

func parseSignature(text string) (*Signature, error) {
	lines, err := split(text)
	if err != nil {
		return nil, err
	}
	if len(lines) != 4 {
		return nil, fmt.Errorf("%d lines, want 4", len(lines))
	}
	comment, ok := strings.CutPrefix(lines[2], trusted)
	if !ok || !strings.HasPrefix(lines[0], untrusted) {
		return nil, fmt.Errorf("lines 1 and 3 do not begin with %q and %q", untrusted, trusted)
	}
	file, err := decode(lines[1], 2+len(KeyID{})+ed25519.SignatureSize)
	if err != nil {
		return nil, err
	}
	global, err := decode(lines[3], ed25519.SignatureSize)
	if err != nil {
		return nil, err
	}
	s := &Signature{KeyID: KeyID(file[2:10]), Comment: comment, file: [ed25519.SignatureSize]byte(file[10:]), comment: [ed25519.SignatureSize]byte(global)}
	switch string(file[:2]) {
	case legacy:
	case hashed:
		s.Hashed = true
	default:
		return nil, fmt.Errorf("it is of algorithm %q", file[:2])
	}
	return s, nil
}

// Verify checks that k signed what r has to its end, and the trusted comment.
// Where the signature is not Hashed, that is read into memory.
//
// Errors: [ErrOtherKey], before anything is read; [ErrFile]; [ErrComment]; those
// of r.
func (s *Signature) Verify(k PublicKey, r io.Reader) error {
	if k.ID != s.KeyID {
		return ErrOtherKey
	}
	message, err := s.message(r)
	if err != nil {
		return fmt.Errorf("verify signature: %w", err)
	}
	if !ed25519.Verify(k.key[:], message, s.file[:]) {
		return ErrFile
	}
	if !ed25519.Verify(k.key[:], s.commented(), s.comment[:]) {
		return ErrComment
	}
	return nil
}

// message gives what is signed of a file.
func (s *Signature) message(r io.Reader) ([]byte, error) {
	if !s.Hashed {
		return io.ReadAll(r)
	}
	h := blake2b.New(blake2b.Size)
	if _, err := io.Copy(h, r); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

// commented is what the second signature is of.
func (s *Signature) commented() []byte { return append(s.file[:len(s.file):len(s.file)], s.Comment...) }

// String gives the text of the signature file.
func (s *Signature) String() string {
	algorithm := legacy
	if s.Hashed {
		algorithm = hashed
	}
	file := append(append([]byte(algorithm), s.KeyID[:]...), s.file[:]...)
	return untrusted + "signature of hotgo, key " + s.KeyID.String() + "\n" +
		base64.StdEncoding.EncodeToString(file) + "\n" +
		trusted + s.Comment + "\n" +
		base64.StdEncoding.EncodeToString(s.comment[:]) + "\n"
}
