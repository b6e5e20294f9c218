// Package rollout decides in what order targets get a new version, and what becomes
// of those that have it when one fails.
//
// A [Plan] is a value that can be printed. [Run] carries it out, and knows of targets
// only their numbers.
package rollout

import (
	"fmt"
	"strconv"
	"strings"
)

// Strategy is an order of targets.
type Strategy string

// The strategies.
const (
	All     Strategy = "all"     // at once; what one refuses, the others still get
	Rolling Strategy = "rolling" // a few at a time; the first failure stops
	Canary  Strategy = "canary"  // one, then the others; the first failure stops
)

// Strategies lists them as people read them.
var Strategies = []string{string(All), string(Rolling), string(Canary)}

// atOnce bounds how many targets are changed at the same time where nobody said it:
// each takes a connection, an open file, and the machine's attention.
const atOnce = 16

// Share is a number of targets, or a part of all of them. The zero value leaves it to
// the strategy.
type Share struct {
	Count   int
	Percent int // where Count is 0
}

// ParseShare reads "3" or "25%"; "" is the zero value.
func ParseShare(text string) (Share, error) {
	if text == "" {
		return Share{}, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.Atoi(digits)
	switch {
	case err != nil:
		return Share{}, fmt.Errorf("%q is neither a number of hosts nor a percentage", text)
	case n < 1:
		return Share{}, fmt.Errorf("%s hosts at a time change nothing", text)
	case percent && n > 100:
		return Share{}, fmt.Errorf("%s are more than all hosts", text)
	case percent:
		return Share{Percent: n}, nil
	}
	return Share{Count: n}, nil
}

// of gives the number among n targets, unset where nobody said it. A percentage is
// rounded down, but never to none.
func (s Share) of(n, unset int) int {
	switch {
	case s.Count > 0:
		return s.Count
	case s.Percent > 0:
		return max(1, n*s.Percent/100)
	}
	return unset
}

// Options say how a rollout goes. The zero value is everything at once.
type Options struct {
	Strategy       Strategy // "" is All
	MaxUnavailable Share    // targets changed at the same time; unset: 1 where rolling
	NoUndo         bool     // what has the new version when one fails keeps it
}

// Plan is the order of a rollout.
type Plan struct {
	// Batches hold targets by their numbers. Those of a batch are changed together,
	// at most AtOnce at the same time, and all of them have ended before the next
	// batch begins.
	Batches [][]int
	AtOnce  int
	Current int  // how many of the first batch have the version already
	Canary  bool // the first target that has to change goes alone
	Stop    bool // a batch with a failure is the last
	Undo    bool // then what was changed is set back
}

// New plans for targets 0 to n-1. current tells those that have the new version
// already: they are asked first, all together, for what tries a version out is a
// target that gets it.
func New(o Options, n int, current func(target int) bool) Plan {
	var have, lack []int
	for target := range n {
		if current(target) {
			have = append(have, target)
		} else {
			lack = append(lack, target)
		}
	}
	if o.Strategy == "" || o.Strategy == All {
		p := Plan{AtOnce: o.MaxUnavailable.of(n, atOnce)}
		if n > 0 {
			p.Batches = [][]int{append(have, lack...)}
		}
		return p
	}
	p := Plan{AtOnce: max(atOnce, o.MaxUnavailable.of(n, 1)), Current: len(have), Stop: true, Undo: !o.NoUndo, Canary: o.Strategy == Canary && len(lack) > 0}
	if len(have) > 0 {
		p.Batches = append(p.Batches, have)
	}
	size := o.MaxUnavailable.of(len(lack), 1)
	if p.Canary {
		p.Batches, lack = append(p.Batches, lack[:1]), lack[1:]
		size = o.MaxUnavailable.of(len(lack), len(lack))
	}
	for len(lack) > 0 {
		k := min(size, len(lack))
		p.Batches, lack = append(p.Batches, lack[:k:k]), lack[k:]
	}
	return p
}

// Describe says the plan in one line for people. name gives what a target is called.
func (p Plan) Describe(name func(target int) string) string {
	batches := p.Batches
	var said []string
	if p.Current > 0 {
		said = append(said, fmt.Sprintf("%s the version already", has(p.Current)))
		batches = batches[1:]
	}
	if p.Canary {
		said = append(said, name(batches[0][0])+" first, alone")
		batches = batches[1:]
	}
	left := 0
	for _, b := range batches {
		left += len(b)
	}
	switch {
	case left == 0:
	case len(batches) == 1:
		said = append(said, hosts(left)+" together")
	default:
		said = append(said, fmt.Sprintf("%s, %d at a time", hosts(left), len(batches[0])))
	}
	return strings.Join(said, "; then ")
}

func hosts(n int) string {
	if n == 1 {
		return "1 host"
	}
	return strconv.Itoa(n) + " hosts"
}

func has(n int) string {
	if n == 1 {
		return "1 host has"
	}
	return strconv.Itoa(n) + " hosts have"
}
