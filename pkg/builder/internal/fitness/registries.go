package fitness

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"
)

// registry is calls of one package that enter something into a table which the
// process has once.
type registry struct {
	calls []string // functions, or methods of a variable; NAME* is every name that begins so
	again string   // what a call does when another generation repeats it
}

const (
	panics   = "panics when another generation repeats it"
	first    = "has no effect when another generation repeats it: the first entry wins"
	fails    = "gives an error when another generation repeats it"
	replaces = "replaces what an earlier generation entered, and a rollback does not bring that back"
	piles    = "adds to what earlier generations entered, which stays"
)

// flags are the functions that define command-line flags.
var flags = []string{"Bool*", "Duration*", "Float*", "Func", "Int*", "String*", "TextVar", "Uint*", "Var"}

// registries is what is known, by import path. Of the standard library it was
// read in Go 1.26.8, of other modules in the versions named.
var registries = map[string][]registry{
	"flag":         {{append(of("CommandLine", flags), flags...), panics}}, // (*FlagSet).Var: flag redefined
	"net/http":     {{[]string{"Handle", "HandleFunc", "DefaultServeMux.Handle*"}, panics}},
	"expvar":       {{[]string{"Publish", "New*"}, panics}},
	"database/sql": {{[]string{"Register"}, panics}},
	"archive/zip":  {{[]string{"RegisterCompressor", "RegisterDecompressor"}, panics}},
	"runtime/pprof": {
		{[]string{"NewProfile"}, panics},
	},
	"net/rpc": {
		{[]string{"HandleHTTP", "DefaultServer.HandleHTTP"}, panics}, // http.Handle
		{[]string{"Register", "RegisterName", "DefaultServer.Register*"}, fails},
	},
	// A type of the plugin has another import path in each generation, so under
	// its default name gob does not take it for the same one.
	"encoding/gob": {
		{[]string{"RegisterName"}, panics},
		{[]string{"Register"}, "enters the type under the name that it has in this generation alone: values encoded by another one are not decoded"},
	},
	"image":  {{[]string{"RegisterFormat"}, first}}, // sniff asks in order of registration
	"crypto": {{[]string{"RegisterHash"}, replaces}},
	"mime":   {{[]string{"AddExtensionType"}, replaces}},
	"os/signal": {
		{[]string{"Notify", "NotifyContext"}, "has every generation told of signals, those that retired too"},
	},
	"time": {
		{[]string{"AfterFunc"}, "starts code that runs whether or not its generation serves"},
	},
	"context": {
		{[]string{"AfterFunc"}, "starts code that runs whether or not its generation serves"},
	},

	"github.com/spf13/pflag": {{append(of("CommandLine", pflags), pflags...), panics}}, // v1.0.10
	"github.com/spf13/cobra": {{[]string{"OnInitialize", "OnFinalize"}, piles}},        // v1.10.2
	"github.com/prometheus/client_golang/prometheus": { // v1.12.1
		{[]string{"MustRegister", "DefaultRegisterer.MustRegister"}, panics},
		{[]string{"Register", "DefaultRegisterer.Register"}, fails},
	},
	"github.com/prometheus/client_golang/prometheus/promauto": {{[]string{"New*"}, panics}},
	"google.golang.org/grpc/encoding":                         {{[]string{"RegisterCodec*", "RegisterCompressor"}, replaces}}, // v1.80.0
	"google.golang.org/grpc/resolver":                         {{[]string{"Register"}, replaces}},
	"google.golang.org/grpc/balancer":                         {{[]string{"Register"}, replaces}},
	// What protoc-gen-go writes (protobuf v1.36.12). The file's name is what
	// counts, and it is the same in each generation.
	"google.golang.org/protobuf/runtime/protoimpl":     {{[]string{"TypeBuilder.Build"}, panics}},
	"google.golang.org/protobuf/reflect/protoregistry": {{[]string{"GlobalFiles.Register*", "GlobalTypes.Register*"}, panics}},
	"go.uber.org/zap": {{[]string{"RegisterEncoder", "RegisterSink"}, fails}}, // v1.27.1
}

// pflags are the same functions of pflag, with those of its own types.
var pflags = []string{
	"Bool*", "Bytes*", "Count", "CountP", "CountVar*", "Duration*", "Float*", "Func", "FuncP", "IP*", "Int*", "String*",
	"TextVar*", "Time*", "Uint*", "Var*",
}

// of gives methods of a variable.
func of(variable string, methods []string) []string {
	var all []string
	for _, m := range methods {
		all = append(all, variable+"."+m)
	}
	return all
}

// registers tells whether a call of another package is in the table, and what
// a second one does.
func registers(importPath, call string) (again string, ok bool) {
	for _, r := range registries[importPath] {
		for _, pattern := range r.calls {
			prefix, open := strings.CutSuffix(pattern, "*")
			if call == pattern || open && strings.HasPrefix(call, prefix) && !strings.Contains(call[len(prefix):], ".") {
				return r.again, true
			}
		}
	}
	return "", false
}

// MayRegister looks for the names of registries and their calls as text, which
// takes some hundredths of the time of [Inspect]. Where it says no, Inspect finds
// no registration.
func MayRegister(pkgs []Package) bool {
	for _, p := range pkgs {
		for _, f := range p.Files {
			for importPath, all := range registries {
				imported := bytes.Contains(f.Data, []byte(`"`+importPath+`"`)) || bytes.Contains(f.Data, []byte("`"+importPath+"`"))
				if imported && mentions(f.Data, all) {
					return true
				}
			}
		}
	}
	return false
}

// mentions reports whether a call of registries stands somewhere in a source.
func mentions(src []byte, all []registry) bool {
	for _, r := range all {
		for _, call := range r.calls {
			name, open := strings.CutSuffix(call, "*")
			if variable, method, ok := strings.Cut(name, "."); ok {
				if !bytes.Contains(src, []byte(variable)) {
					continue
				}
				name = method
			}
			for rest := src; ; {
				i := bytes.Index(rest, []byte(name))
				if i < 0 {
					break
				}
				rest = rest[i+len(name):]
				next, _ := utf8.DecodeRune(rest)
				if open || !unicode.IsLetter(next) && !unicode.IsDigit(next) && next != '_' {
					return true
				}
			}
		}
	}
	return false
}
