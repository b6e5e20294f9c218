package goobj

// Kinds of symbols, Symbol.Type (cmd/internal/objabi/symkind.go, the same in Go
// 1.26 and 1.27).
const (
	KindNone          uint8 = iota // Sxxx: of a reference
	KindText                       // STEXT: code
	KindTextFIPS                   // STEXTFIPS
	KindROData                     // SRODATA: read-only data
	KindRODataFIPS                 // SRODATAFIPS
	KindNoPtrData                  // SNOPTRDATA: data without pointers
	KindNoPtrDataFIPS              // SNOPTRDATAFIPS
	KindData                       // SDATA
	KindDataFIPS                   // SDATAFIPS
	KindBSS                        // SBSS: zero at start
	KindNoPtrBSS                   // SNOPTRBSS: zero at start, without pointers
	KindTLSBSS                     // STLSBSS: thread-local, zero at start
	KindDwarfCUInfo                // SDWARFCUINFO
	KindDwarfConst                 // SDWARFCONST
	KindDwarfFunc                  // SDWARFFCN
	KindDwarfAbsFunc               // SDWARFABSFCN
	KindDwarfType                  // SDWARFTYPE
	KindDwarfVar                   // SDWARFVAR
	KindDwarfRange                 // SDWARFRANGE
	KindDwarfLoc                   // SDWARFLOC
	KindDwarfLines                 // SDWARFLINES
	KindDwarfAddr                  // SDWARFADDR
	KindLibfuzzer                  // SLIBFUZZER_8BIT_COUNTER
	KindCoverage                   // SCOVERAGE_COUNTER
	KindCoverageAux                // SCOVERAGE_AUXVAR
	KindSEHUnwindInfo              // SSEHUNWINDINFO
)

// IsText reports whether s is code.
func (s *Symbol) IsText() bool { return s.Type == KindText || s.Type == KindTextFIPS }

// Calling conventions, Symbol.ABI (cmd/internal/obj/link.go, Go 1.26 and 1.27:
// ABI; cmd/internal/goobj/objfile.go: SymABIstatic).
const (
	// ABI0 is that of assembly, and that of all data.
	ABI0 uint16 = 0
	// ABIInternal is that of compiled functions.
	ABIInternal uint16 = 1
	// ABIStatic marks a symbol that only its own object can refer to.
	ABIStatic = ^uint16(0)
)

// Bits of Object.Flags (cmd/internal/goobj/objfile.go, the same in Go 1.26 and
// 1.27; bit 1 is no longer used).
const (
	ObjFlagShared       uint32 = 1 << 0 // compiled with -shared or -dynlink
	ObjFlagFromAssembly uint32 = 1 << 2
	ObjFlagUnlinkable   uint32 = 1 << 3 // compiled without -p
	ObjFlagStd          uint32 = 1 << 4
)

// Bits of Symbol.Flag (cmd/internal/goobj/objfile.go, the same in Go 1.26 and
// 1.27).
const (
	FlagDupOK         uint8 = 1 << iota // other objects may define it too
	FlagLocal                           // not visible to other modules
	FlagTypelink                        // the runtime finds the type by it
	FlagLeaf                            // calls nothing
	FlagNoSplit                         // does not grow the stack
	FlagReflectMethod                   // may call any method by reflection
	FlagGoType                          // a type descriptor
)

// Bits of Symbol.Flag2 and RefFlag.Flag2 that mean the same in Go 1.26 and 1.27
// (cmd/internal/goobj/objfile.go). The three above, for wrappers between ABIs
// and WebAssembly exports, do not: Go 1.27 put SymFlagLinknameStd at 1<<5 and
// moved the others up.
const (
	Flag2UsedInIface uint8 = 1 << iota // a type that is converted to an interface
	Flag2Itab                          // an interface table
	Flag2Dict                          // a generic function's dictionary
	Flag2PkgInit                       // the package's init function
	Flag2Linkname                      // named by a linkname directive, or by assembly
)

// Types of auxiliary symbols, Aux.Type (cmd/internal/goobj/objfile.go, the same
// in Go 1.26 and 1.27).
const (
	AuxGotype uint8 = iota
	AuxFuncInfo
	AuxFuncdata
	AuxDwarfInfo
	AuxDwarfLoc
	AuxDwarfRanges
	AuxDwarfLines
	AuxPcsp
	AuxPcfile
	AuxPcline
	AuxPcinline
	AuxPcdata
	AuxWasmImport
	AuxWasmType
	AuxSehUnwindInfo
)
