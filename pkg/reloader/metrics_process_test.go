//go:build linux && cgo

package reloader_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// exposed is what a host tells: the metrics' types and labels, and the samples.
type exposed struct {
	types   map[string]string
	labels  map[string]map[string]bool
	samples map[string]float64 // by line without the value
}

// metrics asks a host for its metrics, and checks that they are what Prometheus
// reads: help and type before the samples, each sample once, names and kinds that
// agree, buckets that add up.
func (h *host) metrics(t *testing.T) exposed {
	t.Helper()
	c := h.dial()
	defer c.Close()
	fmt.Fprint(c, "GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := resp.Header.Get("Content-Type"); got != "text/plain; version=0.0.4; charset=utf-8" {
		t.Errorf("type %q", got)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return parseExposed(t, string(b))
}

var (
	sampleLine = regexp.MustCompile(`^([a-z_]+)(\{(.*)\})? (\S+)$`)
	labelPair  = regexp.MustCompile(`([a-z_]+)="((?:[^"\\]|\\.)*)"`)
)

func parseExposed(t *testing.T, text string) exposed {
	t.Helper()
	e := exposed{map[string]string{}, map[string]map[string]bool{}, map[string]float64{}}
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line does not end")
	}
	family, help, below := "", "", 0.0
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			help, rest, _ = strings.Cut(rest, " ")
			if e.types[help] != "" || !strings.HasPrefix(help, "hotgo_") || !strings.HasSuffix(rest, ".") {
				t.Errorf("%q: there twice, or not named or explained as the others", line)
			}
			continue
		}
		if rest, ok := strings.CutPrefix(line, "# TYPE "); ok {
			var kind string
			family, kind, _ = strings.Cut(rest, " ")
			if family != help || (kind == "counter") != strings.HasSuffix(family, "_total") {
				t.Errorf("%q follows the help of %s", line, help)
			}
			e.types[family], e.labels[family] = kind, map[string]bool{}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%q is no sample", line)
			continue
		}
		name, suffix := m[1], strings.TrimPrefix(m[1], family)
		kinds := []string{""}
		if e.types[family] == "histogram" {
			kinds = []string{"_bucket", "_sum", "_count"}
		}
		value, err := strconv.ParseFloat(m[4], 64)
		if _, twice := e.samples[name+m[2]]; twice || err != nil || !strings.HasPrefix(name, family) || !slices.Contains(kinds, suffix) || value < 0 {
			t.Errorf("%q in %s %s (%v)", line, e.types[family], family, err)
		}
		switch suffix {
		case "_bucket":
			if value < below {
				t.Errorf("%q: fewer than below", line)
			}
			if below = value; strings.Contains(m[3], `le="+Inf"`) {
				below = 0
			}
		case "_count":
			if with := strings.TrimSuffix(family+"_bucket{"+m[3]+",", ",") + `,le="+Inf"}`; m[3] != "" && e.samples[with] != value {
				t.Errorf("%q, but %s %g", line, with, e.samples[with])
			}
		}
		e.samples[name+m[2]] = value
		for _, l := range labelPair.FindAllStringSubmatch(m[3], -1) {
			e.labels[family][l[1]] = true
		}
	}
	return e
}

// family gives the family that a name in a query belongs to.
func (e exposed) family(name string) (string, bool) {
	if e.types[name] != "" {
		return name, e.types[name] != "histogram"
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok && e.types[base] == "histogram" {
			return base, true
		}
	}
	return "", false
}

