// Command host opens plugins and answers how many types are broken, first in
// itself and then as each plugin sees it.
//
//	host load|open FILE...
//
// "load" goes by a reloader.Host, "open" leaves it to package plugin.
package main

import (
	"context"
	"fmt"
	"os"
	"plugin"

	"github.com/hotgo/hotgo/pkg/reloader"
	"github.com/hotgo/hotgo/pkg/reloader/testdata/itabs/faults"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

func run(how string, files []string) error {
	h, err := reloader.New(reloader.Options{NoSocket: true})
	if err != nil {
		return err
	}
	defer h.Close()
	broken := reloader.Bind(h, "faults", "Broken", faults.Broken)
	for _, file := range files {
		if how == "open" {
			_, err = plugin.Open(file)
		} else {
			_, err = h.Load(context.Background(), file)
		}
		if err != nil {
			return err
		}
		fmt.Println(faults.Broken(), broken.Get()())
	}
	return nil
}
