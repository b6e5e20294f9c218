package minisign

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/blake2b"
)

// A secret key's file has a comment and base64 of this, numbers in little
// endian, of minisign 0.11:
//
//	"Ed" · "Sc" or zeros · "B2" · salt (32) · operations (8) · memory (8)
//	key id (8) · seed and public key (64) · checksum (32)
//
// With "Sc" the second line is xored with what scrypt makes of the password, and
// the checksum, BLAKE2b-256 of "Ed", id and key, tells a wrong password. Without,
// all but the key is zero (minisign -G -W).
const (
	scryptKDF = "Sc"
	checksum  = "B2"
	saltSize  = 32
	keyAt     = 2 + 2 + 2 + saltSize + 8 + 8
	sumSize   = 32
	// SealSize is how many bytes a [Seal] gives.
	SealSize = len(KeyID{}) + ed25519.PrivateKeySize + sumSize
)

// ErrPassword says that a password does not open a key, or that the key's file
// is damaged: the two cannot be told apart.
var ErrPassword = errors.New("wrong password, or a damaged key")

// SecretKey signs.
type SecretKey struct {
	ID  KeyID
	key ed25519.PrivateKey
}

// Seal gives [SealSize] bytes that scrypt makes of a password, with the limits of
// libsodium's crypto_pwhash_scryptsalsa208sha256. It belongs to who has scrypt:
// the standard library does not.
type Seal func(salt []byte, operations, memory uint64) ([]byte, error)

// GenerateKey makes a key.
func GenerateKey() (SecretKey, error) {
	var k SecretKey
	var err error
	if _, k.key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		return SecretKey{}, fmt.Errorf("generate key: %w", err)
	}
	_, _ = rand.Read(k.ID[:]) // never fails (crypto/rand, Go 1.24)
	return k, nil
}

// Public gives the key that verifies what k signs.
func (k SecretKey) Public() PublicKey {
	return PublicKey{ID: k.ID, key: [ed25519.PublicKeySize]byte(k.key[ed25519.SeedSize:])}
}

// Sign signs the hash of what r has to its end, and a trusted comment.
func (k SecretKey) Sign(r io.Reader, comment string) (*Signature, error) {
	s := &Signature{KeyID: k.ID, Hashed: true, Comment: comment}
	if err := printable(comment); err != nil {
		return nil, fmt.Errorf("sign: the comment has %w", err)
	}
	message, err := s.message(r)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	s.file = [ed25519.SignatureSize]byte(ed25519.Sign(k.key, message))
	s.comment = [ed25519.SignatureSize]byte(ed25519.Sign(k.key, s.commented()))
	if text := s.String(); len(text) > MaxFile {
		return nil, fmt.Errorf("sign: the signature would have %d bytes: %d are the limit", len(text), MaxFile)
	}
	return s, nil
}

// File gives the text of the key's file. With a nil seal it is open to whoever
// can read it; otherwise the limits are what opening it will cost.
func (k SecretKey) File(seal Seal, operations, memory uint64) (string, error) {
	b := make([]byte, keyAt, keyAt+SealSize)
	copy(b, legacy)
	copy(b[4:], checksum)
	b = append(append(b, k.ID[:]...), k.key...)
	comment := "hotgo secret key " + k.ID.String()
	if seal == nil {
		b = append(b, make([]byte, sumSize)...)
		return untrusted + comment + "\n" + base64.StdEncoding.EncodeToString(b) + "\n", nil
	}
	copy(b[2:], scryptKDF)
	salt := b[6 : 6+saltSize]
	_, _ = rand.Read(salt)
	binary.LittleEndian.PutUint64(b[6+saltSize:], operations)
	binary.LittleEndian.PutUint64(b[6+saltSize+8:], memory)
	b = append(b, k.checksum()...)
	stream, err := seal(salt, operations, memory)
	if err != nil {
		return "", fmt.Errorf("encrypt key: %w", err)
	}
	xor(b[keyAt:], stream)
	return untrusted + comment + "\n" + base64.StdEncoding.EncodeToString(b) + "\n", nil
}

// ParseSecretKey reads a key's file. Unseal is called where a password protects
// it.
//
// Errors: [ErrPassword]; those of unseal; others say what is wrong with the file.
func ParseSecretKey(text string, unseal Seal) (SecretKey, error) {
	k, err := parseSecretKey(text, unseal)
	if err != nil {
		return SecretKey{}, fmt.Errorf("read secret key: %w", err)
	}
	return k, nil
}

func parseSecretKey(text string, unseal Seal) (SecretKey, error) {
	lines, err := split(text)
	if err != nil {
		return SecretKey{}, err
	}
	if len(lines) != 2 || !strings.HasPrefix(lines[0], untrusted) {
		return SecretKey{}, errors.New("it is not a comment and a line of base64")
	}
	b, err := decode(lines[1], keyAt+SealSize)
	if err != nil {
		return SecretKey{}, err
	}
	kdf := string(b[2:4])
	switch {
	case string(b[:2]) != legacy || string(b[4:6]) != checksum:
		return SecretKey{}, fmt.Errorf("it is for algorithms %q and %q, want %q and %q", b[:2], b[4:6], legacy, checksum)
	case kdf != scryptKDF && kdf != "\x00\x00":
		return SecretKey{}, fmt.Errorf("it is encrypted with %q, want %q", kdf, scryptKDF)
	}
	if kdf == scryptKDF {
		limits := b[6+saltSize : keyAt]
		stream, err := unseal(b[6:6+saltSize], binary.LittleEndian.Uint64(limits), binary.LittleEndian.Uint64(limits[8:]))
		if err != nil {
			return SecretKey{}, err
		}
		xor(b[keyAt:], stream)
	}
	k := SecretKey{ID: KeyID(b[keyAt : keyAt+8]), key: b[keyAt+8 : keyAt+8+ed25519.PrivateKeySize]}
	if kdf == scryptKDF && !bytes.Equal(k.checksum(), b[keyAt+8+ed25519.PrivateKeySize:]) {
		return SecretKey{}, ErrPassword
	}
	if !bytes.Equal(ed25519.NewKeyFromSeed(k.key.Seed()), k.key) {
		return SecretKey{}, errors.New("it is damaged: its two halves do not belong together")
	}
	return k, nil
}

func (k SecretKey) checksum() []byte {
	h := blake2b.New(sumSize)
	h.Write([]byte(legacy))
	h.Write(k.ID[:])
	h.Write(k.key)
	return h.Sum(nil)
}

func xor(b, stream []byte) {
	for i := range b {
		b[i] ^= stream[i]
	}
}
