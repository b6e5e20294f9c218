package goobj

import "go/version"

// RelocWeak is set in Reloc.Type where the relocation alone does not keep its
// target in the program (cmd/internal/objabi/reloctype.go, Go 1.26 and 1.27:
// R_WEAK).
const RelocWeak uint16 = 1 << 15

// Types holds the values of Reloc.Type that matter to an analysis of what a
// program needs, and those that stand for an address on amd64. They are numbers
// of one Go release.
type Types struct {
	Addr, AddrOff, Size, Call, CallInd, PCRel uint16
	TLSLE, TLSIE, GOTPCRel                    uint16

	// Markers, which change no data.

	UseField       uint16 // a tracked field is used
	UseType        uint16 // the type is reachable by reflection
	UseIface       uint16 // the type is converted to an interface
	UseIfaceMethod uint16 // the method at Add of the interface type is called
	UseNamedMethod uint16 // methods of this name are called
	MethodOff      uint16 // three of these are a method of a type
	Keep           uint16 // the target is needed
	InitOrder      uint16 // the target package is initialised before

	DwarfSecRef uint16
	// DwarfTextAddr is the first of four, one for each width from 1 to 4 bytes.
	DwarfTextAddr uint16
}

// RelocTypes gives the types of relocations of the Go release that goVersion,
// such as "go1.26.8", belongs to. It is false for releases that are not known.
//
// The numbers are those of cmd/internal/objabi/reloctype.go. Up to 78 both
// releases have the same; Go 1.27 has new ones at 79, 80, 90 and 91 and lacks Go
// 1.26's 92, R_JMPLOONG64.
func RelocTypes(goVersion string) (Types, bool) {
	t := Types{
		Addr: 1, AddrOff: 5, Size: 6, Call: 7, CallInd: 10, PCRel: 14,
		TLSLE: 15, TLSIE: 16, GOTPCRel: 29,
		UseField: 21, UseType: 22, UseIface: 23, UseIfaceMethod: 24, UseNamedMethod: 25,
		MethodOff: 26, Keep: 27,
		DwarfSecRef: 31,
	}
	switch version.Lang(goVersion) {
	case "go1.26":
		t.InitOrder, t.DwarfTextAddr = 99, 100
	case "go1.27":
		t.InitOrder, t.DwarfTextAddr = 102, 103
	default:
		return Types{}, false
	}
	return t, true
}
