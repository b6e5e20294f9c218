// Package storage has databases, archives, images and cryptography.
package storage

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"
	"time"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "database/sql", Run: databases},
		{Name: "database errors", Run: databaseErrors},
		{Name: "gzip and flate", Run: compression},
		{Name: "zip and tar", Run: archives},
		{Name: "png", Run: images},
		{Name: "hashes and ciphers", Run: ciphers},
		{Name: "signatures", Run: signatures},
		{Name: "files", Run: files},
	}
}

// price is a column type of the plugin's own.
type price api.Money

func (p *price) Scan(src any) error {
	n, ok := src.(int64)
	if !ok {
		return &api.Error{Code: 9, Text: fmt.Sprintf("no price: %v", src)}
	}
	*p = price(n)
	return nil
}

func (p price) Value() (driver.Value, error) { return int64(p), nil }

func databases(w io.Writer) {
	db, err := sql.Open(driverName, "db")
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	defer db.Close()
	ctx, table := context.Background(), fmt.Sprint("t", time.Now().UnixNano())
	tx, err := db.BeginTx(ctx, nil)
	fmt.Fprintln(w, err)
	_, err = tx.Exec("insert "+table+" ? ?", "rolled back", price(1))
	fmt.Fprintln(w, err, tx.Rollback(), tx.Commit())
	s, err := db.PrepareContext(ctx, "insert "+table+" ? ?")
	fmt.Fprintln(w, err)
	for i := range 3 {
		r, err := s.ExecContext(ctx, fmt.Sprint("item ", i), price(i*generation))
		n, _ := r.RowsAffected()
		fmt.Fprint(w, n, err, " ")
	}
	list, err := db.QueryContext(ctx, "select "+table)
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	for list.Next() {
		var name string
		var p price
		fmt.Fprint(w, list.Scan(&name, &p), name, p, " ")
	}
	fmt.Fprintln(w, list.Err())
	var name sql.NullString
	var n sql.Null[int]
	fmt.Fprintln(w, db.QueryRow("select "+table).Scan(&name, &n), name, n, db.Ping(), db.Stats().OpenConnections > 0)
}

func databaseErrors(w io.Writer) {
	db, _ := sql.Open(driverName, "db")
	defer db.Close()
	_, err := db.Exec("fail now")
	fmt.Fprintln(w, err, errors.Is(err, errUnknown))
	var name string
	var p price
	err = db.QueryRow("select nothing").Scan(&name, &p)
	fmt.Fprintln(w, err, errors.Is(err, sql.ErrNoRows))
	_, err = db.Exec("insert t ? ?", 1)
	fmt.Fprintln(w, err)
	_, err = db.Exec("insert t ? ?", make(chan int), 1)
	fmt.Fprintln(w, err)
	none, err := sql.Open("no-such-driver", "")
	fmt.Fprintln(w, none == nil, strings.Contains(err.Error(), "unknown driver"))
	bad, _ := sql.Open(driverName, "")
	var he *api.Error
	fmt.Fprintln(w, errors.As(bad.Ping(), &he), he)
}

func compression(w io.Writer) {
	text := strings.Repeat("hot go ", 500)
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression)
	z.Name = fmt.Sprint("g", generation)
	_, err := io.WriteString(z, text)
	fmt.Fprintln(w, err, z.Close(), buf.Len() < 200)
	r, err := gzip.NewReader(&buf)
	b, err2 := io.ReadAll(r)
	fmt.Fprintln(w, r.Name, err, err2, string(b) == text)
	_, err = gzip.NewReader(strings.NewReader("no gzip at all"))
	fmt.Fprintln(w, err, errors.Is(err, gzip.ErrHeader))
	f, _ := flate.NewWriter(&buf, 6)
	fmt.Fprintln(w, f.Close(), buf.Bytes())
	_, err = io.ReadAll(flate.NewReader(strings.NewReader("\xff\xff\xff")))
	var corrupt flate.CorruptInputError
	fmt.Fprintln(w, err, errors.As(err, &corrupt))
}

