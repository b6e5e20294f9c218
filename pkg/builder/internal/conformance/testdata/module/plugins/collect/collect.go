// Package collect has maps, slices, big numbers and hashes.
package collect

import (
	"cmp"
	"container/heap"
	"container/list"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"hash/maphash"
	"io"
	"maps"
	"math/big"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "keys of every kind", Run: keys},
		{Name: "growth", Run: growth},
		{Name: "iteration with deletes and inserts", Run: iteration},
		{Name: "maps of package variables", Run: literals},
		{Name: "values of every size", Run: values},
		{Name: "clear and clone", Run: clearing},
		{Name: "host maps", Run: hostMaps},
		{Name: "sort and slices", Run: sorting},
		{Name: "heap and list", Run: containers},
		{Name: "appending", Run: appending},
		{Name: "big numbers", Run: bigNumbers},
		{Name: "hashes", Run: hashes},
		{Name: "seeded random numbers", Run: random},
	}
}

type id int32

type point struct{ x, y float32 }

type mixed struct {
	s string
	i any
	a [2]point
}

func keys(w io.Writer) {
	ch := make(chan point)
	n := new(id)
	fmt.Fprintln(w, put(true, false), put[int8](1, 2), put[uint16](1, 2), put(id(1), id(2)), put[uint64](1, 2), put(uintptr(1), 2),
		put("a", "b"), put(1.5, 2.5), put(float32(1), 2), put(1i, 2i), put(ch, nil), put(n, nil), put(point{1, 2}, point{}),
		put([2]string{"a"}, [2]string{}), put(mixed{s: "a", i: 1}, mixed{s: "a", i: id(1)}), put[any](1, id(1)), put[api.Shape](api.Square{Side: 1}, api.Square{}),
		put(struct{}{}, struct{}{}), put(api.Money(1), 2), put([3]byte{1}, [3]byte{2}), put([0]int{}, [0]int{}), put(api.Pair[id, string]{Key: 1}, api.Pair[id, string]{}))
	nan := map[float64]int{}
	zero := 0.0
	for range 3 {
		nan[zero/zero]++
	}
	nan[0]++
	nan[-zero]++
	fmt.Fprintln(w, len(nan), nan[0])
}

func put[K comparable](a, b K) string {
	m := map[K]int{a: 1}
	m[b] += 2
	m[a] += 4
	_, ok := m[b]
	delete(m, b)
	_, still := m[b]
	return fmt.Sprint(len(m), m[a], ok, still)
}

func growth(w io.Writer) {
	ints, strs, structs := map[int]int{}, map[string]*point{}, make(map[mixed]string, 10)
	for i := range 5000 {
		ints[i*7919] = i
		strs[fmt.Sprint("key", i)] = &point{float32(i), 1}
		if i%10 == 0 {
			structs[mixed{s: fmt.Sprint(i), i: i}] = strings.Repeat("x", i%20)
		}
	}
	sum := 0
	for k, v := range ints {
		if k != v*7919 {
			fmt.Fprintln(w, "wrong", k, v)
		}
		sum += v
	}
	for i := range 5000 {
		if p := strs[fmt.Sprint("key", i)]; p == nil || p.x != float32(i) {
			fmt.Fprintln(w, "lost", i)
		}
	}
	fmt.Fprintln(w, len(ints), sum, len(strs), len(structs), len(structs[mixed{s: "4990", i: 4990}]))
}

func iteration(w io.Writer) {
	m := map[id]string{}
	for i := range id(1000) {
		m[i] = "v"
	}
	seen, odd := 0, 0
	for k := range m {
		seen++
		if k%2 == 1 {
			odd++
		}
		delete(m, k)
		delete(m, k^1)
	}
	fmt.Fprintln(w, len(m), seen)
	for i := range id(100) {
		m[i] = "w"
	}
	first := map[id]bool{}
	for k := range m {
		first[k] = true
		if k < 100 {
			m[k+1000] = "new"
		}
	}
	old := 0
	for k := range first {
		if k < 100 {
			old++
		}
	}
	fmt.Fprintln(w, old, len(m))
}

// The initialisers of maps this large are outlined, and dropped where the
// variable is not used.
var (
	//hotgo:fresh the initial value is what is printed
	scores = map[string]int{
		"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10, "k": 11, "l": 12, "m": 13, "n": 14, "o": 15, "p": 16,
		"q": 17, "r": 18, "s": 19, "t": 20, "u": 21, "v": 22, "w": 23, "x": 24, "y": 25, "z": 26 * generation,
	}
	unused = map[string]int{
		"a": 1, "b": 2, "c": 3, "d": 4, "e": 5, "f": 6, "g": 7, "h": 8, "i": 9, "j": 10, "k": 11, "l": 12, "m": 13, "n": 14, "o": 15, "p": 16,
		"q": 17, "r": 18, "s": 19, "t": 20, "u": 21, "v": 22, "w": 23, "x": 24, "y": 25, "z": 26,
	}
	shapes = map[string]api.Shape{
		"s1": api.Square{Side: 1}, "s2": api.Square{Side: 2}, "c1": &api.Circle{R: 1}, "c2": &api.Circle{R: 2},
	}
	funcs = map[point]func(int) string{
		{1, 2}: func(n int) string { return fmt.Sprint("first ", n) },
		{3, 4}: second,
	}
	nested = map[string]map[id][]*point{"a": {1: {{1, 1}, nil}, 2: nil}, "b": nil}
)

func second(n int) string { return fmt.Sprint("second ", n) }

func literals(w io.Writer) {
	fmt.Fprintln(w, len(scores), scores["z"], scores["m"], shapes["c2"].Area(), shapes["s2"].Name(), funcs[point{1, 2}](1), funcs[point{3, 4}](2), *nested["a"][1][0], len(nested))
}