// TestDocumentedMetricsAreThoseOfAHost asks a host that has loaded, failed and gone
// back, and holds the documents against it: the reference in both directions, and
// whatever the dashboard and the alerts ask for.
func TestDocumentedMetricsAreThoseOfAHost(t *testing.T) {
	t.Parallel()
	v := newVictim(t)
	v.loadsGood()
	if err := v.postJSON(t, "/v1/load", control.LoadRequest{Path: "/none", Digest: "sha256:" + strings.Repeat("0", 64)}); err == nil {
		t.Fatal("a file that is not there is loaded")
	}
	if err := v.postJSON(t, "/v1/rollback", control.RollbackRequest{Plugin: "pricing"}); err != nil {
		t.Fatal(err)
	}
	e := v.metrics(t)
	for line, least := range map[string]float64{
		`hotgo_loads_total{plugin="pricing",verdict="swapped"}`:            2,
		`hotgo_loads_total{plugin="",verdict="failed"}`:                    1,
		`hotgo_rollbacks_total{plugin="pricing",verdict="swapped"}`:        1,
		`hotgo_calls_total{call="load",code="ok"}`:                         2,
		`hotgo_calls_total{call="load",code="not-found"}`:                  1,
		`hotgo_load_duration_seconds_count`:                                2,
		`hotgo_load_phase_seconds_count{phase="load"}`:                     2,
		`hotgo_load_phase_seconds_sum{phase="verify"}`:                     1e-6,
		`hotgo_generation_mapped_bytes{plugin="pricing",generation="2"}`:   1 << 12,
		`hotgo_generation_resident_bytes{plugin="pricing",generation="1"}`: 1 << 12,
		`hotgo_connections{of="own"}`:                                      1,
		`hotgo_live_generation{plugin="pricing"}`:                          1,
		`hotgo_start_time_seconds`:                                         1.7e9,
	} {
		if got, ok := e.samples[line]; !ok || got < least {
			t.Errorf("%s %g, want at least %g", line, got, least)
		}
	}

	documents := filepath.Join("..", "..", "docs")
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(documents, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	reference := regexp.MustCompile("(?m)^\\| `(hotgo_[a-z_]+)` \\| (\\w+) \\| (.*?) \\|").FindAllStringSubmatch(read("metrics.md"), -1)
	documented := map[string]bool{}
	for _, row := range reference {
		name, kind := row[1], row[2]
		if documented[name] = true; e.types[name] != kind {
			t.Errorf("docs/metrics.md: %s is a %s, a host has %q", name, kind, e.types[name])
		}
		for _, l := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[3], -1) {
			if len(e.labels[name]) > 0 && !e.labels[name][l[1]] {
				t.Errorf("docs/metrics.md: %s has no label %s", name, l[1])
			}
		}
	}
	for name := range e.types {
		if !documented[name] {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
	}
	queries := dashboardQueries(t, read("grafana/hotgo.json"))
	alerts := alertQueries(t, read("alerts.yaml"))
	if len(queries) < 20 || len(alerts) < 10 {
		t.Errorf("%d queries and %d alerts are read: that is not all", len(queries), len(alerts))
	}
	for _, q := range append(queries, alerts...) {
		e.answers(t, q)
	}
}

var (
	metricName = regexp.MustCompile(`\bhotgo_[a-z_]+`)
	metricWith = regexp.MustCompile(`\b(hotgo_[a-z_]+)\{([^}]*)\}`)
	grouping   = regexp.MustCompile(`\bby \(([a-z_, ]*)\)`)
)

// answers checks that a query asks for what there is: metrics, and labels that one
// of them or Prometheus gives.
func (e exposed) answers(t *testing.T, query string) {
	t.Helper()
	given := map[string]bool{"job": true, "instance": true, "le": true}
	names := metricName.FindAllString(query, -1)
	if len(names) == 0 {
		t.Errorf("%q asks for nothing of a host's", query)
	}
	for _, name := range names {
		family, ok := e.family(name)
		if !ok {
			t.Errorf("%q asks for %s, which a host does not have", query, name)
		}
		for l := range e.labels[family] {
			given[l] = true
		}
	}
	for _, m := range metricWith.FindAllStringSubmatch(query, -1) {
		family, _ := e.family(m[1])
		for _, l := range regexp.MustCompile(`([a-z_]+)[=!]~?"`).FindAllStringSubmatch(m[2], -1) {
			if l[1] != "job" && l[1] != "instance" && len(e.labels[family]) > 0 && !e.labels[family][l[1]] {
				t.Errorf("%q: %s has no label %s", query, family, l[1])
			}
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(query, -1) {
		for l := range strings.SplitSeq(m[1], ", ") {
			if !given[l] {
				t.Errorf("%q groups by %s, which nothing has", query, l)
			}
		}
	}
	if strings.Count(query, "(") != strings.Count(query, ")") || strings.Count(query, "{") != strings.Count(query, "}") {
		t.Errorf("%q is not closed", query)
	}
}

// dashboardQueries gives the queries of a dashboard, whose panels lie side by side.
func dashboardQueries(t *testing.T, text string) (queries []string) {
	t.Helper()
	type target struct{ Expr string }
	var d struct {
		Title, UID string
		Panels     []struct {
			ID          int
			Title, Type string
			GridPos     struct{ X, Y, W, H int }
			Targets     []target
		}
		Annotations struct{ List []target }
		Templating  struct {
			List []struct{ Name, Query string }
		}
	}
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("the dashboard is no JSON: %v", err)
	}
	if d.Title == "" || d.UID == "" {
		t.Error("the dashboard has no name")
	}
	ids, cells := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 || p.Title == "" || p.Type == "" || len(p.Targets) == 0 {
			t.Errorf("panel %q is not complete, or there twice", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x > 23 {
					t.Fatalf("panel %q lies over %q, or beyond the edge", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			queries = append(queries, target.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		queries = append(queries, a.Expr)
	}
	for _, v := range d.Templating.List {
		if strings.HasPrefix(v.Query, "label_values(") {
			queries = append(queries, strings.TrimPrefix(v.Query, "label_values"))
		}
	}
	return queries
}

// alertQueries gives the expressions of the rules. It reads the form that they are
// written in here, not YAML.
func alertQueries(t *testing.T, text string) (queries []string) {
	t.Helper()
	_, rules, ok := strings.Cut(text, "    rules:\n")
	if !ok {
		t.Fatal("there are no rules")
	}
	seen := map[string]bool{}
	for rule := range strings.SplitSeq(strings.TrimPrefix(rules, "      - "), "\n      - ") {
		fields := map[string]string{}
		for line := range strings.SplitSeq(strings.TrimSuffix(rule, "\n"), "\n") {
			name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
			if !ok || fields[name] != "" || strings.Contains(line, "\t") {
				t.Errorf("%q is not of the form", line)
			}
			fields[name] = strings.TrimSpace(value)
		}
		for _, want := range []string{"alert", "expr", "severity", "summary", "description"} {
			if fields[want] == "" {
				t.Errorf("%s has no %s", fields["alert"], want)
			}
		}
		for _, text := range []string{fields["summary"], fields["description"]} {
			if len(text) < 2 || text[0] != '\'' || text[len(text)-1] != '\'' || strings.Contains(text[1:len(text)-1], "'") {
				t.Errorf("%s: %s is not in quotes", fields["alert"], text)
			}
		}
		if seen[fields["alert"]] {
			t.Errorf("%s is there twice", fields["alert"])
		}
		seen[fields["alert"]] = true
		queries = append(queries, fields["expr"])
	}
	return queries
}
