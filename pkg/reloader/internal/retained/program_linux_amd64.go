//go:build cgo

package retained

import (
	"cmp"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/symname"
	"github.com/hotgo/hotgo/pkg/reloader/internal/livepatch"
)

// releases are the releases of Go of which what this package says is known to be so.
var releases = []string{"go1.26", "go1.27"}

// program is what is known of the executable, found once.
type program struct {
	variables     []Variable // sorted by address
	modules       uintptr    // runtime.firstmoduledata
	module        moduleLayout
	mheap         Variable // runtime.mheap_
	spanLayout    spanLayout
	typeLayout    typeLayout
	layout        bookLayout
	itabTable     uintptr    // address of the pointer runtime.itabTable
	books         [2]uintptr // runtime.allgs and runtime.allp: slices of pointers
	rtype         uintptr    // the description of *reflect.rtype
	itabTypeIndex uintptr    // offset of the type in an itab

	moduleTypelinks func(module uintptr) []uintptr // runtime.moduleTypelinks; nil in Go 1.26
}

// at gives a pointer to something that the collector knows nothing of. The caller
// has to know that it is there.
func at[T any](addr uintptr) *T { return *(**T)(unsafe.Pointer(&addr)) }

// word reads one, which others may be writing.
//
//go:norace
//go:nocheckptr
func word(addr uintptr) uintptr { return *at[uintptr](addr) }

// anchor is a variable whose address is known here as well as to the linker.
var anchor uintptr = 1

var findProgram = sync.OnceValues(func() (*program, error) {
	version, _, _ := strings.Cut(runtime.Version(), " ")
	if !slices.ContainsFunc(releases, func(r string) bool {
		rest, ok := strings.CutPrefix(version, r)
		return ok && (rest == "" || strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "rc") || strings.HasPrefix(rest, "-"))
	}) {
		return nil, fail("this program was built with %s; the runtime of %s is known here", runtime.Version(), strings.Join(releases, " and "))
	}
	const (
		ownAnchor = "github.com/hotgo/hotgo/pkg/reloader/internal/retained.anchor"
		modules   = "runtime.firstmoduledata"
		mheap     = "runtime.mheap_"
		itabs     = "runtime.itabTable"
		allgs     = "runtime.allgs"
		spanType  = "type:runtime.mspan"
		modType   = "type:runtime.moduledata"
		marksType = "type:runtime.spanInlineMarkBits"
		allp      = "runtime.allp"
		procType  = "type:runtime.p"
		typelinks = "runtime.moduleTypelinks"
	)
	wanted := map[string]Variable{ownAnchor: {}, modules: {}, mheap: {}, itabs: {}, allgs: {}, allp: {}, spanType: {}, modType: {}, procType: {}, marksType: {}}
	p, links := &program{}, uintptr(0)
	err := abi.EachDynamicSymbolOf("/proc/self/exe", func(s abi.DynamicSymbol) {
		if !s.Defined || s.Value == 0 {
			return
		}
		v := Variable{Address: uintptr(s.Value), Size: uintptr(s.Size)}
		if _, ok := wanted[string(s.Name)]; ok {
			wanted[string(s.Name)] = v
		}
		if string(s.Name) == typelinks {
			links = v.Address
		}
		if s.Size > 0 {
			v.Name = string(s.Name)
			p.variables = append(p.variables, v)
		}
	})
	if err != nil {
		return nil, &Error{Detail: "the symbols of this program cannot be read", Err: err}
	}
	for name, v := range wanted {
		if v.Address == 0 {
			return nil, fail("this program has no dynamic symbol %s: it was not linked to load plugins, or stripped of them", name)
		}
	}
	bias := uintptr(unsafe.Pointer(&anchor)) - wanted[ownAnchor].Address
	address := func(name string) uintptr { return bias + wanted[name].Address }
	if err := p.layOut(typeAt(address(spanType)), typeAt(address(modType)), typeAt(address(procType)), typeAt(address(marksType))); err != nil {
		return nil, err
	}
	if p.module.typelinks == 0 {
		if got := livepatch.FunctionAt(bias + links); links == 0 || got != typelinks {
			return nil, fail("this program's list of types cannot be had: the symbol %s leads to %q", typelinks, got)
		}
		links += bias
		code := &links // a func value is a pointer to where the address is
		p.moduleTypelinks = *(*func(uintptr) []uintptr)(unsafe.Pointer(&code))
	}
	p.modules, p.itabTable, p.books = address(modules), address(itabs), [2]uintptr{address(allgs), address(allp)}
	p.mheap = Variable{mheap, address(mheap), wanted[mheap].Size}
	main := p.moduleAt(p.modules)
	keep := p.variables[:0]
	for _, v := range p.variables {
		v.Address += bias
		if end := main.end(v.Address); end != 0 {
			v.Size = min(v.Size, end-v.Address)
			keep = append(keep, v)
		}
	}
	p.variables = slices.Clone(keep)
	slices.SortFunc(p.variables, func(a, b Variable) int { return cmp.Compare(a.Address, b.Address) })
	return p, nil
})

