package carry

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
)

// reader reads what is in the file, or notes that it is damaged. It allocates no more
// than a multiple of what is left to read.
type reader struct {
	data   []byte
	rest   []byte // the end of it
	names  []string
	shapes map[string]*structShape // by the indices of the names
	open   []byte                  // such of the structs that are being read
	depth  int
	bad    bool
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
	r := &reader{data: data[:cut], rest: body[:len(body)-wireSum], shapes: map[string]*structShape{}}
	if v := r.uint(); v != wireVersion {
		return nil, fmt.Errorf("the state is of version %d, and this hotgo reads %d", v, wireVersion)
	}
	w := &written{plugin: string(r.text()), data: r.data}
	for range r.count() {
		r.names = append(r.names, string(r.text()))
	}
	w.names = r.names
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
	case markPointer, markSlice, markMap:
		if n.a >= uint64(len(objects)) || (objects[n.a].sort == sortTable) != (n.mark == markMap) {
			return false
		}
	}
	for i := range n.kids() {
		if !refersWithin(&n.more.kids[i], objects) {
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

func (r *reader) text() []byte { return r.take(r.count()) }

// name gives the index of one.
func (r *reader) name() int {
	n := r.uint()
	if n >= uint64(len(r.names)) {
		r.fail()
		return -1
	}
	return int(n)
}

func (r *reader) bits() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *reader) object() (o wireObject) {
	o.sort = objectSort(r.take(1)[0])
	switch o.sort {
	case sortVariable, sortAnew, sortMade:
		if i := r.name(); i >= 0 {
			o.name = r.names[i]
		}
		if o.sort == sortVariable {
			o.kids = r.values(1)
		}
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

// values reads n. There is room for all of an object's at once, which is no more than
// what is left to read would need; others lie in these, and may lie about their number.
func (r *reader) values(n int) []node {
	room := n
	if r.depth > 0 {
		room = min(n, 16)
	}
	list := make([]node, 0, room)
	for range n {
		if r.bad {
			return nil
		}
		list = append(list, r.value())
	}
	return list
}

// fields reads names and values.
func (r *reader) fields() *nodeMore {
	more := &nodeMore{}
	n, from := r.count(), len(r.open)
	more.kids = make([]node, 0, min(n, 16))
	for range n {
		r.open = binary.AppendUvarint(r.open, uint64(r.name()))
		if r.bad {
			return more
		}
		more.kids = append(more.kids, r.value())
	}
	key := r.open[from:]
	if more.shape = r.shapes[string(key)]; more.shape == nil {
		more.shape = &structShape{}
		r.shapes[string(key)] = more.shape
		for rest := key; len(rest) > 0; {
			i, size := binary.Uvarint(rest)
			more.shape.names, rest = append(more.shape.names, r.names[i]), rest[size:]
		}
	}
	r.open = r.open[:from]
	return more
}

// refer reads a reference.
func (r *reader) refer(n *node) {
	n.a = r.uint()
	index, steps := r.uint(), r.count()
	if index == 0 && steps == 0 {
		return
	}
	n.more = &nodeMore{index: index}
	for range steps {
		if r.bad {
			break
		}
		n.more.steps = append(n.more.steps, r.step())
	}
}

func (r *reader) step() step {
	n := r.uint()
	if n&1 == 1 {
		return step{index: n >> 1}
	}
	if n >>= 1; n >= uint64(len(r.names)) || r.names[n] == "" {
		r.fail()
		return step{}
	}
	return step{field: r.names[n]}
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
		n.a = uint64(unzigzag(r.uint()))
	case markUint, markMap:
		n.a = r.uint()
	case markFloat:
		n.a = r.bits()
	case markComplex:
		n.more = &nodeMore{a: r.bits(), b: r.bits()}
	case markString:
		r.textOf(&n)
	case markStruct:
		n.more = r.fields()
	case markArray:
		n.more = &nodeMore{kids: r.values(r.count())}
	case markPointer:
		r.refer(&n)
	case markSlice:
		r.refer(&n)
		more := *n.rest()
		more.a, more.b = r.uint(), r.uint()
		n.more = &more
	case markEmpty:
		n.more = &nodeMore{a: r.uint(), b: r.uint()}
	case markBox:
		n.n = uint32(max(r.name(), 0))
		n.more = &nodeMore{kids: r.values(1)}
	case markFunc:
		n.n = uint32(max(r.name(), 0))
	case markTime:
		n.more = &nodeMore{a: r.uint(), b: r.uint()}
		r.textOf(&n)
		n.more.index = r.uint()
	default:
		r.fail()
	}
	return n
}

// textOf notes where a text is.
func (r *reader) textOf(n *node) {
	text := r.text()
	if len(text) > math.MaxUint32 {
		r.fail()
	}
	if !r.bad {
		n.a, n.n = uint64(len(r.data)-len(r.rest)-len(text)), uint32(len(text))
	}
}
