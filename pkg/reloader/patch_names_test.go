package reloader

import (
	"slices"
	"testing"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

func TestWhatTheBuilderAddedIsNotAmongTheNamesOfAPatch(t *testing.T) {
	p := &artifact.Patch{}
	for _, name := range []string{
		"example.com/shop/rates/hotgo_0123456789ab.HotgoState", "example.com/shop/rates/hotgo_0123456789ab.HotgoSymbols",
		"example.com/shop/rates/hotgo_0123456789ab.Rate", "example.com/shop/run/hotgo_0123456789ab.hotgoState",
	} {
		p.Functions = append(p.Functions, artifact.PatchedFunction{Name: name})
	}
	if got := shortNames(p); !slices.Equal(got, []string{"rates.Rate"}) {
		t.Errorf("%q", got)
	}
}
