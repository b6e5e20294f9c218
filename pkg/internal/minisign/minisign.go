// Package minisign signs and verifies in the format of minisign
// (https://jedisct1.github.io/minisign), so that either tool can check what the
// other signed.
//
// A key is 32 bytes of ed25519 and an id of eight random bytes, which says which
// key to try and proves nothing. A signature file has four lines:
//
//	untrusted comment: whatever
//	base64(algorithm, key id, signature of the file)
//	trusted comment: whatever
//	base64(signature of the first signature and the trusted comment)
//
// The second signature ties the comment to the file. Algorithm "ED" signs the
// BLAKE2b-512 of the file, the older "Ed" the file itself, which then has to be
// in memory as a whole. What hotgo writes in the trusted comment is in claims.go.
//
// Nothing here is secret but secret keys, so nothing takes care of the time that
// it takes. The package imports the standard library alone: hosts have it.
package minisign

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Suffix is what the name of a signature file has behind that of the file that it
// signs.
const Suffix = ".minisig"

const (
	legacy = "Ed" // signs the file, and is what keys say of themselves
	hashed = "ED" // signs the file's BLAKE2b-512

	untrusted = "untrusted comment: "
	trusted   = "trusted comment: "

	// MaxFile bounds the text of a signature or key: minisign 0.11 writes
	// comments of up to 9 KB, hotgo's have some hundred bytes.
	MaxFile = 8 << 10
)

// KeyID names a key.
type KeyID [8]byte

// String gives the id as minisign prints it.
func (id KeyID) String() string { return fmt.Sprintf("%X", binary.LittleEndian.Uint64(id[:])) }

// PublicKey verifies. It is comparable.
type PublicKey struct {
	ID  KeyID
	key [ed25519.PublicKeySize]byte
}

// ParsePublicKey reads a key: the line of base64 that minisign's -P takes, or
// the whole text of a .pub file.
func ParsePublicKey(text string) (PublicKey, error) {
	lines, err := split(text)
	if err != nil {
		return PublicKey{}, fmt.Errorf("parse public key: %w", err)
	}
	if len(lines) == 2 && strings.HasPrefix(lines[0], untrusted) {
		lines = lines[1:]
	}
	if len(lines) != 1 {
		return PublicKey{}, fmt.Errorf("parse public key: %d lines, want one of base64, or a comment and one of base64", len(lines))
	}
	b, err := decode(lines[0], 2+len(KeyID{})+ed25519.PublicKeySize)
	switch {
	case err != nil:
		return PublicKey{}, fmt.Errorf("parse public key: %w", err)
	case string(b[:2]) != legacy:
		return PublicKey{}, fmt.Errorf("parse public key: it is for algorithm %q, want %q", b[:2], legacy)
	}
	return PublicKey{ID: KeyID(b[2:10]), key: [ed25519.PublicKeySize]byte(b[10:])}, nil
}

// String gives the key as a line of base64.
func (k PublicKey) String() string {
	return base64.StdEncoding.EncodeToString(bytes.Join([][]byte{[]byte(legacy), k.ID[:], k.key[:]}, nil))
}

// File gives the text of a .pub file.
func (k PublicKey) File() string {
	return untrusted + "minisign public key " + k.ID.String() + "\n" + k.String() + "\n"
}

// split gives the lines of a text that is short and printable. Windows may have
// ended them.
func split(text string) ([]string, error) {
	switch {
	case len(text) > MaxFile:
		return nil, fmt.Errorf("%d bytes: %d are the limit", len(text), MaxFile)
	case !utf8.ValidString(text):
		return nil, errors.New("not UTF-8")
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
		if err := printable(lines[i]); err != nil {
			return nil, fmt.Errorf("line %d has %w", i+1, err)
		}
	}
	return lines, nil
}

// printable refuses what would say something else on a terminal than it says.
func printable(line string) error {
	for _, r := range line {
		if r != '\t' && !unicode.IsPrint(r) {
			return fmt.Errorf("the character %U in it", r)
		}
	}
	return nil
}

// decode reads a line of base64 for that many bytes.
func decode(line string, size int) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(line)
	if err != nil {
		return nil, fmt.Errorf("%.20q is not base64: %w", line, err)
	}
	if len(b) != size {
		return nil, fmt.Errorf("%d bytes of base64, want %d", len(b), size)
	}
	return b, nil
}
