// Package text has templates, parsers and printers.
package text

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	htmltemplate "html/template"
	"io"
	"iter"
	"log"
	"log/slog"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"text/tabwriter"
	"text/template"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "text templates", Run: templates},
		{Name: "html templates", Run: html},
		{Name: "regexp", Run: expressions},
		{Name: "tabwriter and bufio", Run: tables},
		{Name: "go parser", Run: goSource},
		{Name: "slog", Run: logs},
		{Name: "time", Run: times},
		{Name: "unicode", Run: letters},
		{Name: "strings", Run: builders},
		{Name: "paths and urls", Run: paths},
		{Name: "another program", Run: program},
	}
}

type cart struct {
	Items []*api.Item
	Owner owner
}

type owner string

func (o owner) Upper() string             { return strings.ToUpper(string(o)) }
func (o *owner) Pointer() string          { return "pointer to " + string(*o) }
func (c cart) Sum() (m api.Money)         { return c.Items[0].Total(generation) }
func (c cart) Fail(n int) (string, error) { return "", &api.Error{Code: n, Text: "on purpose"} }

func (c *cart) Each() iter.Seq2[int, api.Item] {
	return func(yield func(int, api.Item) bool) { yield(1, *c.Items[0]) }
}

const page = `{{define "item"}}{{.Name | printf "%-5s|"}} {{.Total 2}}{{end -}}
{{range $i, $e := .Items}}{{$i}} {{template "item" $e}}
{{end}}{{.Owner.Upper}} {{.Owner.Pointer}} {{.Sum}} {{len .Items}} {{index .Items 0 | name}} {{if gt .Sum 1}}more{{else}}less{{end}}
{{range $i, $e := .Each}}{{$i}}{{$e.Name}}{{end}}{{with $x := "y"}}{{$x}}{{end}}
`

func sample() *cart {
	return &cart{Items: []*api.Item{{Name: "cup", Price: 150}, {Name: "<jar>", Price: 2}}, Owner: "ann & bob"}
}

func templates(w io.Writer) {
	t, err := template.New("page").Funcs(template.FuncMap{"name": func(i *api.Item) string { return i.Name }}).Parse(page)
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, t.Execute(w, sample()))
	for _, bad := range []string{"{{.Fail 3}}", "{{.Nothing}}", "{{.Owner.Upper 1}}", "{{index .Items 9}}", "{{"} {
		t, err := template.New("bad").Parse(bad)
		if err == nil {
			err = t.Execute(io.Discard, sample())
		}
		fmt.Fprintln(w, err)
	}
}

func html(w io.Writer) {
	t := htmltemplate.Must(htmltemplate.New("h").Parse(`<a href="/?q={{.Owner}}" onclick="f({{.Items}})">{{.Owner}}</a>{{range .Items}}<b>{{.Name}}</b>{{end}}`))
	fmt.Fprintln(w, t.Execute(w, sample()))
}

var word = regexp.MustCompile(`(?i)(?P<first>\w)(\w*)`)

func expressions(w io.Writer) {
	fmt.Fprintln(w, word.ReplaceAllStringFunc("hello wide world", func(s string) string { return strings.ToUpper(s[:generation]) + s[generation:] }))
	fmt.Fprintln(w, word.FindAllStringSubmatchIndex("ab cd", -1), word.SubexpNames(), word.ReplaceAllString("ab cd", "$2${first}"))
	fmt.Fprintln(w, regexp.MustCompile(`^(a+)+(\d{2,3})[^x-z]*?$`).FindStringSubmatch("aaa123bcd"), regexp.MustCompile(`\p{Greek}+`).FindString("abc αβγ"))
	_, err := regexp.Compile("a(")
	fmt.Fprintln(w, err)
}

func tables(w io.Writer) {
	t := tabwriter.NewWriter(w, 4, 8, 1, '.', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprintln(t, "a\tbb\tccc")
	fmt.Fprintf(t, "%d\t%v\t%s\n", generation, api.Money(1), "x")
	t.Flush()
	s := bufio.NewScanner(strings.NewReader("one two\nthree"))
	s.Split(bufio.ScanWords)
	for s.Scan() {
		fmt.Fprint(w, s.Text(), ";")
	}
	r := bufio.NewReaderSize(strings.NewReader("line\nrest"), 16)
	l, err := r.ReadString('\n')
	rest, err2 := r.ReadString('\n')
	fmt.Fprintf(w, "%q %v %q %v\n", l, err, rest, err2)
}

func goSource(w io.Writer) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", "package x\nfunc  F( a int)(string){ return  `x`+ g(1)}\ntype T[P any] struct{ A P }", parser.ParseComments)
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if n != nil {
			fmt.Fprint(w, strings.TrimPrefix(fmt.Sprintf("%T", n), "*ast."), " ")
		}
		return true
	})
	fmt.Fprintln(w)
	fmt.Fprintln(w, format.Node(w, fset, f))
	_, err = parser.ParseExpr("a +")
	fmt.Fprintln(w, err)
}

