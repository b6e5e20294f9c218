// Package memory has variables that the garbage collector has to find, and
// objects that it has to let go.
package memory

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"
	"unique"
	"unsafe"
	"weak"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "variables keep what they point to", Run: variables},
		{Name: "initial values survive", Run: initial},
		{Name: "large arrays", Run: arrays},
		{Name: "constants and strings", Run: constants},
		{Name: "finalizers", Run: finalizers},
		{Name: "cleanups", Run: cleanups},
		{Name: "weak pointers", Run: weakPointers},
		{Name: "unique handles", Run: handles},
		{Name: "unsafe", Run: unsafely},
		{Name: "heap objects of every shape", Run: heap},
		{Name: "write barriers", Run: barriers},
		{Name: "interior pointers", Run: interior},
	}
}

type node struct {
	id   int
	next *node
	data [generation]string
	item *api.Item
}

type holder struct {
	pad  [3]int
	p    *node
	flag bool
	s    []string
	i    any
	f    func() string
	m    map[string]*node
	c    chan *node
	b    api.Box[*node]
}

var (
	table    [1000]*node
	byName   = map[string]*node{}
	shape    api.Shape
	anything any
	fn       func() string
	slice    []*node
	str      string
	inner    struct {
		a int32
		b struct{ p *node }
		c [3]struct {
			n int
			p *string
		}
	}
	boxed api.Box[*api.Item]
	ptr   **node
	raw   unsafe.Pointer
	bytes []byte
)

// There are channels of nodes in these, which are other types in each generation,
// so they could not be carried. What is above and below is carried and converted.
//
//hotgo:fresh
var (
	one  holder
	many [20]holder
	ch   = make(chan *node, 10)
)

func newNode(i int) *node {
	n := &node{id: i, item: &api.Item{Name: fmt.Sprint("item ", i)}}
	for j := range n.data {
		n.data[j] = strings.Repeat("d", i%7+j)
	}
	return n
}

// churn makes the collector reuse whatever it thinks is free.
func churn() {
	for range 3 {
		runtime.GC()
		var keep [][]*node
		for i := range 200 {
			keep = append(keep, make([]*node, i%50))
			_ = newNode(i)
		}
		runtime.KeepAlive(keep)
	}
}

func variables(w io.Writer) {
	for i := range table {
		table[i] = newNode(i)
	}
	for i := range 300 {
		byName[fmt.Sprint("n", i)] = newNode(i)
		slice = append(slice[:i:i], newNode(i))
	}
	shape, anything = &api.Circle{R: 4}, newNode(11)
	text := fmt.Sprint("captured ", generation)
	fn = func() string { return text }
	str = fmt.Sprint("made at run time ", generation)
	fill(&one, 1)
	for i := range many {
		fill(&many[i], i)
	}
	for len(ch) < cap(ch) {
		ch <- newNode(len(ch))
	}
	inner.b.p = newNode(21)
	s := fmt.Sprint("inner ", generation)
	inner.c[2].p = &s
	boxed.V = &api.Item{Name: fmt.Sprint("boxed ", generation)}
	n := newNode(31)
	ptr = &n
	raw = unsafe.Pointer(newNode(41))
	bytes = []byte(str)
	churn()
	bad := 0
	for i, n := range table {
		if n.id != i || n.item.Name != fmt.Sprint("item ", i) || len(n.data) != generation || len(n.data[0]) != i%7 {
			bad++
		}
	}
	for i := range 300 {
		if byName[fmt.Sprint("n", i)].id != i || slice[i].item.Name != fmt.Sprint("item ", i) {
			bad++
		}
	}
	for i := range many {
		if many[i].show() != fmt.Sprint(i, "item ", i, " f", i, " ", i, i, i, i) {
			bad++
		}
	}
	fmt.Fprintln(w, bad, shape.Area(), anything.(*node).item.Name, fn(), str, string(bytes))
	fmt.Fprintln(w, one.show(), inner.b.p.item.Name, *inner.c[2].p, boxed.Get().Name, (*ptr).id, (*node)(raw).item.Name)
	sum := 0
	for len(ch) > 0 {
		sum += (<-ch).id
	}
	fmt.Fprintln(w, sum)
}

