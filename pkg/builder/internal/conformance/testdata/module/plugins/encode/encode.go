// Package encode has codecs that find types, tags and methods by reflection.
package encode

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/csv"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.com/conformance/api"
	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "json of own types", Run: jsonOwn},
		{Name: "json of host types", Run: jsonHost},
		{Name: "json errors", Run: jsonErrors},
		{Name: "gob", Run: gobs},
		{Name: "xml", Run: xmls},
		{Name: "csv, base64, hex", Run: plain},
		{Name: "binary", Run: binaries},
		{Name: "fmt verbs", Run: verbs},
		{Name: "fmt scanning", Run: scanning},
	}
}

type colour int

func (c colour) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "colour-%d", int(c)), nil }

func (c *colour) UnmarshalText(b []byte) error {
	_, err := fmt.Sscanf(string(b), "colour-%d", (*int)(c))
	return err
}

type order struct {
	ID      int               `json:"id" xml:"id,attr"`
	Items   []api.Item        `json:"items" xml:"item"`
	Colour  colour            `json:"colour" xml:"colour"`
	ByColor map[colour]string `json:"by_color,omitempty" xml:"-"`
	Shape   api.Shape         `json:"shape,omitempty" xml:"-"`
	Next    *order            `json:"next,omitempty" xml:"next"`
	private int
	line
}

type line struct {
	Street string `json:"street,omitzero"`
	No     [2]int `json:"no" xml:"no"`
}

func sample() *order {
	return &order{
		ID: generation, Items: []api.Item{{Name: "cup", Price: 150, Tags: map[string]string{"b": "2", "a": "1"}}}, Colour: 3,
		ByColor: map[colour]string{2: "two", 1: "one"}, Shape: api.Square{Side: 2}, private: 1, line: line{No: [2]int{1, 2}}, Next: &order{ID: 2},
	}
}

func jsonOwn(w io.Writer) {
	b, err := json.MarshalIndent(sample(), "", " ")
	fmt.Fprintln(w, string(b), err)
	var o order
	err = json.Unmarshal(bytes.Replace(b, []byte(`"Side": 2`), nil, 1), &o)
	fmt.Fprintln(w, err)
	o = order{}
	err = json.Unmarshal([]byte(`{"id":7,"items":[{"name":"x","price":"1.05"}],"colour":"colour-9","by_color":{"colour-4":"f"},"next":{"street":"s","no":[5,6]}}`), &o)
	fmt.Fprintln(w, o.ID, o.Items[0].Price, int(o.Colour), o.ByColor[4], o.Next.Street, o.Next.No, err)
	var any map[string]any
	err = json.Unmarshal(b, &any)
	fmt.Fprintln(w, any["items"], any["next"], err)
	d := json.NewDecoder(strings.NewReader(`{"id":1} {"id":2,"unknown":3}`))
	d.DisallowUnknownFields()
	for {
		var o order
		if err := d.Decode(&o); err != nil {
			fmt.Fprintln(w, err)
			break
		}
		fmt.Fprintln(w, o.ID)
	}
}

func jsonHost(w io.Writer) {
	b, err := json.Marshal(map[string]any{"m": api.Money(5), "b": api.Box[colour]{V: 2}, "i": &api.Item{Name: "<&>"}, "p": api.Pair[string, line]{}})
	fmt.Fprintln(w, string(b), err)
	var p api.Pair[colour, []api.Money]
	err = json.Unmarshal([]byte(`{"Key":"colour-8","Val":["1.00","2.50"]}`), &p)
	fmt.Fprintln(w, int(p.Key), p.Val, err)
}

func jsonErrors(w io.Writer) {
	for _, s := range []string{`{"id":"x"}`, `{"id":1.5}`, `{"items":{}}`, `{"items":[{"price":"x"}]}`, `{"colour":"blue"}`, `{`, `{"shape":{}}`, `{"next":[]}`} {
		err := json.Unmarshal([]byte(s), &order{})
		var te *json.UnmarshalTypeError
		var he *api.Error
		fmt.Fprintln(w, err, errors.As(err, &te), errors.As(err, &he))
	}
	_, err := json.Marshal(struct{ C chan colour }{})
	fmt.Fprintln(w, err)
}

type message struct {
	Name  string
	Lines []line
	Any   any
	M     map[string]*api.Item
}

