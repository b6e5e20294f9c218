package blake2b

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// The example of RFC 7693, appendix A, and what b2sum of coreutils gives.
func TestHashesAreThoseOfTheStandard(t *testing.T) {
	for _, c := range []struct {
		text string
		want string
	}{
		{"abc", "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"},
		{"", "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419d25e1031afee585313896444934eb04b903a685b1448b755d56f701afe9be2ce"},
		{"The quick brown fox jumps over the lazy dog", "a8add4bdddfd93e4877d2746e62817b116364a1fa7bc148d95090bc7333b3673f82401cf7aa2e4cb1ecd90296e3f14cb5413f8ed77be73045b13914cdcd6a918"},
	} {
		if got := Sum512([]byte(c.text)); hex.EncodeToString(got[:]) != c.want {
			t.Errorf("hash of %q is %x, want %s", c.text, got, c.want)
		}
	}
}

// TestEverySizeAndLengthAsElsewhere follows the self-test of RFC 7693, appendix E,
// without its half with keys: a hash over hashes of four sizes and of lengths
// around that of a block. The result is that of Python's hashlib.
func TestEverySizeAndLengthAsElsewhere(t *testing.T) {
	grand := New(32)
	for _, size := range []int{20, 32, 48, 64} {
		for _, length := range []int{0, 3, 128, 129, 255, 1024, 127, 256, 257, 65536} {
			in := sequence(length)
			h := New(size)
			h.Write(in)
			sum := h.Sum(nil)
			grand.Write(sum)

			pieces := New(size)
			for rest := in; len(rest) > 0; {
				n := min(len(rest), 1+len(rest)%131)
				pieces.Write(rest[:n])
				pieces.Sum(nil) // leaves the state as it is
				rest = rest[n:]
			}
			if got := pieces.Sum(nil); !bytes.Equal(got, sum) || len(got) != size || h.Size() != size {
				t.Errorf("size %d, length %d: in pieces %x, at once %x", size, length, got, sum)
			}
		}
	}
	const want = "a6305f78c570175f3a26a42ee66758774cfb401ca951ed62ad52fc43a5faf7b1"
	if got := hex.EncodeToString(grand.Sum(nil)); got != want {
		t.Errorf("hash of the hashes is %s, want %s", got, want)
	}
}

// sequence is the input of the standard's self-test, seeded with its length.
func sequence(length int) []byte {
	a, b := 0xDEAD4BAD*uint32(length), uint32(1)
	out := make([]byte, length)
	for i := range out {
		a, b = b, a+b
		out[i] = byte(b >> 24)
	}
	return out
}

func BenchmarkMegabyte(b *testing.B) {
	in := sequence(1 << 20)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		Sum512(in)
	}
}
