// The host of the conformance suite: host PLUGIN:LABEL=ARTIFACT...
//
// It loads the artifacts in order and prints the rows of each as it becomes
// live; then the rows of all of them once more, the retired ones included; then
// whether any generation took a value of another's types for its own. With
// CONFORMANCE_COLLECT set it collects garbage all the while.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// version is one loaded artifact.
type version struct {
	label  string
	rows   func() []rows.Row
	values []any
	mine   func(any) bool
}

func main() {
	h, err := reloader.New(reloader.Options{NoSocket: true})
	if err != nil {
		fmt.Println("host:", err)
		os.Exit(1)
	}
	defer h.Close()
	uses()
	if os.Getenv("CONFORMANCE_COLLECT") != "" {
		go func() {
			for {
				runtime.GC()
			}
		}()
	}
	list := map[string]*reloader.Handle[func() []rows.Row]{}
	identity := map[string]*reloader.Handle[func() ([]any, func(any) bool)]{}
	var loaded []version
	for _, arg := range os.Args[1:] {
		label, path, _ := strings.Cut(arg, "=")
		plugin, _, _ := strings.Cut(label, ":")
		if list[plugin] == nil {
			list[plugin] = reloader.Bind[func() []rows.Row](h, plugin, "Rows", nil)
			identity[plugin] = reloader.Bind[func() ([]any, func(any) bool)](h, plugin, "Identity", nil)
		}
		if _, err := h.Load(context.Background(), path); err != nil {
			fmt.Printf("## load %s\n-- error\n\t%v\n", label, err)
			os.Exit(1)
		}
		v := version{label: label, rows: list[plugin].Get()}
		v.values, v.mine = identity[plugin].Get()()
		loaded = append(loaded, v)
		fmt.Printf("## %s first\n", label)
		rows.Print(os.Stdout, v.rows())
	}
	for _, v := range loaded {
		fmt.Printf("## %s again\n", v.label)
		rows.Print(os.Stdout, v.rows())
	}
	fmt.Printf("## types\n")
	for _, of := range loaded {
		for _, by := range loaded {
			for _, value := range of.values {
				if by.mine(value) != (of.label == by.label) {
					fmt.Printf("-- %s\n\t%T of %s: %t\n", by.label, value, of.label, by.mine(value))
				}
			}
		}
	}
	fmt.Println("## end")
}

// uses is what the host itself does with the shared package: little, so that
// most of it is pruned.
func uses() {
	b := api.Box[string]{V: "host"}
	b.Set(api.Registry["square"].Name())
	item, err := api.Find("thing")
	if err != nil || item.Total(2) == 0 || b.Get() == "" {
		panic("the host's own types do not work")
	}
}