func values(w io.Writer) {
	big := map[int][200]byte{}
	huge := map[[200]byte]int{}
	none := map[int]struct{}{}
	for i := range 50 {
		var a [200]byte
		a[199] = byte(i)
		big[i], huge[a], none[i] = a, i, struct{}{}
	}
	v := big[7]
	fmt.Fprintln(w, big[49][199], huge[v], len(none), len(huge))
	p := map[string]func() api.Shape{"x": func() api.Shape { return api.Square{Side: generation} }}
	fmt.Fprintln(w, p["x"]().Area())
}

func clearing(w io.Writer) {
	m := map[point]int{{1, 1}: 1, {2, 2}: 2}
	c := maps.Clone(m)
	clear(m)
	fmt.Fprintln(w, len(m), len(c), maps.Equal(c, map[point]int{{1, 1}: 1, {2, 2}: 2}))
	maps.DeleteFunc(c, func(p point, n int) bool { return n == 1 })
	fmt.Fprintln(w, c, slices.Sorted(maps.Values(c)))
}

func hostMaps(w io.Writer) {
	s := api.Set[id]{}.Add(3, 1, 2, 1)
	fmt.Fprintln(w, api.Sorted(s), len(s))
	item := api.Item{Tags: map[string]string{"a": "b"}}
	item.Tags["c"] = "d"
	fmt.Fprintln(w, item.Tags, len(api.Registry))
}

type byLen []string

func (b byLen) Len() int           { return len(b) }
func (b byLen) Less(i, j int) bool { return len(b[i]) < len(b[j]) }
func (b byLen) Swap(i, j int)      { b[i], b[j] = b[j], b[i] }

func sorting(w io.Writer) {
	l := strings.Fields("pear fig banana apple kiwi cherry date")
	sort.Stable(byLen(l))
	fmt.Fprintln(w, l, sort.IsSorted(sort.Reverse(byLen(l))))
	sort.Slice(l, func(i, j int) bool { return l[i] > l[j] })
	fmt.Fprintln(w, l, sort.SearchInts([]int{1, 3, 5}, 4))
	n := make([]int, 500)
	for i := range n {
		n[i] = i * 7919 % 503
	}
	slices.Sort(n)
	fmt.Fprintln(w, n[0], n[250], n[499], slices.IsSorted(n))
	items := []api.Item{{Name: "b", Price: 1}, {Name: "a", Price: 1}, {Name: "c"}}
	slices.SortStableFunc(items, func(a, b api.Item) int { return cmp.Or(cmp.Compare(a.Price, b.Price), strings.Compare(a.Name, b.Name)) })
	for c := range slices.Chunk(items, 2) {
		fmt.Fprint(w, len(c), c[0].Name, " ")
	}
	fmt.Fprintln(w, slices.Insert([]id{1, 2}, 1, 8, 9), len(slices.Repeat([]id{1}, 3)) == 3)
}

type queue []*api.Item

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].Price < q[j].Price }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*api.Item)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

func containers(w io.Writer) {
	q := &queue{}
	for _, p := range []api.Money{5, 1, 9, 3} {
		heap.Push(q, &api.Item{Price: p})
	}
	for q.Len() > 0 {
		fmt.Fprint(w, heap.Pop(q).(*api.Item).Price, " ")
	}
	l := list.New()
	l.PushBack(point{1, 1})
	l.PushFront(id(2))
	for e := l.Front(); e != nil; e = e.Next() {
		fmt.Fprintf(w, "%v ", e.Value)
	}
	fmt.Fprintln(w)
}

func appending(w io.Writer) {
	var l []mixed
	for i := range 1000 {
		l = append(l, mixed{s: fmt.Sprint(i), i: &point{1, float32(i)}})
	}
	a := append([]*point(nil), make([]*point, 5)...)
	copy(a[1:], []*point{{1, 2}, {3, 4}})
	fmt.Fprintln(w, len(l), l[999].s, l[500].i.(*point).y, *a[2], a[0] == nil, min(3, generation, 2), max("a", "b"))
	s := []int{1, 2, 3}
	t := append(s[:1:1], 9)
	fmt.Fprintln(w, s, t, [3]int(s), *(*[2]int)(s))
}

var limit, _ = new(big.Int).SetString("123456789012345678901234567890", 10)

func bigNumbers(w io.Writer) {
	f := new(big.Int).MulRange(1, 60)
	fmt.Fprintln(w, f, f.BitLen(), new(big.Int).Exp(big.NewInt(3), limit, big.NewInt(1000007)), new(big.Int).ModInverse(big.NewInt(3), big.NewInt(11)))
	fmt.Fprintln(w, big.NewRat(3, 9), new(big.Float).SetPrec(100).Quo(big.NewFloat(1), big.NewFloat(3)), big.NewInt(97).ProbablyPrime(5), new(big.Int).Sqrt(limit))
	func() {
		defer func() { fmt.Fprintln(w, recover()) }()
		new(big.Int).Div(limit, new(big.Int))
	}()
}

func hashes(w io.Writer) {
	h := fnv.New64a()
	fmt.Fprint(h, "text", generation)
	fmt.Fprintln(w, h.Sum64(), crc32.ChecksumIEEE([]byte("text")))
	seed := maphash.MakeSeed()
	fmt.Fprintln(w, maphash.String(seed, "a") == maphash.String(seed, "a"), maphash.Comparable(seed, mixed{s: "a", i: 1}) == maphash.Comparable(seed, mixed{s: "a", i: 1}))
}

func random(w io.Writer) {
	r := rand.New(rand.NewPCG(1, generation))
	fmt.Fprintln(w, r.IntN(1000), r.Perm(8), r.Float64(), rand.N(1))
}
