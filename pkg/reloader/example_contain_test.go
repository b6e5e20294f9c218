package reloader_test

import (
	"errors"
	"fmt"

	"github.com/hotgo/hotgo/pkg/reloader"
)

// total gives an error where the plugin panics.
func total(price *reloader.Handle[func(int) int], items int) (cents int, err error) {
	call := price.Begin()
	defer call.Contain(&err)
	return call.F(items), nil
}

// checked reports which calls count against the plugin.
func checked(price *reloader.Handle[func(int) int], items int) (int, error) {
	call := price.Begin()
	cents := call.F(items)
	if cents < 0 {
		err := errors.New("a negative price")
		call.Observe(err)
		return 0, err
	}
	call.Observe(nil)
	return cents, nil
}

func ExampleCall_Contain() {
	h, err := reloader.New(reloader.Options{NoSocket: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	table := []int{0, 120, 230}
	price := reloader.Bind(h, "pricing", "Price", func(items int) int { return table[items] })
	fmt.Println(total(price, 2))
	fmt.Println(total(price, 3))
	// Output:
	// 230 <nil>
	// 0 pricing panicked in generation 0: runtime error: index out of range [3] with length 3
}

func ExampleCall_Observe() {
	h, err := reloader.New(reloader.Options{NoSocket: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	price := reloader.Bind(h, "pricing", "Price", func(items int) int { return 120 * items })
	fmt.Println(checked(price, 2))
	fmt.Println(checked(price, -2))
	p := h.Status().Plugins[0]
	fmt.Println(p.Calls, "calls,", p.Errors, "of them with an error")
	// Output:
	// 240 <nil>
	// 0 a negative price
	// 2 calls, 1 of them with an error
}
