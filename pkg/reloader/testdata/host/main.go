// Command host is the process that the tests of package reloader load plugins
// into. It answers on its control socket, and calls the plugin once for each
// line on standard input: "N" gives "price generation" for that N.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

func run() error {
	h, err := reloader.New(reloader.Options{Name: "test", Socket: os.Args[1], Dir: os.Getenv("TEST_DIR"), OpenTimeout: time.Second})
	if err != nil {
		return err
	}
	price := reloader.Bind(h, "pricing", "Price", func(x int) int { return x })
	for range 2 { // callers while generations come and go
		go func() {
			for {
				if price.Get()(1) == 0 {
					panic("half a generation")
				}
				time.Sleep(time.Millisecond)
			}
		}()
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			return err
		}
		fmt.Println(price.Get()(n), price.Generation())
	}
	return h.Close()
}
