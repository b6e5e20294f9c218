package carry

// rows is a list that may get long: its elements stay where they are.
type rows[T any] struct {
	chunks [][]T
	n      int
}

const rowsInChunk = 1 << 10

func (r *rows[T]) add(v T) {
	if r.n%rowsInChunk == 0 {
		r.chunks = append(r.chunks, make([]T, 0, rowsInChunk))
	}
	last := &r.chunks[len(r.chunks)-1]
	*last = append(*last, v)
	r.n++
}

func (r *rows[T]) at(i int) *T { return &r.chunks[i/rowsInChunk][i%rowsInChunk] }
