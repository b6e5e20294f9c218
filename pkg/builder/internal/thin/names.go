package thin

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// mangle gives the name under which a linked program has a symbol: long names
// of types are cut to a hash of them (cmd/link/internal/ld/lib.go, Go 1.26 and
// 1.27: typeSymbolMangle; cmd/internal/hash: Sum32 is SHA-256 with the first
// byte inverted).
func mangle(name string) string {
	isType := strings.HasPrefix(name, "type:")
	switch {
	case !isType && !strings.Contains(name, "@"),
		strings.HasPrefix(name, "type:runtime."),
		strings.HasPrefix(name, "go:string."),
		len(name) <= 14 && !strings.Contains(name, "@"):
		return name
	case isType:
		prefix := "type:"
		if name[len(prefix)] == '.' {
			prefix = "type:."
		}
		return prefix + shortHash(name[len("type:"):])
	}
	// An instantiated function: the types in brackets are hashed.
	i := strings.IndexByte(name, '[')
	j := strings.LastIndexByte(name, ']')
	if j == -1 || j <= i {
		j = len(name)
	}
	return name[:i+1] + shortHash(name[i+1:j]) + name[j:]
}

func shortHash(s string) string {
	h := sha256.Sum256([]byte(s))
	h[0] ^= 0xff
	return base64.StdEncoding.EncodeToString(h[:6])
}

// Mangle gives the name under which a linked program has a symbol of an object.
func Mangle(name string) string { return mangle(name) }

// isDescriptor reports whether a symbol is a type's descriptor. What begins with
// "type:." belongs to descriptors: names of fields, import paths, algorithms;
// and "type:*" alone is where all of them begin.
func isDescriptor(name string) bool {
	return strings.HasPrefix(name, "type:") && !strings.HasPrefix(name, "type:.") && name != "type:*"
}

// packageOf gives the import path of the package that a symbol belongs to by
// its name, "" where the name tells none: symbols that no package owns are
// defined by every object that needs them.
func packageOf(name string) string {
	if t, ok := strings.CutPrefix(name, "type:"); ok {
		if strings.HasPrefix(t, ".") {
			return ""
		}
		if !strings.Contains(t, ".") {
			// Of types that consist of predeclared ones the runtime has
			// those that every program may need
			// (cmd/compile/internal/reflectdata/reflect.go, WriteBasicTypes).
			return "runtime"
		}
		// Of others, only those that have a name belong to a package.
		if name = strings.TrimPrefix(t, "*"); strings.ContainsAny(name, " []{}()<") {
			return ""
		}
	}
	if strings.HasPrefix(name, "go:") {
		return ""
	}
	if i := strings.IndexAny(name, "[("); i >= 0 {
		name = name[:i]
	}
	slash := strings.LastIndexByte(name, '/') + 1
	dot := strings.IndexByte(name[slash:], '.')
	if dot <= 0 {
		return ""
	}
	return unescape(name[:slash+dot])
}

// unescape gives the import path that a part of a symbol's name spells. What is
// no spelling stands for itself.
func unescape(spelled string) string {
	if path, ok := symname.Unescape(spelled); ok {
		return path
	}
	return spelled
}
