package goobj

import (
	"bytes"
	"fmt"
	"strings"
)

// Replace replaces old, wherever it occurs in a string of o or in a symbol's
// data, with new, which must be as long: a path is part of names, of type
// descriptors, of constants the program can print, and lengths of strings are
// stored apart from them.
//
// Hashes of Hashed symbols stay, so within one link every object that contains
// old must have it replaced the same way; then equal hashes still mean equal
// content.
func (o *Object) Replace(old, new string) error {
	if len(old) != len(new) {
		return fmt.Errorf("replace %q with %q: the lengths differ", old, new)
	}
	if old == "" {
		return nil
	}
	// The block as a whole may match across the border of two strings. That is
	// harmless: Bytes writes a string anew that is no longer where it was.
	o.strings = strings.ReplaceAll(o.strings, old, new)
	o.Head = strings.ReplaceAll(o.Head, old, new)
	in := func(s *string) { *s = strings.ReplaceAll(*s, old, new) }
	for i := range o.Imports {
		in(&o.Imports[i].Path)
	}
	for i := range o.Packages {
		in(&o.Packages[i])
	}
	for i := range o.Files {
		in(&o.Files[i])
	}
	for i := range o.RefNames {
		in(&o.RefNames[i].Name)
	}
	for i := range o.NonPkgRefs {
		in(&o.NonPkgRefs[i].Name)
	}
	from, to := []byte(old), []byte(new)
	for _, table := range o.definitions() {
		for i := range table {
			s := &table[i]
			in(&s.Name)
			if !bytes.Contains(s.Data, from) {
				continue
			}
			s.Data = bytes.ReplaceAll(s.Data, from, to)
			if len(s.Hash) == hash64Size {
				// A short hash is the content (cmd/internal/obj/objfile.go, Go
				// 1.26 and 1.27: contentHash64).
				s.Hash = make([]byte, hash64Size)
				copy(s.Hash, s.Data)
			}
		}
	}
	return nil
}