func archives(w io.Writer) {
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, name := range []string{"a.txt", "dir/b.txt"} {
		f, err := z.Create(name)
		fmt.Fprintln(f, "content of", name, generation, err)
	}
	fmt.Fprintln(w, z.Close())
	r, err := zip.NewReader(bytes.NewReader(buf.Bytes()), int64(buf.Len()))
	fmt.Fprintln(w, err)
	_ = fs.WalkDir(r, ".", func(path string, d fs.DirEntry, err error) error {
		b, _ := fs.ReadFile(r, path)
		fmt.Fprintf(w, "%s %t %q\n", path, d.IsDir(), b)
		return err
	})
	buf.Reset()
	t := tar.NewWriter(&buf)
	_ = t.WriteHeader(&tar.Header{Name: "x", Size: 3, Mode: 0o600})
	_, err = t.Write([]byte("abcd"))
	fmt.Fprintln(w, err, t.Flush())
}

type gradient struct{ image.Rectangle }

func (g gradient) ColorModel() color.Model { return color.NRGBAModel }
func (g gradient) Bounds() image.Rectangle { return g.Rectangle }
func (g gradient) At(x, y int) color.Color {
	return color.NRGBA{uint8(x * 10), uint8(y * generation), 3, 255}
}

func images(w io.Writer) {
	var buf bytes.Buffer
	err := png.Encode(&buf, gradient{image.Rect(0, 0, 20, 10)})
	img, format, err2 := image.Decode(bytes.NewReader(buf.Bytes()))
	fmt.Fprintln(w, err, err2, format, img.Bounds(), img.At(3, 4), color.GrayModel.Convert(img.At(19, 9)))
	_, _, err = image.Decode(strings.NewReader("no image"))
	_, err2 = png.Decode(bytes.NewReader(buf.Bytes()[:60]))
	fmt.Fprintf(w, "%v %v %T\n", err, err2, img)
}

func ciphers(w io.Writer) {
	fmt.Fprintf(w, "%x\n%x\n", sha256.Sum256([]byte{generation}), sha512.Sum512_256([]byte("x")))
	m := hmac.New(sha256.New, []byte("key"))
	m.Write([]byte("text"))
	fmt.Fprintf(w, "%x\n", m.Sum(nil))
	block, err := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	gcm, err := cipher.NewGCM(block)
	nonce := make([]byte, gcm.NonceSize())
	sealed := gcm.Seal(nil, nonce, []byte("plain text"), []byte{generation})
	open, err2 := gcm.Open(nil, nonce, sealed, []byte{generation})
	_, err3 := gcm.Open(nil, nonce, sealed, nil)
	fmt.Fprintf(w, "%x %s %v %v %v\n", sealed, open, err, err2, err3)
	_, err = aes.NewCipher([]byte("short"))
	var size aes.KeySizeError
	fmt.Fprintln(w, err, errors.As(err, &size))
}

func signatures(w io.Writer) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{generation}, ed25519.SeedSize))
	sig := ed25519.Sign(key, []byte("message"))
	fmt.Fprintf(w, "%x %t %t\n", sig, ed25519.Verify(key.Public().(ed25519.PublicKey), []byte("message"), sig), ed25519.Verify(key.Public().(ed25519.PublicKey), []byte("other"), sig))
	a, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{3}, 32))
	b, err2 := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{4}, 32))
	s1, _ := a.ECDH(b.PublicKey())
	s2, _ := b.ECDH(a.PublicKey())
	fmt.Fprintln(w, bytes.Equal(s1, s2), len(s1), err, err2)
	fmt.Fprintln(w, rsa.VerifyPKCS1v15(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 3}, 0, nil, nil))
}

func files(w io.Writer) {
	dir, err := os.MkdirTemp("", "conformance")
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "f")
	fmt.Fprintln(w, os.WriteFile(path, []byte("text"), 0o600))
	_, err = os.Open(path + "x")
	var pe *fs.PathError
	fmt.Fprintln(w, errors.Is(err, fs.ErrNotExist), errors.As(err, &pe), pe.Op, os.Rename(path, path+"2"))
	m := fstest.MapFS{"a/b.txt": {Data: []byte("x")}}
	list, err := fs.Glob(m, "*/*.txt")
	fmt.Fprintln(w, list, err, fstest.TestFS(m, "a/b.txt"))
}
