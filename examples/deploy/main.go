// Command deploy is a service that runs as several processes, one for each address.
// Its prices are a plugin that is deployed by itself.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/hotgo/hotgo/examples/deploy/plugins/price"
	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: deploy ADDRESS")
	}
	h, err := reloader.New(reloader.Options{Name: "shop"})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	of := reloader.Bind(h, "price", "Of", price.Of)
	http.HandleFunc("GET /price", func(w http.ResponseWriter, r *http.Request) {
		items, err := strconv.Atoi(r.FormValue("items"))
		if err != nil {
			http.Error(w, "how many items?", http.StatusBadRequest)
			return
		}
		fmt.Fprintln(w, of.Get()(items))
	})
	l, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening on", l.Addr())
	log.Fatal(http.Serve(l, nil))
}
