// Package blake2b is BLAKE2b without a key (RFC 7693), which minisign hashes
// with. The standard library does not have it, and hosts import nothing else.
package blake2b

import (
	"encoding/binary"
	"fmt"
	"hash"
	"math/bits"
)

// Sizes in bytes.
const (
	Size      = 64 // of the longest hash
	BlockSize = 128
)

const rounds = 12

// The first 64 bits of the fractions of the square roots of the first eight
// primes, as in SHA-512 (RFC 7693, 2.6).
var initial = [8]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}

// The order of the message's words in each round; the last two are the first
// two again (RFC 7693, 2.7).
var sigma = [rounds][16]uint8{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
}

// digest is a hash under way. It keeps a full block back, because the last one
// is compressed differently and nobody knows which that is.
type digest struct {
	h    [8]uint64
	t    [2]uint64 // bytes compressed: low, high
	buf  [BlockSize]byte
	n    int // bytes in buf
	size int
}

// New gives a hash of size bytes, 1 to [Size]. It panics for any other size.
func New(size int) hash.Hash {
	if size < 1 || size > Size {
		panic(fmt.Sprintf("blake2b: a hash of %d bytes", size))
	}
	d := &digest{size: size}
	d.Reset()
	return d
}

// Sum512 gives the longest hash of b.
func Sum512(b []byte) (sum [Size]byte) {
	d := New(Size)
	d.Write(b)
	d.Sum(sum[:0])
	return sum
}

func (d *digest) Size() int { return d.size }

func (d *digest) BlockSize() int { return BlockSize }

func (d *digest) Reset() {
	d.h, d.t, d.n = initial, [2]uint64{}, 0
	d.h[0] ^= 0x01010000 ^ uint64(d.size) // depth 1, fan-out 1, no key, the size
}

// Write never fails.
func (d *digest) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if d.n == BlockSize {
			d.compress(d.buf[:], BlockSize, false)
			d.n = 0
		}
		// Whole blocks behind which there is more go in without a copy.
		for d.n == 0 && len(p) > BlockSize {
			d.compress(p[:BlockSize], BlockSize, false)
			p = p[BlockSize:]
		}
		n := copy(d.buf[d.n:], p)
		d.n, p = d.n+n, p[n:]
	}
	return written, nil
}

// Sum appends the hash of what was written; more may be written after it.
func (d *digest) Sum(b []byte) []byte {
	end := *d
	clear(end.buf[end.n:])
	end.compress(end.buf[:], uint64(end.n), true)
	var out [Size]byte
	for i, v := range end.h {
		binary.LittleEndian.PutUint64(out[8*i:], v)
	}
	return append(b, out[:d.size]...)
}

// compress is F of RFC 7693, 3.2; n is how many bytes of the block count.
func (d *digest) compress(block []byte, n uint64, last bool) {
	var carry uint64
	d.t[0], carry = bits.Add64(d.t[0], n, 0)
	d.t[1] += carry
	var m, v [16]uint64
	for i := range m {
		m[i] = binary.LittleEndian.Uint64(block[8*i:])
	}
	copy(v[:8], d.h[:])
	copy(v[8:], initial[:])
	v[12] ^= d.t[0]
	v[13] ^= d.t[1]
	if last {
		v[14] = ^v[14]
	}
	for i := range sigma {
		s := &sigma[i]
		v[0], v[4], v[8], v[12] = mix(v[0], v[4], v[8], v[12], m[s[0]&15], m[s[1]&15])
		v[1], v[5], v[9], v[13] = mix(v[1], v[5], v[9], v[13], m[s[2]&15], m[s[3]&15])
		v[2], v[6], v[10], v[14] = mix(v[2], v[6], v[10], v[14], m[s[4]&15], m[s[5]&15])
		v[3], v[7], v[11], v[15] = mix(v[3], v[7], v[11], v[15], m[s[6]&15], m[s[7]&15])
		v[0], v[5], v[10], v[15] = mix(v[0], v[5], v[10], v[15], m[s[8]&15], m[s[9]&15])
		v[1], v[6], v[11], v[12] = mix(v[1], v[6], v[11], v[12], m[s[10]&15], m[s[11]&15])
		v[2], v[7], v[8], v[13] = mix(v[2], v[7], v[8], v[13], m[s[12]&15], m[s[13]&15])
		v[3], v[4], v[9], v[14] = mix(v[3], v[4], v[9], v[14], m[s[14]&15], m[s[15]&15])
	}
	for i := range d.h {
		d.h[i] ^= v[i] ^ v[i+8]
	}
}

// mix is G of RFC 7693, 3.1.
func mix(a, b, c, d, x, y uint64) (uint64, uint64, uint64, uint64) {
	a += b + x
	d = bits.RotateLeft64(d^a, -32)
	c += d
	b = bits.RotateLeft64(b^c, -24)
	a += b + y
	d = bits.RotateLeft64(d^a, -16)
	c += d
	b = bits.RotateLeft64(b^c, -63)
	return a, b, c, d
}
