package abi

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

// withItabs is a plugin with six itabs of three interfaces, which are the
// symbols 1 to 3.
func withItabs() tiny {
	p := plugin()
	p.itabs = []tinyItab{
		{"go:itab.a,I", 1, 11},
		{"go:itab.b,I", 1, 12},
		{"go:itab.c,I", 1, 13},
		{"go:itab.a,J", 2, 11},
		{"go:itab.b,K", 3, 12},
		{"go:itab.private,I", 1, 14},
	}
	return p
}

func shared(name string) bool { return !strings.Contains(name, "private") }

func hide(t *testing.T, file []byte, shadowed func(string) bool) ItabEdit {
	t.Helper()
	tables, err := ReadItabs(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	edit, err := tables.Hide(shadowed)
	if err != nil {
		t.Fatal(err)
	}
	return edit
}

// apply gives the edited file.
func apply(file []byte, edit ItabEdit) []byte {
	file = bytes.Clone(file)
	for _, w := range edit.Writes {
		copy(file[w.Offset:], w.Bytes)
	}
	return file
}

// pointsTo reads with the standard library what each itab's words become: the
// numbers of symbols for the interface and the type.
func pointsTo(t *testing.T, file []byte) map[string][2]uint32 {
	t.Helper()
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	syms, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	rela, err := f.Section(".rela.dyn").Data()
	if err != nil {
		t.Fatal(err)
	}
	to := map[uint64]uint32{}
	for ; len(rela) >= 24; rela = rela[24:] {
		to[binary.LittleEndian.Uint64(rela)] = uint32(binary.LittleEndian.Uint64(rela[8:]) >> 32)
	}
	words := map[string][2]uint32{}
	for _, s := range syms {
		if strings.HasPrefix(s.Name, "go:itab.") {
			words[s.Name] = [2]uint32{to[s.Value], to[s.Value+8]}
		}
	}
	return words
}

func TestShadowedItabsAreHiddenAndOthersAreNot(t *testing.T) {
	file := withItabs().build()
	edit := hide(t, file, shared)
	if edit.Hidden != 5 || len(edit.Left) > 0 {
		t.Errorf("hides %d and leaves %q, want 5 and none", edit.Hidden, edit.Left)
	}
	before, after := pointsTo(t, file), pointsTo(t, apply(file, edit))
	pairs := map[[2]uint32]string{}
	for name, words := range after {
		if !shared(name) {
			if words != before[name] {
				t.Errorf("%s was %v and is %v", name, before[name], words)
			}
			continue
		}
		if words[0] != before[name][0] {
			t.Errorf("%s is of interface %d, was of %d: its length is another", name, words[0], before[name][0])
		}
		if words[1] < 1 || words[1] > 3 || words[1] == words[0] {
			t.Errorf("%s is of interface %d and type %d, want another interface", name, words[0], words[1])
		}
		pairs[words] = name
	}
	if len(pairs) < 4 { // (1,2), (1,3) and one of them again, (2,3), (3,1)
		t.Errorf("too many are alike: %v", pairs)
	}
	// A second look sees the same.
	if again := hide(t, apply(file, edit), shared); !slices.EqualFunc(edit.Writes, again.Writes, func(a, b Write) bool {
		return a.Offset == b.Offset && bytes.Equal(a.Bytes, b.Bytes)
	}) {
		t.Error("the edited file gives another edit")
	}
}

func TestFileOfWhichNothingIsShadowedStaysAsItIs(t *testing.T) {
	edit := hide(t, withItabs().build(), func(string) bool { return false })
	if edit.Hidden+len(edit.Left)+len(edit.Writes) > 0 {
		t.Errorf("got %+v", edit)
	}
}

func TestLoneItabIsHidden(t *testing.T) {
	p := withItabs()
	p.itabs = p.itabs[:1]
	file := p.build()
	after := pointsTo(t, apply(file, hide(t, file, shared)))
	if got := after["go:itab.a,I"]; got != [2]uint32{1, 1} {
		t.Errorf("interface and type are symbols %v, want 1 and 1", got)
	}
}

// What Go's linker does not write is left alone: the others are hidden.
func TestOddItabsAreLeftAlone(t *testing.T) {
	order := binary.LittleEndian
	type place struct{ symbol, inter, typ int } // of the first itab, in the file
	for _, c := range []struct {
		name   string
		change func(b []byte, p place)
	}{
		{"without a relocation for the type", func(b []byte, p place) { order.PutUint64(b[p.typ:], 0) }},
		{"without a relocation for the interface", func(b []byte, p place) { order.PutUint64(b[p.inter:], 0) }},
		{"with two relocations for the type", func(b []byte, p place) {
			order.PutUint64(b[p.inter:], order.Uint64(b[p.typ:]))
		}},
		{"with another kind of relocation", func(b []byte, p place) { order.PutUint32(b[p.typ+8:], 6) }},
		{"too short", func(b []byte, p place) { order.PutUint64(b[p.symbol+16:], 24) }},
		{"that wraps around", func(b []byte, p place) { order.PutUint64(b[p.symbol+16:], 1<<64-8) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := withItabs().build()
			c.change(file, firstItab(t, file))
			edit := hide(t, file, shared)
			if edit.Hidden != 4 || !slices.Equal(edit.Left, []string{"go:itab.a,I"}) {
				t.Errorf("hides %d and leaves %q", edit.Hidden, edit.Left)
			}
		})
	}
	t.Run("that overlap", func(t *testing.T) {
		file := withItabs().build()
		order.PutUint64(file[firstItab(t, file).symbol+16:], 40)
		edit := hide(t, file, shared)
		if edit.Hidden != 3 || !slices.Equal(edit.Left, []string{"go:itab.a,I", "go:itab.b,I"}) {
			t.Errorf("hides %d and leaves %q", edit.Hidden, edit.Left)
		}
	})
	t.Run("that this file refers to without a name", func(t *testing.T) {
		file := withItabs().build()
		p := firstItab(t, file)
		for at := p.typ + 24; ; at += 24 { // the first relative relocation, of the module data
			if order.Uint64(file[at+8:]) == 8 {
				order.PutUint64(file[at+16:], order.Uint64(file[p.inter:]))
				break
			}
		}
		edit := hide(t, file, shared)
		if edit.Hidden != 4 || !slices.Equal(edit.Left, []string{"go:itab.a,I"}) {
			t.Errorf("hides %d and leaves %q", edit.Hidden, edit.Left)
		}
	})
	for name, change := range map[string]func(*tiny){
		"of another machine": func(p *tiny) { p.machine = 183 },
		"of 32 bits":         func(p *tiny) { p.machine, p.bits32 = 3, true },
		"of big endian":      func(p *tiny) { p.order = binary.BigEndian },
		"linked with -Bsymbolic": func(p *tiny) {
			p.sections = map[string][]byte{".dynamic": {30, 7: 0, 8: 2, 15: 0}}
		},
		"linked with -Bsymbolic, in the old way": func(p *tiny) {
			p.sections = map[string][]byte{".dynamic": {16, 15: 0}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := withItabs()
			change(&p)
			if edit := hide(t, p.build(), shared); edit.Hidden != 0 || len(edit.Left) != 5 {
				t.Errorf("hides %d and leaves %q", edit.Hidden, edit.Left)
			}
		})
	}
}

// firstItab finds where the file has what is known about the first itab.
func firstItab(t *testing.T, file []byte) (p struct{ symbol, inter, typ int }) {
	t.Helper()
	p.symbol = symbolNamed(t, file, bytes.Index(file, []byte("go:itab.a,I\x00")))
	f, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	p.inter = int(f.Section(".rela.dyn").Offset)
	p.typ = p.inter + 24
	return p
}

func TestItabsAreThoseThatOtherFilesCanReplace(t *testing.T) {
	all := []string{"go:itab.a,I", "go:itab.b,I", "go:itab.c,I", "go:itab.a,J", "go:itab.b,K", "go:itab.private,I"}
	for _, c := range []struct {
		name   string
		change func(sym []byte)
		want   []string
	}{
		{"all", func([]byte) {}, all},
		{"without a local one", func(s []byte) { s[4] = 1 }, all[1:]},
		{"without a protected one", func(s []byte) { s[5] = 3 }, all[1:]},
		{"without an undefined one", func(s []byte) { s[6] = 0 }, all[1:]},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := withItabs().build()
			c.change(file[firstItab(t, file).symbol:])
			tables, err := ReadItabs(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatal(err)
			}
			if got := tables.Names(); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestItabsWithEndlessNamesAreNotTakenForEachOther(t *testing.T) {
	p := plugin()
	long := "go:itab." + strings.Repeat("x", maxItabName)
	p.itabs = []tinyItab{{long + "1", 1, 2}, {long + "2", 1, 2}, {"go:itab.a,I", 1, 2}}
	file := p.build()
	tables, err := ReadItabs(bytes.NewReader(file), int64(len(file)))
	if err != nil || !slices.Equal(tables.Names(), []string{"go:itab.a,I"}) {
		t.Errorf("got %d names, %v", len(tables.Names()), err)
	}
}

func TestShadowedItabsHurtOneRelease(t *testing.T) {
	for version, want := range map[string]bool{
		"go1.27": true, "go1.27rc1": true, "go1.27.1": true, "go1.27.12 X:nodwarf5": true, "go1.27.1-X:nodwarf5": true,
		"go1.26.8": false, "go1.28.0": false, "go1.2": false, "go1.270": false, "devel go1.28-abcdef": false, "": false,
	} {
		if got := ShadowedItabsHurt(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

// Whatever the bytes are, the edit stays inside the file, and inside what the
// dynamic linker takes for relocations of it.
func FuzzHide(f *testing.F) {
	f.Add(withItabs().build())
	small := tiny{info: "", itabs: withItabs().itabs, pluginPath: "p"}
	f.Add(small.build())
	small.machine = 183
	f.Add(small.build())
	f.Fuzz(func(t *testing.T, file []byte) {
		counter := &countingReader{r: bytes.NewReader(file)}
		tables, err := ReadItabs(counter, int64(len(file)))
		var edit ItabEdit
		if err == nil {
			tables.Names()
			edit, err = tables.Hide(func(name string) bool { return !strings.HasSuffix(name, "private,I") })
		}
		if limit := 2*len(file) + maxReread; counter.n > limit {
			t.Errorf("read %d bytes of a file of %d", counter.n, len(file))
		}
		if err != nil {
			var e *Error
			if !asError(err, &e) || e.Reason == "" || strings.Contains(err.Error(), "tables failed") {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		if len(edit.Writes) != edit.Hidden {
			t.Errorf("%d writes hide %d itabs", len(edit.Writes), edit.Hidden)
		}
		for _, w := range edit.Writes {
			if len(w.Bytes) != 16 || w.Offset < 0 || w.Offset+16 > int64(len(file)) {
				t.Errorf("%d bytes at %d of %d", len(w.Bytes), w.Offset, len(file))
			}
		}
	})
}
