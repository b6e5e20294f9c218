package digest

import (
	"crypto/sha256"
	"encoding/binary"
	"go/scanner"
	"go/token"
	"strings"
)

// Tokens hashes Go source by what it says: comments, white space and the
// commas and semicolons that only formatting moves are left out. What a
// comment can say to the toolchain stays in: //go: and //hotgo: directives, build
// constraints, line directives, //export, and, in a file that imports "C",
// every comment.
//
// Two sources with equal hashes compile to the same code, apart from line
// numbers. Source that does not scan is hashed byte by byte, so that it is
// never equal to anything else.
func Tokens(src []byte) [32]byte {
	h := sha256.New()
	var length [4]byte
	put := func(tok token.Token, lit string) {
		binary.BigEndian.PutUint32(length[:], uint32(tok))
		h.Write(length[:])
		binary.BigEndian.PutUint32(length[:], uint32(len(lit)))
		h.Write(length[:])
		h.Write([]byte(lit))
	}

	file := token.NewFileSet().AddFile("", -1, len(src))
	var sc scanner.Scanner
	bad := false
	sc.Init(file, src, func(token.Position, string) { bad = true }, scanner.ScanComments)
	cgo := importsC(src)
	var held token.Token // a comma or semicolon that a closing bracket may swallow
	for {
		_, tok, lit := sc.Scan()
		if tok == token.COMMENT {
			if cgo || speaksToToolchain(lit) {
				put(tok, lit)
			}
			continue
		}
		// gofmt adds a comma before a closing bracket that stands on a
		// line of its own, and the scanner adds semicolons at line ends.
		// Before "]" a comma can matter: type T[P *C,] declares a type
		// parameter where type T[P * C] declares an array.
		if held != token.ILLEGAL && tok != token.RPAREN && tok != token.RBRACE && tok != token.EOF {
			put(held, "")
		}
		held = token.ILLEGAL
		switch {
		case tok == token.EOF:
			if bad {
				return sha256.Sum256(append([]byte("unscannable\x00"), src...))
			}
			var sum [32]byte
			h.Sum(sum[:0])
			return sum
		case tok == token.COMMA || tok == token.SEMICOLON:
			held = tok
		default:
			put(tok, lit)
		}
	}
}

// speaksToToolchain reports whether a comment can change what is compiled.
func speaksToToolchain(comment string) bool {
	for _, p := range []string{"//go:", "//line ", "/*line ", "//export ", "// +build", "//+build", "//extern ", "//hotgo:"} {
		if strings.HasPrefix(comment, p) {
			return true
		}
	}
	return false
}

// importsC reports whether the file seems to import "C". A string literal
// "C" elsewhere makes it true as well, which only keeps more comments.
func importsC(src []byte) bool { return strings.Contains(string(src), `"C"`) }
