package goobj

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestArchiveNamesItsGoObjects(t *testing.T) {
	a := &Archive{Members: []Member{
		{PkgDef, []byte("go object linux amd64 export")},
		{"_go_.o", []byte("go object linux amd64")},
		{"asm_amd64.o", []byte("go object linux amd64.")},
		{"_x001.o", []byte("\x7fELF.")},
		{"dynimportfail", nil},
	}}
	got, err := ReadArchive(a.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if objects := got.Objects(); !slices.Equal(objects, []int{1, 2}) {
		t.Errorf("objects %v", objects)
	}
	for i, m := range a.Members {
		if g := got.Members[i]; g.Name != m.Name || !bytes.Equal(g.Data, m.Data) {
			t.Errorf("%q became %q", m, g)
		}
	}
}

func TestLongMemberNamesAreCut(t *testing.T) {
	a := &Archive{Members: []Member{{"a_very_long_name_amd64.o", []byte("x")}}}
	got, err := ReadArchive(a.Bytes())
	if err != nil || got.Members[0].Name != "a_very_long_name" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestBrokenArchiveIsRefused(t *testing.T) {
	whole := string((&Archive{Members: []Member{{"a.o", []byte("abcd")}}}).Bytes())
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "begins with"},
		{"other file", "!<thin>\n", "begins with"},
		{"header", whole[:40], "cut off"},
		{"data", whole[:len(whole)-1], "3 bytes left"},
		{"end of header", strings.Replace(whole, "`\n", "'\n", 1), "not a member header"},
		{"size", strings.Replace(whole, "4         `", "-4        `", 1), `size "-4`},
		{"huge size", strings.Replace(whole, "4         `", "9999999999`", 1), "bytes left"},
	} {
		if _, err := ReadArchive([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestReplacedArchiveKeepsForeignObjects(t *testing.T) {
	a := &Archive{Members: []Member{{PkgDef, []byte("go object export old")}, {"_x001.o", []byte("\x7fELF old")}}}
	if err := a.Replace("old", "new"); err != nil {
		t.Fatal(err)
	}
	if got := string(a.Members[0].Data) + string(a.Members[1].Data); got != "go object export new\x7fELF old" {
		t.Errorf("%q", got)
	}
}
