package abi

import (
	"bytes"
	"strings"
	"testing"
)

func FuzzEachDynamicSymbol(f *testing.F) {
	for _, t := range []tiny{plugin(), host()} {
		f.Add(t.build())
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		n := 0
		err := EachDynamicSymbol(bytes.NewReader(file), int64(len(file)), func(s DynamicSymbol) { n += len(s.Name) })
		var e *Error
		if err != nil && (!asError(err, &e) || strings.Contains(err.Error(), "reading its symbols failed")) {
			t.Errorf("%T: %v", err, err)
		}
		if n > maxSymbols*maxName {
			t.Errorf("%d bytes of names", n)
		}
	})
}
