package builder

import "testing"

// What the compiler is asked to say besides is no part of an error.
func TestRemarksAreNoErrors(t *testing.T) {
	const output = `./a.go:3:6: can inline f with cost 4 as: func() { return }
./a.go:4:10: inlining call to fmt.Sprint
./a.go:5:7: leaking param: p to result ~r0 level=0
./a.go:5:7: mutates param: p derefs=0
./a.go:6:2: moved to heap: x
./a.go:7:5: "a" + b escapes to heap
./a.go:8:5: ... argument does not escape
./a.go:9:3: stack frame too large (>1GB): 1025 MB locals + 0 MB args
./a.go:10:12: pattern *.txt: cannot embed: no matching files found
`
	const want = `./a.go:9:3: stack frame too large (>1GB): 1025 MB locals + 0 MB args
./a.go:10:12: pattern *.txt: cannot embed: no matching files found
`
	if got := withoutRemarks(output); got != want {
		t.Errorf("got\n%s", got)
	}
}
