// Command minimal greets once a second. Edit plugins/greet while it runs.
package main

import (
	"fmt"
	"log"
	"time"

	"github.com/hotgo/hotgo/examples/minimal/plugins/greet"
	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	h, err := reloader.New(reloader.Options{Name: "minimal"})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	hello := reloader.Bind(h, "greet", "Hello", greet.Hello)
	for n := 1; ; n++ {
		fmt.Println(hello.Get()(n))
		time.Sleep(time.Second)
	}
}
