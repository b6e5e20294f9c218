// Package alpha has variables that others point to.
package alpha

import (
	"example.com/conformance/api"
	"example.com/conformance/plugins/initial/gamma"
)

// Name is a constant.
const Name = "alpha"

// Default is pointed to from beta.
var Default = struct {
	N int
	S string
}{3, "default"}

// Items is a map that is filled when the package is initialised.
var Items = map[string]*api.Item{"one": {Name: "first"}, "two": {Name: "second"}}

func init() { gamma.Log = append(gamma.Log, "alpha.init") }
