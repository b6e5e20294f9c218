package goobj

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const head = "go object linux amd64 go1.26.8 GOAMD64=v1 X:none\nbuild id \"lib\"\n\n!\n"

// sample is an object with a record in every block.
func sample() *Object {
	return &Object{
		Head:        head,
		Fingerprint: [8]byte{1, 2, 3, 4, 5, 6, 7, 8},
		Flags:       ObjFlagShared,
		Imports:     []Import{{Path: "dep", Fingerprint: [8]byte{9}}},
		Packages:    []string{"", "dep"},
		Files:       []string{"lib.go"},
		Defs: []Symbol{
			{
				Name: "lib.F", ABI: ABIInternal, Type: KindText, Flag: FlagLeaf, Size: 4, Align: 32,
				Relocs: []Reloc{
					{Off: 1, Size: 4, Type: 7, Add: -3, Sym: Ref{1, 5}},
					{Off: 2, Size: 4, Type: 14, Sym: Ref{PkgHashed, 0}},
					{Off: 3, Type: 22},
				},
				Aux:  []Aux{{AuxFuncInfo, Ref{PkgSelf, 1}}, {AuxGotype, Ref{PkgNone, 1}}},
				Data: []byte("\x90\x90\x90\xc3"),
			},
			{Type: KindData, Data: sampleFuncInfo(), Size: uint32(len(sampleFuncInfo()))},
		},
		Hashed64:   []Symbol{{Name: "$s.8", Type: KindROData, Flag: FlagLocal, Size: 4, Hash: []byte("lib!\x00\x00\x00\x00"), Data: []byte("lib!")}},
		Hashed:     []Symbol{{Name: "type:.importpath.lib.", Type: KindROData, Size: 12, Hash: []byte("0123456789abcdef"), Data: []byte("\x00\x03lib")}},
		NonPkgDefs: []Symbol{{Name: "type:int", Type: KindROData, Flag: FlagDupOK, Size: 64, Relocs: []Reloc{{Sym: Ref{PkgSelf, 0}}}}},
		NonPkgRefs: []Symbol{{Name: "type:string"}},
		RefFlags:   []RefFlag{{Sym: Ref{1, 5}, Flag2: Flag2UsedInIface}},
		RefNames:   []RefName{{Sym: Ref{1, 5}, Name: "dep.G"}},
	}
}

// sampleFuncInfo has one file and two inlined calls.
func sampleFuncInfo() []byte {
	b := make([]byte, funcInfoFiles)
	b = le.AppendUint32(le.AppendUint32(b, 1), 0)
	b = le.AppendUint32(b, 2)
	for _, r := range []Ref{{1, 5}, {PkgSelf, 0}} {
		b = append(b, make([]byte, inlineRef)...)
		b = appendRef(b, r)
		b = le.AppendUint32(b, 7)
	}
	return b
}

func TestObjectIsReadAsItWasMade(t *testing.T) {
	o, err := Parse(sample().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), o, cmpopts.IgnoreUnexported(Object{}, Import{}, Symbol{}, RefName{})); d != "" {
		t.Error(d)
	}
	if o.GoVersion() != "go1.26.8" {
		t.Errorf("version %q", o.GoVersion())
	}
	if print, err := Fingerprint(sample().Bytes()); err != nil || print != o.Fingerprint {
		t.Errorf("fingerprint %x, %v, want %x", print, err, o.Fingerprint)
	}
}

func TestSymbolFindsEachTable(t *testing.T) {
	o := sample()
	for ref, want := range map[Ref]string{
		{PkgSelf, 0}:     "lib.F",
		{PkgHashed64, 0}: "$s.8",
		{PkgHashed, 0}:   "type:.importpath.lib.",
		{PkgNone, 0}:     "type:int",
		{PkgNone, 1}:     "type:string",
		o.NamedRef(0):    "type:string",
	} {
		if s := o.Symbol(ref); s == nil || s.Name != want {
			t.Errorf("%v is %v, want %s", ref, s, want)
		}
	}
	for _, ref := range []Ref{{}, {1, 5}, {PkgBuiltin, 0}, {PkgSelf, 2}, {PkgNone, 2}, {PkgHashed, 1 << 31}} {
		if s := o.Symbol(ref); s != nil {
			t.Errorf("%v is %s", ref, s.Name)
		}
	}
}

func TestUnknownFormatIsAVersionError(t *testing.T) {
	data := bytes.Replace(sample().Bytes(), []byte(magic), []byte("\x00go130ld"), 1)
	var version *VersionError
	if _, err := Parse(data); !errors.As(err, &version) || version.GoVersion != "go1.26.8" || version.Magic != "\x00go130ld" {
		t.Errorf("Parse: %v", err)
	}
	if _, err := Definitions(data); !errors.As(err, &version) {
		t.Errorf("Definitions: %v", err)
	}
}

func TestCutObjectIsRefused(t *testing.T) {
	data := sample().Bytes()
	for n := range data {
		if _, err := Parse(data[:n]); err == nil {
			t.Fatalf("%d bytes of %d are an object", n, len(data))
		}
		if _, err := Definitions(data[:n]); err == nil {
			t.Fatalf("%d bytes of %d have definitions", n, len(data))
		}
		if _, err := Fingerprint(data[:n]); err == nil {
			t.Fatalf("%d bytes of %d have a fingerprint", n, len(data))
		}
	}
	if _, err := Parse(append(data, 0)); err == nil {
		t.Error("a byte more is an object")
	}
}

