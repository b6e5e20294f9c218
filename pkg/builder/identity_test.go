package builder

import (
	"strings"
	"testing"
)

// Each row is a plugin that is edited once. Both versions are loaded into one
// host process and must behave as written, side by side.
func TestVersionsLiveSideBySide(t *testing.T) {
	rows := []struct {
		name, archive        string
		pattern              string // default ./plugins/pricing
		work                 string // where the builder runs, below the root
		flags                []string
		file, old, new, want string
	}{
		{
			name: "root package",
			archive: `
-- plugins/pricing/pricing.go --
package pricing

func Run() string { return "v1" }
`, file: "plugins/pricing/pricing.go", old: "v1", new: "v2", want: "v1\nv2",
		},
		{
			name: "sub-packages with incompatible exports, each with its own init",
			archive: `
-- plugins/pricing/pricing.go --
package pricing

import "example.com/shop/plugins/pricing/internal/calc"

func Run() string { return calc.Text() }
-- plugins/pricing/internal/calc/calc.go --
package calc

import "fmt"

type T struct{ A int }

var t T

func init() { t.A++ }

func Text() string { return fmt.Sprintf("%T %+v", t, t) }
`, file: "plugins/pricing/internal/calc/calc.go", old: "A int }", new: "B, A int }", want: "calc.T {A:1}\ncalc.T {B:0 A:1}",
		},
		{
			name: "package main",
			archive: `
-- plugins/pricing/main.go --
package main

import "fmt"

type t struct{}

func Run() string { return fmt.Sprintf("%T one", t{}) }

func main() {}
`, file: "plugins/pricing/main.go", old: "one", new: "two", want: "main.t one\nmain.t two",
		},
		{
			name: "the host's built-in, with a type shared through the host",
			archive: `
-- server/uses/uses.go --
package uses

import (
	_ "example.com/shop/api"
	_ "example.com/shop/plugins/pricing"
)
-- api/api.go --
package api

var Count int
-- plugins/pricing/pricing.go --
package pricing

import (
	"fmt"

	"example.com/shop/api"
	"example.com/shop/plugins/pricing/sub"
)

func Run() string { api.Count++; return fmt.Sprint(sub.V, " ", api.Count) }
-- plugins/pricing/sub/sub.go --
package sub

const V = "one"
`, file: "plugins/pricing/sub/sub.go", old: "one", new: "two", want: "one 1\ntwo 2",
		},
		{
			name: "embedded files: string, bytes, glob and FS",
			archive: `
-- plugins/pricing/pricing.go --
package pricing

import "embed"

//go:embed data/a.txt
var s string

//go:embed data/*.txt data/deep
var fs embed.FS

func Run() string {
	b, err := fs.ReadFile("data/deep/c.txt")
	if err != nil {
		return err.Error()
	}
	es, _ := fs.ReadDir("data")
	return s[:1] + string(b[:1]) + es[1].Name()
}
-- plugins/pricing/data/a.txt --
1
-- plugins/pricing/data/b.txt --
x
-- plugins/pricing/data/deep/c.txt --
1
`, file: "plugins/pricing/data/deep/c.txt", old: "1", new: "2", want: "11b.txt\n12b.txt",
		},
		{
			name: "cgo with headers beside, below and above, embedded files and C code",
			archive: `
-- plugins/pricing/pricing.go --
package pricing

// #cgo CFLAGS: -I${SRCDIR}/inc
// #include "beside.h"
// #include "below.h"
// #include "../above.h"
import "C"

import (
	_ "embed"
	"fmt"
)

//go:embed inc/text.txt
var text string

func Run() string { return fmt.Sprint(C.beside(), C.BELOW, C.ABOVE, " ", text[:1]) }
-- plugins/pricing/beside.h --
int beside(void);
-- plugins/pricing/beside.c --
#include "beside.h"
#include "inc/below.h"
int beside(void) { return 10 + BELOW; }
-- plugins/pricing/inc/below.h --
#define BELOW 2
-- plugins/pricing/inc/text.txt --
t
-- plugins/above.h --
#define ABOVE 3
`, file: "plugins/pricing/inc/below.h", old: "2", new: "4", want: "12 2 3 t\n14 4 3 t",
		},
		{
			name: "assembly in a sub-package",
			archive: `
-- plugins/pricing/pricing.go --
package pricing

import (
	"fmt"

	"example.com/shop/plugins/pricing/asm"
)

func Run() string { return fmt.Sprint(asm.Add(1, 2)) }
-- plugins/pricing/asm/asm.go --
package asm

func Add(a, b int) int
-- plugins/pricing/asm/asm_amd64.s --
#include "textflag.h"

TEXT ·Add(SB),NOSPLIT,$0-24
	MOVQ a+0(FP), AX
	ADDQ b+8(FP), AX
	MOVQ AX, ret+16(FP)
	RET
-- plugins/pricing/asm/asm_arm64.s --
#include "textflag.h"

TEXT ·Add(SB),NOSPLIT,$0-24
	MOVD a+0(FP), R0
	MOVD b+8(FP), R1
	ADD R1, R0
	MOVD R0, ret+16(FP)
	RET
`, file: "plugins/pricing/pricing.go", old: "Add(1, 2)", new: "Add(2, 2)", want: "3\n4",
		},
		{
			name: "linkname between private packages",
			archive: `
-- plugins/pricing/pricing.go --
package pricing

import (
	_ "unsafe"

	_ "example.com/shop/plugins/pricing/hidden"
)

//go:linkname secret example.com/shop/plugins/pricing/hidden.secret
func secret() string

func Run() string { return secret() }
-- plugins/pricing/empty.s --
-- plugins/pricing/hidden/hidden.go --
package hidden

func secret() string { return "one" }

var _ = secret
`, file: "plugins/pricing/hidden/hidden.go", old: "one", new: "two", want: "one\ntwo",
		},
		{
			name: "build tags of the host choose files",
			archive: `
-- plugins/pricing/pricing.go --
package pricing

func Run() string { return edition + "1" }
-- plugins/pricing/pro.go --
//go:build pro

package pricing

const edition = "pro"
-- plugins/pricing/free.go --
//go:build !pro

package pricing

const edition = "free"
`, flags: []string{"-tags=pro"}, file: "plugins/pricing/pricing.go", old: "1", new: "2", want: "pro1\npro2",
		},
		{
			name: "generated files keep the positions that they claim",
			archive: `
-- plugins/pricing/pricing.go --
package pricing

func Run() string { return where() + "1" }
-- plugins/pricing/rules.gen.go --
// Code generated by rulec. DO NOT EDIT.

package pricing

import (
	"fmt"
	"path/filepath"
	"runtime"
)

//line rules.y:40
func where() string { _, f, l, _ := runtime.Caller(0); return fmt.Sprint(filepath.Base(filepath.Dir(f)), "/", filepath.Base(f), ":", l, " ") }
`, file: "plugins/pricing/pricing.go", old: "1", new: "2", want: "pricing/rules.y:40 1\npricing/rules.y:40 2",
		},
		{
			name: "workspace: the plugin is a module of its own, with cgo",
			archive: `
-- go.work --
go 1.26

use (
	./app
	./plugs
)
-- app/go.mod --
module example.com/shop

go 1.26
-- plugs/go.mod --
module example.com/plugs

go 1.26

require example.com/shop v0.0.0
-- app/api/api.go --
package api

func Name() string { return "api" }
-- app/server/uses/uses.go --
package uses

import _ "example.com/shop/api"
-- plugs/pricing/pricing.go --
package pricing

import "example.com/shop/api"

// static int one(void) { return 1; }
import "C"

func Run() string { return api.Name() + string(rune('0'+C.one())) }
`, work: "plugs", pattern: "./pricing", file: "plugs/pricing/pricing.go", old: "return 1", new: "return 2", want: "api1\napi2",
		},
		{
			name: "replace: the plugin lies in a module that go.mod points at",
			archive: `
-- go.mod --
module example.com/shop

go 1.26

require example.com/plugs v0.0.0

replace example.com/plugs => ./plugs
-- server/uses/uses.go --
package uses

import _ "example.com/plugs/pricing"
-- plugs/go.mod --
module example.com/plugs

go 1.26
-- plugs/pricing/pricing.go --
package pricing

import "example.com/plugs/pricing/sub"

func Run() string { return sub.V }
-- plugs/pricing/sub/sub.go --
package sub

const V = "one"
`, pattern: "example.com/plugs/pricing", file: "plugs/pricing/sub/sub.go", old: "one", new: "two", want: "one\ntwo",
		},
		{
			name: "vendor directory",
			archive: `
-- go.mod --
module example.com/shop

go 1.26

require example.com/lib v1.0.0
-- vendor/modules.txt --
# example.com/lib v1.0.0
## explicit; go 1.26
example.com/lib
-- vendor/example.com/lib/lib.go --
package lib

func V() string { return "lib" }
-- server/uses/uses.go --
package uses

import _ "example.com/lib"
-- plugins/pricing/pricing.go --
package pricing

import "example.com/lib"

func Run() string { return lib.V() + "1" }
`, file: "plugins/pricing/pricing.go", old: `"1"`, new: `"2"`, want: "lib1\nlib2",
		},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			archive := row.archive
			if !strings.Contains(archive, "server/uses/") {
				archive += usesNothing
			}
			main := hostMain
			if strings.Contains(archive, "-- app/go.mod --") {
				main = strings.ReplaceAll(main, "-- server/", "-- app/server/")
				archive = strings.ReplaceAll(archive, "-- server/", "-- app/server/")
			}
			f := newFixture(t, archive+main)
			f.Work = f.Root + "/" + row.work
			if strings.Contains(archive, "-- app/go.mod --") {
				f.Env = append(f.Env, "PWD="+f.Work)
				root := f.Root
				f.Root += "/app"
				f.buildHost(row.flags...)
				f.Root = root
			} else {
				f.buildHost(row.flags...)
			}
			b := f.builder(Options{})
			pattern := row.pattern
			if pattern == "" {
				pattern = "./plugins/pricing"
			}
			before := f.files()
			one := f.build(b, pattern)
			if f.files() != before {
				t.Error("the build wrote into the user's tree")
			}
			f.Edit(row.file, row.old, row.new)
			two := f.build(b, pattern)
			if one.Digest == two.Digest {
				t.Error("the edit did not change the artifact")
			}
			if got := f.run(one, two); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}
