package carry

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// # The written form of state
//
// A file is: the line wireMagic, the version, the plugin's name, a table of names,
// objects, and the first 8 bytes of the SHA-256 of all that. Numbers are varints, texts
// and lists have their length before them. Nothing in it is an address, and nothing
// needs the types of who wrote it: each value begins with a mark that says what it is,
// and structs name their fields.
//
// Objects are what references lead to, numbered in the order in which they lie there,
// so aliases and cycles are kept. A reference is an object's number, the index of an
// element of it, and steps into that: fields by name, elements by index.
const (
	wireMagic   = "hotgo state\n"
	wireVersion = 1
	wireSum     = 8
)

// mark begins a value.
type mark byte

const (
	markNil     mark = '0' // pointer, slice, map, interface, function, channel
	markFalse   mark = 'f'
	markTrue    mark = 't'
	markInt     mark = 'i' // varint
	markUint    mark = 'u' // uvarint
	markFloat   mark = 'd' // 8 bytes, big endian
	markComplex mark = 'c' // two of these
	markString  mark = 's'
	markStruct  mark = '{' // count, then name and value of each field
	markArray   mark = '[' // count, then values
	markPointer mark = '*' // reference
	markSlice   mark = '<' // reference, length, capacity
	markEmpty   mark = 'e' // length and capacity of what takes no memory
	markMap     mark = 'm' // object
	markBox     mark = 'b' // what an interface holds: type and value
	markFunc    mark = 'F' // name of a function
	markTime    mark = 'T' // seconds, nanoseconds, name of the zone, offset
	markIdle    mark = 'z' // a lock that is free, a pool: starts anew
)

// sort of an object.
type objectSort byte

const (
	sortVariable objectSort = 'v' // name and value
	sortAnew     objectSort = 'w' // name of a variable that starts anew
	sortMade     objectSort = 'n' // the same, of one that the initialiser makes as it was: see made.go
	sortMemory   objectSort = 'r' // count and values
	sortBytes    objectSort = 'y' // text
	sortTable    objectSort = 'm' // count, then keys and values
)

// maxDepth bounds how deep values lie in each other without a reference between.
const maxDepth = 200

// node is a value as it was read. There are as many as values, so it is small.
type node struct {
	mark mark
	n    uint32 // length of a text in the file; index of a name
	a    uint64 // number: bits; length; offset of a text; object that is referred to
	more *nodeMore
}

// nodeMore is what few values have.
type nodeMore struct {
	a, b  uint64 // numbers; length and capacity
	index uint64 // of a reference
	steps []step
	shape *structShape
	kids  []node
}

// structShape is the names of a struct's fields. Structs that have the same ones share it.
type structShape struct{ names []string }

// isZero reports whether a value is the zero value, whatever its type.
func (n *node) isZero() bool {
	switch n.mark {
	case markNil, markFalse, markIdle:
		return true
	case markInt, markUint, markFloat:
		return n.a == 0
	case markComplex:
		return n.rest().a == 0 && n.rest().b == 0
	case markString:
		return n.n == 0
	case markStruct, markArray:
		for i := range n.kids() {
			if !n.more.kids[i].isZero() {
				return false
			}
		}
		return true
	}
	return false
}

type reference struct {
	object int
	index  uint64
	steps  []step
}

// step leads into a value: a field, or the element of an array.
type step struct {
	field string // "" for an element
	index uint64
}

type wireObject struct {
	sort objectSort
	name string
	text []byte // in the file
	kids []node
}

// anew reports whether the file has no value for a variable.
func (w *wireObject) anew() bool { return w.sort == sortAnew || w.sort == sortMade }

// written is a file that was read.
type written struct {
	plugin  string
	data    []byte // in which the texts are
	names   []string
	objects []wireObject
}

// text gives that of a string or a time.
func (w *written) text(n *node) string { return string(w.data[n.a : n.a+uint64(n.n)]) }

// name gives that of a function or a type.
func (w *written) name(n *node) string { return w.names[n.n] }

var noMore nodeMore

// rest gives what a value has beside a number.
func (n *node) rest() *nodeMore {
	if n.more == nil {
		return &noMore
	}
	return n.more
}

func (n *node) kids() []node { return n.rest().kids }

// ref is that of a pointer, slice or map.
func (n *node) ref() reference { return reference{int(n.a), n.rest().index, n.rest().steps} }

var errWire = errors.New("the state is damaged")

// Bytes gives the file: see wire.go.
func (w *Saved) Bytes(plugin string) []byte {
	b := binary.AppendUvarint([]byte(wireMagic), wireVersion)
	b = appendText(b, plugin)
	b = binary.AppendUvarint(b, uint64(len(w.names)))
	for _, name := range w.names {
		b = appendText(b, name)
	}
	b = append(binary.AppendUvarint(b, uint64(w.objects)), w.body...)
	sum := sha256.Sum256(b)
	return append(b, sum[:wireSum]...)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
