package builder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/crypto/scrypt"

	"github.com/hotgo/hotgo/pkg/internal/minisign"
)

// PublicSuffix is what the name of a public key's file has behind that of the
// secret one.
const PublicSuffix = ".pub"

// SigningKey signs artifacts. It may be used concurrently.
type SigningKey struct {
	// Warning says what is unsafe about the file that it was read from; "" where
	// nothing is.
	Warning string

	secret minisign.SecretKey
}

// Password gives a key's password when it is needed. It may ask somebody.
type Password func() ([]byte, error)

// KeyError says that a key cannot be used, or not in that way.
type KeyError struct {
	Path    string // "" where it is no file
	Message string
	Next    string // what to do; may be ""
	Err     error  // cause; may be nil
}

// Error names the key's file.
func (e *KeyError) Error() string {
	s := e.Message
	if e.Path != "" {
		s = e.Path + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *KeyError) Unwrap() error { return e.Err }

// NewSigningKey makes a key. It is nowhere but in memory until [SigningKey.Write].
func NewSigningKey() (*SigningKey, error) {
	k, err := minisign.GenerateKey()
	if err != nil {
		return nil, err
	}
	return &SigningKey{secret: k}, nil
}

// ID names the key, in signatures as well.
func (k *SigningKey) ID() string { return k.secret.ID.String() }

// Public gives the public key as one line of base64, for Options.TrustedKeys of
// hosts and minisign -P.
func (k *SigningKey) Public() string { return k.secret.Public().String() }

// Write creates path, for this user alone, with the secret key, and path.pub with
// the public one, and gives that path. A password protects the secret key; nil
// does not. What is there already stays.
//
// Errors: *KeyError.
func (k *SigningKey) Write(path string, password []byte) (public string, err error) {
	var seal minisign.Seal
	if password != nil {
		seal = sealWith(password)
	}
	text, err := k.secret.File(seal, scryptOperations, scryptMemory)
	if err != nil {
		return "", &KeyError{Path: path, Message: "the key cannot be encrypted", Err: err}
	}
	public = path + PublicSuffix
	if err := createKeyFile(public, k.secret.Public().File(), 0o644); err != nil {
		return "", err
	}
	if err := createKeyFile(path, text, 0o600); err != nil {
		return "", errors.Join(err, os.Remove(public))
	}
	return public, nil
}

// createKeyFile creates a file, whole or not at all.
func createKeyFile(path, text string, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return &KeyError{Path: path, Message: "it exists, and a key that is overwritten is lost", Next: "hotgo key new --out ANOTHER"}
	}
	if err == nil {
		_, err = f.WriteString(text)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}
	if err != nil {
		return &KeyError{Path: path, Message: "the key cannot be written", Err: err}
	}
	return nil
}

// ReadSigningKey reads a secret key of hotgo's or minisign's. password is asked
// where one protects it; of a key that minisign encrypted, opening takes seconds
// and a gigabyte of memory, as there.
//
// Errors: *KeyError.
func ReadSigningKey(path string, password Password) (*SigningKey, error) {
	fail := func(message, next string, err error) (*SigningKey, error) {
		return nil, &KeyError{Path: path, Message: message, Next: next, Err: err}
	}
	f, err := os.Open(path)
	if err != nil {
		return fail("the key cannot be read", "hotgo key new --out "+path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	var b []byte
	if err == nil {
		b, err = io.ReadAll(io.LimitReader(f, minisign.MaxFile+1))
	}
	if err != nil {
		return fail("the key cannot be read", "", err)
	}
	k := &SigningKey{}
	k.secret, err = minisign.ParseSecretKey(string(b), func(salt []byte, operations, memory uint64) ([]byte, error) {
		word, err := password()
		if err != nil {
			return nil, err
		}
		return sealWith(word)(salt, operations, memory)
	})
	if err != nil {
		return fail("this is no secret key that can be used", "", err)
	}
	// Of a symbolic link this is what it leads to. Windows has no such modes.
	if perm := info.Mode().Perm(); perm&0o077 != 0 && runtime.GOOS != "windows" {
		k.Warning = fmt.Sprintf("others may read the secret key %s (mode %04o): chmod 600 %s", path, perm, filepath.Clean(path))
	}
	return k, nil
}

// What a password of a new key costs: N = 2^17, r = 8, p = 1, which is 128 MB and
// part of a second each time that somebody pushes. minisign's own keys take eight
// times as much.
const (
	scryptOperations = 1 << 22
	scryptMemory     = 1 << 27
)

// sealWith is scrypt with a password.
func sealWith(password []byte) minisign.Seal {
	return func(salt []byte, operations, memory uint64) ([]byte, error) {
		n, r, p, err := scryptCost(operations, memory)
		if err != nil {
			return nil, err
		}
		return scrypt.Key(password, salt, n, r, p, minisign.SealSize)
	}
}

// scryptCost turns libsodium's limits into scrypt's parameters as libsodium does
// (crypto_pwhash_scryptsalsa208sha256.c, pickparams). What is far above
// minisign's is refused: the file is damaged, and would take all memory.
func scryptCost(operations, memory uint64) (n, r, p int, err error) {
	const (
		blocks                            = 8 // r
		mostOperations, mostMemory uint64 = 1 << 27, 1 << 32
	)
	if operations > mostOperations || memory > mostMemory {
		return 0, 0, 0, fmt.Errorf("its password would take %d operations and %d bytes of memory", operations, memory)
	}
	operations = max(operations, 1<<15)
	if operations < memory/32 {
		return power(operations / (blocks * 4)), blocks, 1, nil
	}
	n = power(memory / (blocks * 128))
	return n, blocks, max(1, int(operations/4/uint64(n)/blocks)), nil
}

// power gives the largest power of two up to limit, at least 2.
func power(limit uint64) int { return 1 << max(1, bits.Len64(limit)-1) }