func fill(h *holder, i int) {
	*h = holder{
		p: newNode(i), s: []string{fmt.Sprint("item ", i)}, i: newNode(i), f: func() string { return fmt.Sprint("f", i) },
		m: map[string]*node{"k": newNode(i)}, c: make(chan *node, 1), b: api.Box[*node]{V: newNode(i)},
	}
	h.c <- newNode(i)
}

func (h *holder) show() string {
	n := <-h.c
	return fmt.Sprint(h.p.id, h.s[0], " ", h.f(), " ", h.i.(*node).id, h.m["k"].id, n.id, h.b.V.id)
}

// These point to each other from the data section on.
var (
	ring    = &node{id: 1, next: &node{id: 2, item: &api.Item{Name: "static"}}}
	statics = [...]*node{ring, nil, {id: 3, next: ring}}
	ifaces  = [...]any{ring, &statics, "text", api.Money(3), (*node)(nil), newNode, api.Square{Side: 2}}
	strs    = []string{"a", "b" + "c", string(rune('a' + generation))} //hotgo:fresh the initial value is what is printed
	started = newNode(99)
	keyed   = map[*node]string{ring: "ring", started: "started"}
)

func initial(w io.Writer) {
	churn()
	ring.next.next = newNode(5)
	churn()
	fmt.Fprintln(w, ring.next.item.Name, statics[2].next.next.next.item.Name, ifaces[0].(*node).id, ifaces[1].(*[3]*node)[2].id, ifaces[2], ifaces[3], ifaces[5].(func(int) *node)(7).id, ifaces[6], strs, started.item.Name, keyed[ring], keyed[started])
}

var (
	bss       [1 << 20]byte
	bssPtrs   [1 << 15]*node
	numbers   = [4096]uint32{0: 7, 4095: generation} //hotgo:fresh the initial value is what is printed
	matrix    [64][64][4]float64
	zeroSized [0]node
)

func arrays(w io.Writer) {
	clean := 0
	for i := range bss {
		clean += int(bss[i])
		bss[i] = byte(i)
	}
	sum := 0
	for i, b := range bss {
		sum += int(b) ^ i&1
		bss[i] = 0
	}
	for i := 0; i < len(bssPtrs); i += 1024 {
		bssPtrs[i] = newNode(i)
	}
	churn()
	ids := 0
	for i := range bssPtrs {
		if bssPtrs[i] != nil {
			ids += bssPtrs[i].id
			bssPtrs[i] = nil
		}
	}
	matrix[63][63][3] = 1.5
	copied := numbers
	copied[1] = 1
	fmt.Fprintln(w, clean, sum, ids, matrix[63][63], numbers[4095], numbers[1], copied[1], copied == numbers, len(zeroSized))
}

const (
	kilo = 1 << (10 * (iota + 1))
	mega
	huge  = 1 << 100
	mixed = "const " + "text " + string('0'+rune(generation))
	long  = "A text that is long enough to be a symbol of its own, shared by every package that has the very same bytes. "
)

func constants(w io.Writer) {
	fmt.Fprintln(w, kilo, mega, huge>>98, mixed, long+long, 1.0/3, 'x', 1e100, 0x1p-1074, -7/2, -7%2)
	b := []byte(long)
	b[0] = 'a'
	fmt.Fprintln(w, string(b[:6]), long[:6], strings.Clone(long) == long, len("é\x00"))
	fmt.Fprintln(w, [...]string{5: "five", 2: "two"}, struct{ a, b any }{1, "x"}, []float32{1.5, 2}, [2]complex128{1i, 2})
}

func finalizers(w io.Writer) {
	done := make(chan string, 10)
	func() {
		for i := range 5 {
			n := newNode(i)
			runtime.SetFinalizer(n, func(n *node) { done <- n.item.Name })
		}
		kept := newNode(1)
		runtime.SetFinalizer(kept, func(*node) { done <- "wrong" })
		runtime.SetFinalizer(kept, nil)
		item := &api.Item{Name: "host type"}
		runtime.SetFinalizer(item, (*api.Item).Notes)
	}()
	seen := map[string]bool{}
	for len(seen) < 5 {
		runtime.GC()
		select {
		case s := <-done:
			seen[s] = true
		case <-time.After(time.Millisecond):
		}
	}
	fmt.Fprintln(w, len(seen), seen["wrong"], seen["item 4"])
}

