//go:build linux && amd64 && cgo

package livepatching_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/builder/internal/buildtest"
	"github.com/hotgo/hotgo/pkg/builder/internal/hosttest"
)

// TestTypesThatLeadToEachOtherAreComparedOnce has types of which each leads to all
// others, in eight steps in as many ways as nobody can wait for.
func TestTypesThatLeadToEachOtherAreComparedOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a host")
	}
	var web strings.Builder
	web.WriteString("\n-- part/web.go --\npackage part\n\n")
	const types = 16
	for i := range types {
		fmt.Fprintf(&web, "type T%d struct {\n", i)
		for j := range types {
			fmt.Fprintf(&web, "\tF%d *T%d\n", j, j)
		}
		fmt.Fprintf(&web, "}\n\nfunc (t *T%d) Next() *T%d { return t.F%[2]d }\n\nvar V%[1]d any = &T%[1]d{}\n\n", i, (i+1)%types)
	}
	web.WriteString("func Web() any {\n\tif t, ok := V1.(*T1); ok {\n\t\treturn *t\n\t}\n\treturn *V2.(*T2)\n}\n")
	f := hosttest.New(t, driftModule+web.String())
	f.Edit("main.go", "part.Exported(1),", "part.Exported(1), part.Web(),")
	f.Host = filepath.Join(t.TempDir(), "host")
	b := buildtest.New(f, builder.Options{})
	defer b.Close()
	if _, err := b.BuildHost(t.Context(), ".", f.Host); err != nil {
		t.Fatal(err)
	}
	f.Edit("part/part.go", `"hidden"`, `"HIDDEN"`)
	p, err := b.PlanPatch(t.Context(), builder.Host{Binary: f.Host}, nil)
	if err != nil {
		t.Fatal(planError(err))
	}
	if p.Verdict != builder.CanPatch {
		t.Errorf("verdict %s", planned(p))
	}
}
