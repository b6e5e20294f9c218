// Command takeover is a host without a single port of its own: the plugin in
// plugins/echo owns one, and hands it from version to version.
package main

import (
	"fmt"
	"log"
	"os"
	"os/signal"

	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	h, err := reloader.New(reloader.Options{Name: "takeover"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("takeover: push plugins/echo, then connect to localhost:7007")
	<-stop
	if err := h.Close(); err != nil {
		log.Fatal(err)
	}
}
