package carry

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
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

// node is a value as it was read.
type node struct {
	mark mark
	a, b uint64 // numbers: bits; lengths
	text string // string, name
	ref  reference
	name []string // of fields
	kids []node
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
	text string
	kids []node
}

// anew reports whether the file has no value for a variable.
func (w *wireObject) anew() bool { return w.sort == sortAnew || w.sort == sortMade }

// written is a file that was read.
type written struct {
	plugin  string
	objects []wireObject
}

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

// reader reads what is in the file, or notes that it is damaged. It allocates no more
// than a multiple of what is left to read.
type reader struct {
	rest  []byte
	names []string
	depth int
	bad   bool
}

// read is total: any bytes give a file or an error.
func read(data []byte) (*written, error) {
	body, ok := bytes.CutPrefix(data, []byte(wireMagic))
	if !ok || len(body) < wireSum {
		return nil, fmt.Errorf("%w: it does not begin as state of a plugin does", errWire)
	}
	cut := len(data) - wireSum
	sum := sha256.Sum256(data[:cut])
	if !bytes.Equal(sum[:wireSum], data[cut:]) {
		return nil, fmt.Errorf("%w: its checksum differs", errWire)
	}
	r := &reader{rest: body[:len(body)-wireSum]}
	if v := r.uint(); v != wireVersion {
		return nil, fmt.Errorf("the state is of version %d, and this hotgo reads %d", v, wireVersion)
	}
	w := &written{plugin: r.text()}
	for range r.count() {
		r.names = append(r.names, r.text())
	}
	for range r.count() {
		w.objects = append(w.objects, r.object())
	}
	if r.bad || len(r.rest) > 0 {
		return nil, fmt.Errorf("%w: it is not well formed", errWire)
	}
	for i := range w.objects {
		for j := range w.objects[i].kids {
			if !refersWithin(&w.objects[i].kids[j], w.objects) {
				return nil, fmt.Errorf("%w: a reference leads nowhere", errWire)
			}
		}
	}
	return w, nil
}

// refersWithin checks that references lead to objects that can be meant.
func refersWithin(n *node, objects []wireObject) bool {
	switch n.mark {
	case markPointer, markSlice:
		if n.ref.object >= len(objects) || objects[n.ref.object].sort == sortTable {
			return false
		}
	case markMap:
		if n.ref.object >= len(objects) || objects[n.ref.object].sort != sortTable {
			return false
		}
	}
	for i := range n.kids {
		if !refersWithin(&n.kids[i], objects) {
			return false
		}
	}
	return true
}

func (r *reader) fail() { r.bad, r.rest = true, nil }

func (r *reader) uint() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// count is one of things that take a byte at least.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.rest)) {
		r.fail()
		return 0
	}
	return int(n)
}

func (r *reader) take(n int) []byte {
	if n > len(r.rest) {
		r.fail()
		return make([]byte, min(n, 8))
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) text() string { return string(r.take(r.count())) }

func (r *reader) name() string {
	n := r.uint()
	if n >= uint64(len(r.names)) {
		r.fail()
		return ""
	}
	return r.names[n]
}

func (r *reader) bits() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) object() (o wireObject) {
	o.sort = objectSort(r.take(1)[0])
	switch o.sort {
	case sortVariable:
		o.name, o.kids = r.name(), []node{r.value()}
	case sortAnew, sortMade:
		o.name = r.name()
	case sortBytes:
		o.text = r.text()
	case sortMemory:
		o.kids = r.values(r.count())
	case sortTable:
		o.kids = r.values(2 * r.count())
	default:
		r.fail()
	}
	return o
}

func (r *reader) values(n int) (list []node) {
	for range n {
		if r.bad {
			return nil
		}
		list = append(list, r.value())
	}
	return list
}

func (r *reader) reference() (ref reference) {
	ref.object = int(min(r.uint(), math.MaxInt32))
	ref.index = r.uint()
	for range r.count() {
		if r.bad {
			break
		}
		n := r.uint()
		if n&1 == 1 {
			ref.steps = append(ref.steps, step{index: n >> 1})
			continue
		}
		if n >>= 1; n >= uint64(len(r.names)) || r.names[n] == "" {
			r.fail()
			break
		}
		ref.steps = append(ref.steps, step{field: r.names[n]})
	}
	return ref
}

func (r *reader) value() (n node) {
	if r.depth++; r.depth > maxDepth {
		r.fail()
	}
	defer func() { r.depth-- }()
	n.mark = mark(r.take(1)[0])
	switch n.mark {
	case markNil, markFalse, markTrue, markIdle:
	case markInt:
		v := r.uint()
		n.a = uint64(unzigzag(v))
	case markUint:
		n.a = r.uint()
	case markFloat:
		n.a = r.bits()
	case markComplex:
		n.a, n.b = r.bits(), r.bits()
	case markString:
		n.text = r.text()
	case markStruct:
		for range r.count() {
			if r.bad {
				break
			}
			n.name = append(n.name, r.name())
			n.kids = append(n.kids, r.value())
		}
	case markArray:
		n.kids = r.values(r.count())
	case markPointer:
		n.ref = r.reference()
	case markSlice:
		n.ref = r.reference()
		n.a, n.b = r.uint(), r.uint()
	case markEmpty:
		n.a, n.b = r.uint(), r.uint()
	case markMap:
		n.ref.object = int(min(r.uint(), math.MaxInt32))
	case markBox:
		n.text, n.kids = r.name(), []node{r.value()}
	case markFunc:
		n.text = r.name()
	case markTime:
		n.a, n.b, n.text = r.uint(), r.uint(), r.text()
		n.ref.index = r.uint()
	default:
		r.fail()
	}
	return n
}

// isZero reports whether a value is the zero value, whatever its type.
func (n *node) isZero() bool {
	switch n.mark {
	case markNil, markFalse, markIdle:
		return true
	case markInt, markUint, markFloat, markComplex:
		return n.a == 0 && n.b == 0
	case markString:
		return n.text == ""
	case markStruct, markArray:
		for i := range n.kids {
			if !n.kids[i].isZero() {
				return false
			}
		}
		return true
	}
	return false
}
