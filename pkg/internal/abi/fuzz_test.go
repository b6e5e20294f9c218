package abi

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// Whatever the bytes are, Read gives a fingerprint that Compare can work with
// or an *Error, reads no more than it may, and does not need its safety net.
func FuzzRead(f *testing.F) {
	for _, t := range []tiny{plugin(), host()} {
		f.Add(t.build())
		t.bits32, t.machine = true, 3
		f.Add(t.build())
		t.bits32, t.machine, t.order = false, 22, binary.BigEndian
		f.Add(t.build())
	}
	small := tiny{goVersion: "go1.26.8", info: "build\t-buildmode=plugin\n", packages: map[string]Hash{"p": {1}}, inits: []string{"p"}, pluginPath: "p"}
	f.Add(small.build())
	fit := host().build()
	f.Fuzz(func(t *testing.T, file []byte) {
		counter := &countingReader{r: bytes.NewReader(file)}
		fp, err := Read(counter, int64(len(file)))
		if limit := 2*len(file) + maxReread; counter.n > limit {
			t.Errorf("read %d bytes of a file of %d", counter.n, len(file))
		}
		if err != nil {
			var e *Error
			if !asError(err, &e) || e.Reason == "" {
				t.Errorf("%T: %v", err, err)
			}
			if bytes.Contains([]byte(err.Error()), []byte("reading it failed")) {
				t.Errorf("it took the safety net: %v", err)
			}
			return
		}
		if fp.Kind == Plugin && fp.PluginPath == "" {
			t.Error("plugin without a plugin path")
		}
		h, err := Read(bytes.NewReader(fit), int64(len(fit)))
		if err != nil {
			t.Fatal(err)
		}
		proc := &Process{}
		Compare(h, fp, proc)
		proc.Add(fp, "a", false)
		Compare(h, fp, proc)
		Compare(fp, h, proc)
	})
}

func asError(err error, target **Error) bool {
	e, ok := err.(*Error)
	*target = e
	return ok
}