type payload struct{ Data [generation]byte }

func gobs(w io.Writer) {
	gob.RegisterName(fmt.Sprint("payload", generation), payload{})
	var buf bytes.Buffer
	in := message{Name: "n", Lines: []line{{Street: "s", No: [2]int{1, 2}}}, Any: payload{}, M: map[string]*api.Item{"k": {Name: "i", Price: 9}}}
	fmt.Fprintln(w, gob.NewEncoder(&buf).Encode(in))
	var out message
	err := gob.NewDecoder(&buf).Decode(&out)
	fmt.Fprintln(w, err, out.Name, out.Lines, out.Any == any(payload{}), out.M["k"].Price)
}

func xmls(w io.Writer) {
	o := sample()
	o.Shape, o.ByColor = nil, nil
	b, err := xml.MarshalIndent(o, "", " ")
	fmt.Fprintln(w, string(b), err)
	var back order
	err = xml.Unmarshal(b, &back)
	fmt.Fprintln(w, back.ID, len(back.Items), int(back.Colour), back.Next != nil, err)
	fmt.Fprintln(w, xml.Unmarshal([]byte("<a><b></a>"), &back))
}

func plain(w io.Writer) {
	c := csv.NewWriter(w)
	_ = c.WriteAll([][]string{{"a", `b "q"`}, {"c,d", "e\nf"}})
	all, err := csv.NewReader(strings.NewReader("x,\"y\"\n1")).ReadAll()
	var pe *csv.ParseError
	fmt.Fprintln(w, all, err, errors.As(err, &pe))
	_, err = base64.StdEncoding.DecodeString("a*b")
	fmt.Fprintln(w, base64.URLEncoding.EncodeToString([]byte{255, 254, generation}), err, hex.Dump([]byte("0123456789abcdefg")))
}

type header struct {
	Magic [4]byte
	Size  uint32
	At    struct{ X, Y int16 }
	F     float32
}

func binaries(w io.Writer) {
	var buf bytes.Buffer
	h := header{Magic: [4]byte{'h', 'o', 't', '0' + generation}, Size: 1 << 20, F: 1.5}
	h.At.Y = -2
	fmt.Fprintln(w, binary.Write(&buf, binary.BigEndian, &h), buf.Bytes(), binary.Size(h))
	var back header
	fmt.Fprintln(w, binary.Read(&buf, binary.BigEndian, &back), back == h)
	fmt.Fprintln(w, binary.AppendUvarint(nil, 300), binary.LittleEndian.Uint64([]byte("12345678")), binary.Write(w, binary.LittleEndian, map[int]int{}))
}

type secretive struct{ s string }

func (secretive) Format(f fmt.State, verb rune) { fmt.Fprintf(f, "format %c %t", verb, f.Flag('+')) }

type panicky struct{}

func (*panicky) String() string { panic("no string") }

func verbs(w io.Writer) {
	o := sample()
	o.Next, o.Items[0].Tags = nil, nil
	for _, v := range []any{
		*o,
		line{},
		colour(3), api.Money(5),
		api.Square{Side: 1},
		api.Item{Name: "n"},
		[]line{{}},
		map[colour]line{2: {}, 1: {}},
		[2]any{1, nil},
		struct {
			line
			E error
		}{},
		api.Temporary{After: 1},
		&api.Error{Code: 1},
		secretive{},
		&panicky{}, (*panicky)(nil),
		api.Box[line]{},
		"é", 3 + 4i, []byte("b"),
	} {
		fmt.Fprintf(w, "%v | %+v | %T\n", v, v, v)
		fmt.Fprintf(w, "%#v\n", v)
	}
	fmt.Fprintf(w, "%d %x %08.3f %-5s| %+q %U %t %e\n", colour(3), "hex", 3.14159, "ab", "é", '⌘', true, 1e9)
	wrong := "%[2]d %[1]d %d %s %!\n" // a variable: vet knows constants
	fmt.Fprintf(w, wrong, 1, 2)
}

func scanning(w io.Writer) {
	var a int
	var b string
	var c float64
	n, err := fmt.Sscanf("7 seven 7.5", "%d %s %g", &a, &b, &c)
	fmt.Fprintln(w, a, b, c, n, err)
	n, err = fmt.Sscan("1 x", &a, &c)
	fmt.Fprintln(w, n, err)
}