// typeAt makes a type of the address of its description.
func typeAt(addr uintptr) reflect.Type {
	// An interface's first word is the type of what is in it; only that is read.
	words := [2]unsafe.Pointer{unsafe.Pointer(at[byte](addr)), unsafe.Pointer(new(uintptr))}
	return reflect.TypeOf(*(*any)(unsafe.Pointer(&words)))
}

// addressOf is the inverse of typeAt.
func addressOf(t reflect.Type) uintptr { return (*(*[2]uintptr)(unsafe.Pointer(&t)))[1] }

type (
	spanLayout struct {
		size                                                      uintptr // of a description
		start, pages, count, elem, class, state, arenas, specials uintptr
		typ                                                       uintptr
		marks                                                     uintptr // bytes at the end of spans of small objects
	}
	moduleLayout struct {
		text, etext, noptrdata, end, types, etypes, rodata, data, edata, bss, ebss, path, typemap, next uintptr
		dataMask, bssMask                                                                               uintptr
		typelinks                                                                                       uintptr // 0 from Go 1.27 on
	}
)

// layOut finds fields in the descriptions of the types that have them.
func (p *program) layOut(span, module, processor, marks reflect.Type) (err error) {
	defer func() {
		if caught := recover(); caught != nil { // of reflect, were it no type after all
			err = fail("the runtime's types cannot be read: %v", caught)
		}
	}()
	find := func(t reflect.Type, path ...string) reflect.StructField {
		sum, f := uintptr(0), reflect.StructField{Type: t}
		for _, name := range path {
			in := f.Type
			var ok bool
			if f, ok = in.FieldByName(name); !ok {
				panic(in.String() + " has no field " + name)
			}
			sum += f.Offset
		}
		f.Offset = sum
		return f
	}
	offset := func(t reflect.Type, kind reflect.Kind, path ...string) uintptr {
		f := find(t, path...)
		if f.Type.Kind() != kind {
			panic(t.String() + "." + strings.Join(path, ".") + " is a " + f.Type.Kind().String())
		}
		return f.Offset
	}
	for name, t := range map[string]reflect.Type{"runtime.mspan": span, "runtime.moduledata": module, "runtime.p": processor, "runtime.spanInlineMarkBits": marks} {
		if t.String() != name {
			panic(name + " is " + t.String())
		}
	}
	p.spanLayout = spanLayout{
		span.Size(),
		offset(span, reflect.Uintptr, "startAddr"), offset(span, reflect.Uintptr, "npages"), offset(span, reflect.Uint16, "nelems"),
		offset(span, reflect.Uintptr, "elemsize"), offset(span, reflect.Uint8, "spanclass"), find(span, "state").Offset,
		offset(span, reflect.Bool, "isUserArenaChunk"), offset(span, reflect.Pointer, "specials"),
		offset(span, reflect.Pointer, "largeType"), marks.Size(),
	}
	timers, special := find(processor, "timers", "heap"), find(span, "specials").Type.Elem()
	element := timers.Type.Elem()
	timer := find(element, "timer").Type.Elem()
	p.layout = bookLayout{
		timers.Offset, offset(element, reflect.Pointer, "timer"), element.Size(), offset(timer, reflect.Uint8, "state"), offset(timer, reflect.Interface, "arg"),
		offset(special, reflect.Pointer, "next"), offset(special, reflect.Uintptr, "offset"), offset(special, reflect.Uint8, "kind"), special.Size(),
	}
	at := func(name string) uintptr { return offset(module, reflect.Uintptr, name) }
	p.module = moduleLayout{
		at("text"), at("etext"), at("noptrdata"), at("end"), at("types"), at("etypes"), at("rodata"),
		at("data"), at("edata"), at("bss"), at("ebss"),
		offset(module, reflect.String, "pluginpath"), offset(module, reflect.Map, "typemap"), offset(module, reflect.Pointer, "next"),
		offset(module, reflect.Pointer, "gcdatamask", "bytedata"), offset(module, reflect.Pointer, "gcbssmask", "bytedata"), 0,
	}
	if f, ok := module.FieldByName("typelinks"); ok && f.Type == reflect.TypeFor[[]int32]() {
		p.module.typelinks = f.Offset
	}
	rtype := reflect.TypeOf(reflect.TypeFor[int]())
	p.rtype = addressOf(rtype)
	described := find(rtype.Elem(), "t")
	of := func(kind reflect.Kind, name string) uintptr {
		return described.Offset + offset(described.Type, kind, name)
	}
	p.typeLayout = typeLayout{of(reflect.Uintptr, "Size_"), of(reflect.Uintptr, "PtrBytes"), of(reflect.Uint8, "TFlag"), of(reflect.Pointer, "GCData")}
	// Where an itab has its type shows in one of a known type.
	var known reflect.Type = rtype
	itab := (*(*[2]uintptr)(unsafe.Pointer(&known)))[0]
	for p.itabTypeIndex = 0; word(itab+p.itabTypeIndex) != p.rtype; p.itabTypeIndex += 8 {
		if p.itabTypeIndex > 8 {
			panic("an itab does not have its type")
		}
	}
	return nil
}