func cleanups(w io.Writer) {
	done := make(chan int, 10)
	func() {
		for i := range 5 {
			n := newNode(i)
			runtime.AddCleanup(n, func(i int) { done <- i * generation }, i)
			c := runtime.AddCleanup(&n.item.Name, func(*api.Box[int]) { done <- 1000 }, &api.Box[int]{})
			c.Stop()
		}
	}()
	sum := 0
	for got := 0; got < 5; {
		runtime.GC()
		select {
		case n := <-done:
			sum += n
			got++
		case <-time.After(time.Millisecond):
		}
	}
	fmt.Fprintln(w, sum)
}

func weakPointers(w io.Writer) {
	kept := newNode(7)
	p, q := weak.Make(kept), func() weak.Pointer[node] { return weak.Make(newNode(8)) }()
	for q.Value() != nil {
		runtime.GC()
	}
	fmt.Fprintln(w, p.Value().item.Name, p == weak.Make(kept), q.Value() == nil)
	runtime.KeepAlive(kept)
}

func handles(w io.Writer) {
	a, b := unique.Make(api.Pair[string, int]{Key: strings.Repeat("k", generation)}), unique.Make(api.Pair[string, int]{Key: strings.Repeat("k", generation)})
	c := unique.Make(struct{ n value }{value{1, "x"}})
	runtime.GC()
	fmt.Fprintln(w, a == b, a.Value().Key, c == unique.Make(struct{ n value }{value{1, "x"}}), c.Value().n)
}

type value struct {
	n int
	s string
}

func unsafely(w io.Writer) {
	n := newNode(3)
	p := (*api.Item)(*(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(n), unsafe.Offsetof(n.item))))
	b := unsafe.Slice(unsafe.StringData(long), 6)
	fmt.Fprintln(w, p.Name, string(b), unsafe.Sizeof(*n)-16*generation, unsafe.Alignof(one), unsafe.String(&b[2], 4))
	f := 1.5
	fmt.Fprintf(w, "%x\n", *(*uint64)(unsafe.Pointer(&f)))
	var e any = api.Money(9)
	type eface struct{ typ, data unsafe.Pointer }
	fmt.Fprintln(w, *(*int64)((*eface)(unsafe.Pointer(&e)).data))
}

type tiny struct{ b byte }

type wide struct {
	a [40]*node
	b [1000]byte
	c *wide
}

func heap(w io.Writer) {
	var keep []any
	for i := range 500 {
		keep = append(keep, &tiny{byte(i)}, &wide{c: &wide{}, a: [40]*node{39: newNode(i)}}, make([]wide, i%3), make([]tiny, i), &[3]any{i, newNode(i), nil}, make([][]*node, 2), map[tiny]*wide{{1}: nil}, func() int { return i })
	}
	churn()
	bad := 0
	for i := range 500 {
		k := keep[i*8:]
		if k[0].(*tiny).b != byte(i) || k[1].(*wide).a[39].id != i || k[1].(*wide).c.c != nil || len(k[3].([]tiny)) != i || k[4].(*[3]any)[1].(*node).id != i || k[7].(func() int)() != i {
			bad++
		}
	}
	fmt.Fprintln(w, bad, len(keep))
}

func barriers(w io.Writer) {
	stop, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
			}
		}
	}()
	list := newNode(0)
	for i := range 20000 {
		n := &node{id: i, next: list}
		list, table[i%len(table)] = n, n
		if i%100 == 0 {
			list = nil
			one = holder{p: n, i: n, m: map[string]*node{"k": n}}
			many[i%len(many)] = one
			copy(many[:], many[5:])
		}
	}
	close(stop)
	<-stopped
	bad := 0
	for i, n := range table {
		if n.id%1000 != i {
			bad++
		}
	}
	fmt.Fprintln(w, bad, one.p.id, one.m["k"] == one.p)
}

func interior(w io.Writer) {
	p := func() *string { n := newNode(6); return &n.item.Name }()
	q := func() *byte { b := make([]byte, 100000); b[99999] = generation; return &b[99999] }()
	r := func() []*node { l := make([]*node, 1000); l[999] = newNode(4); return l[999:] }()
	churn()
	fmt.Fprintln(w, *p, *q, r[0].item.Name)
}