type password string

func (password) LogValue() slog.Value { return slog.StringValue("***") }

func logs(w io.Writer) {
	drop := func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	for _, h := range []slog.Handler{
		slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: drop, Level: slog.LevelDebug}),
		slog.NewJSONHandler(w, &slog.HandlerOptions{ReplaceAttr: drop}),
	} {
		l := slog.New(h).With("generation", generation).WithGroup("g")
		l.Info("hello", "price", api.Money(5), "secret", password("x"), slog.Group("in", "err", api.ErrGone))
		l.DebugContext(context.Background(), "debug", "owner", owner("o"))
	}
	log.New(w, "prefix ", log.Lmsgprefix).Println("plain", owner("o"))
}

func times(w io.Writer) {
	t := time.Date(2024, time.February, 29, 13, 4, 5, 678, time.FixedZone("CEST", 7200))
	fmt.Fprintln(w, t.Format(time.RFC1123Z), t.Format("Jan _2 06 03:04:05.000000000PM"), t.UTC(), t.AddDate(1, 0, 0).Weekday(), t.YearDay())
	p, err := time.Parse(time.RFC3339, "2024-13-01T00:00:00Z")
	fmt.Fprintln(w, p, err)
	d, err := time.ParseDuration("1h15m30.918s")
	fmt.Fprintln(w, d, d.Round(time.Minute), err, t.Truncate(time.Hour).Sub(t), t.Compare(t.Add(generation)))
	b, err := t.MarshalBinary()
	fmt.Fprintln(w, len(b), err)
}

func letters(w io.Writer) {
	fmt.Fprintln(w, unicode.IsUpper('É'), unicode.In('я', unicode.Cyrillic, unicode.Han), unicode.ToTitle('ǆ'), unicode.SimpleFold('K'), unicode.IsSpace('\u2003'), len(unicode.Scripts) > 100)
	fmt.Fprintln(w, strings.ToUpper("straße ı"), strings.Title("a b"), strings.EqualFold("ΣΑΣ", "σας"), utf8.RuneCountInString("héé"), utf16.Encode([]rune("𝄞a")), strings.ToValidUTF8("a\xffb", "?"))
}

func builders(w io.Writer) {
	var b strings.Builder
	for i := range 40 {
		fmt.Fprintf(&b, "%d%c", i*generation, 'a'+i%26)
	}
	fmt.Fprintln(w, b.Len(), b.String())
	fmt.Fprintln(w, strings.NewReplacer("a", "1", "bb", "2", "c", "").Replace("aabbbcc"), strings.Fields(" a  b "), strings.Map(func(r rune) rune { return r + generation }, "abc"))
	fmt.Fprintln(w, strconv.Quote("é\x00\n"), strconv.FormatFloat(1.0/3, 'g', 5, 32), bytes.EqualFold([]byte("A"), []byte("a")), strings.Compare("a", "b"))
	_, err := strconv.Atoi("12x")
	_, err2 := strconv.ParseInt("99999999999999999999", 10, 64)
	_, err3 := strconv.ParseFloat("1e999", 64)
	fmt.Fprintln(w, err, err2, err3)
	before, after, found := strings.Cut("k=v=w", "=")
	fmt.Fprintln(w, before, after, found, strings.LastIndexByte("abcabc", 'b'), strings.Index(strings.Repeat("ab", 100)+"c", "bc"))
}

func paths(w io.Writer) {
	u, err := url.Parse("https://u:p@example.com:8080/a%2Fb/../c?q=1&q=2&z=%C3%A9#frag")
	fmt.Fprintln(w, u.Host, u.Path, u.EscapedPath(), u.Query()["q"], u.Query().Get("z"), u.User, u.JoinPath("../d"), err)
	_, err = url.Parse("http://[::1")
	m, _ := filepath.Match("*.go", "x.go")
	fmt.Fprintln(w, err, m, filepath.Clean("/a/../b//c"), filepath.Ext("x.tar.gz"))
}

func program(w io.Writer) {
	err := exec.Command("true").Run()
	cmd := exec.Command("cat")
	cmd.Stdin = strings.NewReader("through a pipe")
	out, err2 := cmd.Output()
	fmt.Fprintln(w, err, string(out), err2)
	err = exec.Command("false").Run()
	_, err2 = exec.LookPath("no-such-program")
	fmt.Fprintln(w, err, err2)
}