// module is one file of Go code that is mapped.
type module struct {
	at            uintptr // of the runtime's description
	path          string  // plugin path; "" is the executable
	taken         bool    // the runtime has gone through its types (runtime/type.go, typelinksinit)
	low, high     uintptr
	text, etext   uintptr
	types, etypes uintptr
	writable      [2][2]uintptr // with pointers: data and bss
	masks         [2]uintptr    // bits of each
	typed         []uint64      // by word from types on: whether a type's description begins there
}

// end gives the end of the part with pointers, data or bss, that addr lies in, 0 where it
// lies in none.
func (m *module) end(addr uintptr) uintptr {
	for _, part := range m.writable {
		if part[0] <= addr && addr < part[1] {
			return part[1]
		}
	}
	return 0
}

func (p *program) moduleAt(addr uintptr) module {
	l := &p.module
	m := module{
		at: addr, path: strings.Clone(*at[string](addr + l.path)), taken: word(addr+l.typemap) != 0,
		text: word(addr + l.text), etext: word(addr + l.etext), types: word(addr + l.types), etypes: word(addr + l.etypes),
		writable: [2][2]uintptr{{word(addr + l.data), word(addr + l.edata)}, {word(addr + l.bss), word(addr + l.ebss)}},
		masks:    [2]uintptr{word(addr + l.dataMask), word(addr + l.bssMask)},
	}
	m.low = min(m.text, m.types, word(addr+l.rodata), word(addr+l.noptrdata), m.writable[0][0])
	m.high = max(m.etext, m.etypes, word(addr+l.end))
	return m
}

// allModules gives what is mapped, the executable first.
func (p *program) allModules() (all []module) {
	for addr := p.modules; addr != 0; addr = word(addr + p.module.next) {
		all = append(all, p.moduleAt(addr))
	}
	return all
}

// variable names what lies at an address in the program's data.
func (p *program) variable(addr uintptr) (v Variable, ok bool) {
	i, exact := slices.BinarySearchFunc(p.variables, addr, func(v Variable, addr uintptr) int { return cmp.Compare(v.Address, addr) })
	if !exact {
		i--
	}
	if i < 0 || addr-p.variables[i].Address >= p.variables[i].Size {
		return Variable{}, false
	}
	return p.variables[i], true
}

// isLiteral reports whether the compiler has made a variable for a composite literal:
// it is nobody's but that of what refers to it.
func isLiteral(v Variable) bool { return strings.Contains(v.Name, "..stmp_") }

// processors gives the runtime's descriptions of goroutines and of what runs them. They
// are on the heap, a channel at which somebody waits leads to them, and they lead to
// everything.
func (p *program) processors() []uintptr {
	return slices.Concat(pointers(p.books[0]), pointers(p.books[1]))
}

// pointers reads a slice that only grows: an array is at least as long as any length
// that was read before its address. It is on the heap.
//
//go:norace
func pointers(slice uintptr) (all []uintptr) {
	n := word(slice + 8)
	first := word(slice)
	for i := range n {
		all = append(all, word(first+8*i))
	}
	return all
}

// packageOf gives the import path in the name of a variable or function.
func packageOf(symbol string) string {
	path, _ := symname.Unescape(symname.Package(symbol))
	return path
}

// ofRuntime reports whether a package's variables are the runtime's own books, which
// lead to everything, those of package plugin, which has all plugins, or those of
// package reflect, which remembers types.
func ofRuntime(path string) bool {
	return path == "runtime" || path == "plugin" || path == "reflect" || strings.HasPrefix(path, "internal/runtime/") || path == ""
}
