// Package shapes declares one value of every kind of type that the grammar of
// package typename has a rule for.
package shapes

import (
	"context"
	"fmt"
	"io"
	"sync"
	"unsafe"
)

type (
	Order          struct{ ID int }
	Set[T any]     map[string]T
	Pair[A, B any] struct {
		First  A
		Second B
	}
	Alias  = Order
	Sealed interface {
		io.Reader
		Name() string
		seal(byte) rune
	}
	List[T any] struct{ Next *List[T] }
)

var (
	Basics  [3]func(bool, string, int, int8, int64, uint, uint8, byte, rune, uintptr, float32, complex128, error, any)
	Pointer unsafe.Pointer
	Generic Set[int]
	Nested  Pair[Set[*Order], func(context.Context, ...string) (int, error)]
	Struct  struct {
		Order
		*sync.Mutex
		ID   int `json:"id" xml:"a b"`
		note []byte
		Pair[int, string]
	}
	Iface interface {
		fmt.Stringer
		Zed(a, b int) (x, y string)
		hidden()
	}
	Interface Sealed
	Chans     struct {
		A chan int
		B <-chan chan<- Order
		C chan (<-chan int)
		D chan<- func()
	}
	Aliased Alias
	Linked  *List[Pair[string, *Order]]
	Map     map[Pair[int, bool]][]map[string]struct{}
	InArgs  Set[struct {
		A int `k:"v"`
		b string
	}]
	IfaceArg Set[interface{ M(int) error }]
	ChanArg  Pair[chan (<-chan int), [4]rune]
)

func Variadic(format string, args ...any) (n int, err error) { return 0, nil }

func NoResult(o Alias, s Set[Alias]) {}

func Generic1[T any](T) {}

func Price(ctx context.Context, o *Order) Pair[int, error] { return Pair[int, error]{} }

var _ = Struct.note
