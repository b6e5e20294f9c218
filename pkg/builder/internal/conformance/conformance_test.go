//go:build linux && cgo

// Package conformance_test holds plugins against what their sources mean: the same
// sources (testdata/module, a module of its own because of its dependencies) compiled
// three ways, which all have to print the same.
//
//	truth   into a plain program: what the code means
//	full    by go build -buildmode=plugin, loaded into a host
//	thin    linked against that host, loaded into it
//
// Every plugin has three generations, which live side by side in one process;
// the old ones run again after the new ones came. Everything runs once as it is
// and once while the garbage collector works all the time and checks its own
// marks.
package conformance_test

import (
	"fmt"
	"strings"
	"testing"
)

// conformance lists the plugins. What their rows are about stands in the
// fixtures themselves: see Rows in each.
var conformance = []struct {
	plugin  string
	about   string
	short   bool   // also where not everything is run
	notThin string // part of the reason why it cannot be thin; "" expects that it is
}{
	{plugin: "bare", about: "nothing that the host lacks", short: true},
	{plugin: "types", about: "methods, embedding, assertions, comparison, reflection", short: true},
	{plugin: "generic", about: "generic code of host and plugin, over types of both", short: true},
	{plugin: "flow", about: "panics, runtime errors, iterators, jump tables", short: true},
	{plugin: "memory", about: "variables and objects under garbage collection", short: true},
	{plugin: "collect", about: "maps, slices, big numbers, hashes"},
	{plugin: "concurrent", about: "goroutines, channels, contexts, timers, sync"},
	{plugin: "initial", about: "initialisers of several private packages, embedded files, linknames"},
	{plugin: "native", about: "cgo and assembly in private packages"},
	{plugin: "trace", about: "names and lines in stacks and profiles"},
	{plugin: "encode", about: "json, gob, xml and fmt over types of both"},
	{plugin: "text", about: "templates, regexp, parsers, slog, time, programs"},
	{plugin: "storage", about: "database/sql, archives, images, cryptography"},
	{plugin: "web", about: "net/http servers and clients, tls, proxies, rpc"},
	{plugin: "proto", about: "protobuf messages, from a module that the host lacks"},
}

const (
	generations    = 3
	fullGeneration = 2 // the one that is built in full, too: each costs a second
)

// pressure is how a process runs.
var pressure = []struct {
	name string
	env  []string
}{
	{"calm", nil},
	{"collecting", []string{"GOGC=1", "GODEBUG=gccheckmark=1", "CONFORMANCE_COLLECT=1"}},
}

func TestThinAndFullBehaveAsBuiltIn(t *testing.T) {
	s := newSuite(t)
	for gen := 1; gen <= generations; gen++ {
		s.generation(gen)
	}
	for _, row := range conformance {
		if !s.covers(row.plugin) {
			continue
		}
		t.Run(row.plugin, func(t *testing.T) {
			labels := labelsOf(row.plugin)
			if reason := s.notThin(labels); (reason == "") != (row.notThin == "") || !strings.Contains(reason, row.notThin) {
				t.Errorf("not thin because of %q, want %q", reason, row.notThin)
			}
			s.compare(t, "full", labels[fullGeneration-1:fullGeneration], func(string) string { return "full" })
			s.compare(t, "thin", labels, func(string) string { return "thin" })
		})
	}
	// What each does alone it also has to do in company, and a host may have
	// taken some of its plugins in one form and some in the other.
	var all []string
	for _, row := range conformance {
		if s.covers(row.plugin) {
			all = append(all, labelsOf(row.plugin)...)
		}
	}
	t.Run("all thin", func(t *testing.T) { s.compare(t, "thin", all, func(string) string { return "thin" }) })
	t.Run("mixed", func(t *testing.T) {
		s.compare(t, "mixed", all, func(label string) string {
			if strings.HasSuffix(label, fmt.Sprint(":", fullGeneration)) {
				return "full"
			}
			return "thin"
		})
	})
	s.report()
}

// labelsOf names the generations of a plugin.
func labelsOf(plugin string) []string {
	var labels []string
	for gen := 1; gen <= generations; gen++ {
		labels = append(labels, fmt.Sprint(plugin, ":", gen))
	}
	return labels
}