func TestReferenceThatLeadsNowhereIsRefused(t *testing.T) {
	for _, ref := range []Ref{{0, 1}, {2, 0}, {PkgSelf, 2}, {PkgHashed64, 1}, {PkgHashed, 1}, {PkgNone, 2}, {PkgNone + 1, 0}} {
		for name, set := range map[string]func(*Object){
			"relocations":       func(o *Object) { o.Defs[0].Relocs[0].Sym = ref },
			"auxiliary symbols": func(o *Object) { o.Defs[0].Aux[0].Sym = ref },
			"reference flags":   func(o *Object) { o.RefFlags[0].Sym = ref },
			"reference names":   func(o *Object) { o.RefNames[0].Sym = ref },
		} {
			o := sample()
			set(o)
			if _, err := Parse(o.Bytes()); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v: %v", name, ref, err)
			}
		}
		o := sample()
		if err := o.SetInlineRefs(&o.Defs[1], []Ref{ref, {}}); err != nil {
			t.Fatal(err)
		}
		if refs, err := o.InlineRefs(&o.Defs[1]); err == nil {
			t.Errorf("inline tree: %v", refs)
		}
	}
}

// TestDamagedTableIsRefused changes one number in each table that others are
// read by.
func TestDamagedTableIsRefused(t *testing.T) {
	good := sample().Bytes()
	_, binary, err := splitHead(good)
	if err != nil {
		t.Fatal(err)
	}
	l, err := readLayout(binary, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		block, offset int
		value         uint32
	}{
		{blockImports, 4, 0},
		{blockPackages, 4, 1 << 30},
		{blockFiles, 0, 1 << 31},
		{blockDefs, 4, ^uint32(0)},
		{blockNonPkgRefs, 0, ^uint32(0)},
		{blockRefNames, 8, 1 << 20},
		{blockRelocIndex, 0, 1},
		{blockRelocIndex, 4, 1 << 20},
		{blockAuxIndex, 4, ^uint32(0)},
		{blockDataIndex, 20, 0},
	} {
		data := bytes.Clone(good)
		le.PutUint32(data[len(head)+int(l.offsets[c.block])+c.offset:], c.value)
		if _, err := Parse(data); err == nil || !strings.Contains(err.Error(), blockName[c.block]) {
			t.Errorf("%s with %d at %d: %v", blockName[c.block], c.value, c.offset, err)
		}
	}
	for i := range blockCount + 1 {
		data := bytes.Clone(good)
		le.PutUint32(data[len(head)+20+4*i:], uint32(len(data)))
		if _, err := Parse(data); err == nil {
			t.Errorf("offset %d is not checked", i)
		}
	}
}

func TestInlineRefsAreReadAndWritten(t *testing.T) {
	o := sample()
	info := o.funcInfo(&o.Defs[0])
	shared := info.Data
	refs, err := o.InlineRefs(info)
	if want := []Ref{{1, 5}, {PkgSelf, 0}}; err != nil || !cmp.Equal(refs, want) {
		t.Fatalf("%v, %v, want %v", refs, err, want)
	}
	refs[0] = o.NamedRef(0)
	if err := o.SetInlineRefs(info, refs); err != nil {
		t.Fatal(err)
	}
	if got, err := o.InlineRefs(info); err != nil || !cmp.Equal(got, refs) {
		t.Errorf("%v, %v, want %v", got, err, refs)
	}
	if !bytes.Equal(shared, sampleFuncInfo()) {
		t.Error("shared data was written to")
	}
	if o.SetInlineRefs(info, refs[:1]) == nil {
		t.Error("a node was lost")
	}
	for n := range sampleFuncInfo() {
		if _, err := o.InlineRefs(&Symbol{Data: sampleFuncInfo()[:n]}); err == nil {
			t.Errorf("%d bytes are function information", n)
		}
	}
}

func TestReplaceReachesStringsDataAndShortHashes(t *testing.T) {
	data := sample().Bytes()
	o, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.Replace("lib", "bil"); err != nil {
		t.Fatal(err)
	}
	out := o.Bytes()
	if bytes.Contains(out, []byte("lib")) || len(out) != len(data) {
		t.Errorf("%d bytes of %d, with old text:\n%q", len(out), len(data), out)
	}
	if !bytes.Equal(data, sample().Bytes()) {
		t.Error("the parsed data was written to")
	}
	again, err := Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	if again.Defs[0].Name != "bil.F" || again.Files[0] != "bil.go" || string(again.Hashed64[0].Hash[:4]) != "bil!" {
		t.Errorf("%q %q %q", again.Defs[0].Name, again.Files[0], again.Hashed64[0].Hash)
	}
	if o.Replace("a", "bb") == nil {
		t.Error("lengths differ")
	}
}

// TestReplaceStopsAtTheBorderOfStrings has an old text that is in the string
// block only where two strings meet.
func TestReplaceStopsAtTheBorderOfStrings(t *testing.T) {
	made := sample()
	made.Files = []string{"xxol", "dyy"}
	o, err := Parse(made.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(o.strings, "xxoldyy") {
		t.Fatalf("the strings do not meet in %q", o.strings)
	}
	if err := o.Replace("old", "new"); err != nil {
		t.Fatal(err)
	}
	if o, err = Parse(o.Bytes()); err != nil || !cmp.Equal(o.Files, made.Files) {
		t.Errorf("%q, %v", o.Files, err)
	}
}
