// The plain program of the conformance suite: truth LABEL... prints what host
// prints for these plugins, which are compiled into it.
package main

import (
	"fmt"
	"os"
	"strings"

	"example.com/conformance/plugins/bare"
	"example.com/conformance/plugins/collect"
	"example.com/conformance/plugins/concurrent"
	"example.com/conformance/plugins/encode"
	"example.com/conformance/plugins/flow"
	"example.com/conformance/plugins/generic"
	"example.com/conformance/plugins/initial"
	"example.com/conformance/plugins/memory"
	"example.com/conformance/plugins/native"
	"example.com/conformance/plugins/proto"
	"example.com/conformance/plugins/storage"
	"example.com/conformance/plugins/text"
	"example.com/conformance/plugins/trace"
	"example.com/conformance/plugins/types"
	"example.com/conformance/plugins/web"
	"example.com/conformance/rows"
)

var plugins = map[string]func() []rows.Row{
	"bare": bare.Rows, "collect": collect.Rows, "concurrent": concurrent.Rows, "encode": encode.Rows, "flow": flow.Rows,
	"generic": generic.Rows, "initial": initial.Rows, "memory": memory.Rows, "native": native.Rows, "proto": proto.Rows,
	"storage": storage.Rows, "text": text.Rows, "trace": trace.Rows, "types": types.Rows, "web": web.Rows,
}

func main() {
	for _, time := range []string{"first", "again"} {
		for _, label := range os.Args[1:] {
			plugin, _, _ := strings.Cut(label, ":")
			fmt.Printf("## %s %s\n", label, time)
			rows.Print(os.Stdout, plugins[plugin]())
		}
	}
	fmt.Printf("## types\n## end\n")
}
