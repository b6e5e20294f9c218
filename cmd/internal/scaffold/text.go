package scaffold

import "strings"

// pluginText is a plugin of one function.
const pluginText = `// Package hello is a plugin: edit it while the program runs.
package hello

import "fmt"

// Hello gives the greeting for the n-th second.
func Hello(n int) string {
	return fmt.Sprintf("hello, second %d", n)
}
`

// hostText is a program that uses it.
const hostText = `// A program whose greeting can be edited while it runs.
package main

import (
	"fmt"
	"log"
	"time"

	"{{.Path}}/plugins/hello"
	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	host, err := reloader.New(reloader.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()

	// The last argument is what runs until a plugin is loaded.
	greet := reloader.Bind(host, "hello", "Hello", hello.Hello)
	for n := 1; ; n++ {
		fmt.Println(greet.Get()(n))
		time.Sleep(time.Second)
	}
}
`

// adviceText says how to wire a program that is there.
func adviceText(module, plugin string) string {
	text := `in the program that should reload, once at start-up:

	host, err := reloader.New(reloader.Options{}) // github.com/hotgo/hotgo/pkg/reloader
	greet := reloader.Bind(host, "NAME", "Func", NAME.Func) // MODULE/plugins/NAME

and greet.Get()(…) where NAME.Func(…) was called`
	if plugin == "" {
		return strings.ReplaceAll(text, "MODULE", module)
	}
	return strings.NewReplacer("MODULE", module, "NAME.Func", plugin+".Hello", `"Func"`, `"Hello"`, "NAME", plugin).Replace(text)
}
