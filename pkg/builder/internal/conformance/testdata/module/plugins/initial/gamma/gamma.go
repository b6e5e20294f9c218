// Package gamma is initialised first.
package gamma

// Log is what happened, in order.
var Log = []string{"gamma.Log"}

func init() { Log = append(Log, "gamma.init") }
