//go:build linux

package abi

import (
	"debug/elf"
	"os"
	"strings"
	"testing"
)

func TestDynamicSymbolsAreThoseOfTheStandardLibrary(t *testing.T) {
	for _, name := range []string{"host.bin", "good.so", "stripped.so"} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(built(t, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			file, err := elf.NewFile(f)
			if err != nil {
				t.Fatal(err)
			}
			want, err := file.DynamicSymbols()
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			err = EachDynamicSymbol(f, info.Size(), func(s DynamicSymbol) {
				w := want[n]
				n++
				if s.Value != w.Value || s.Size != w.Size || s.Defined != (w.Section != elf.SHN_UNDEF) || !strings.HasPrefix(w.Name, string(s.Name)) || len(s.Name) < min(len(w.Name), maxName) {
					t.Fatalf("symbol %d: %q %+v, want %+v", n, s.Name, s, w)
				}
			})
			if err != nil || n != len(want) {
				t.Errorf("%d symbols of %d, %v", n, len(want), err)
			}
		})
	}
}
