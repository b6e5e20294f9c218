package goobj

import (
	"go/ast"
	"go/constant"
	goparser "go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"testing"
)

// TestNumbersAreThoseOfTheToolchain compares every number that this package
// repeats with the constants in the toolchain's source.
func TestNumbersAreThoseOfTheToolchain(t *testing.T) {
	for version, gocmd := range releases(t) {
		t.Run(version, func(t *testing.T) {
			source := filepath.Join(goOutput(t, gocmd, t.TempDir(), "env", "GOROOT"), "src", "cmd", "internal")
			relocs, ok := RelocTypes(version)
			if !ok {
				t.Fatal("the release is not supported")
			}
			for file, want := range map[string]map[string]int64{
				"objabi/reloctype.go": {
					"R_ADDR": int64(relocs.Addr), "R_ADDROFF": int64(relocs.AddrOff), "R_SIZE": int64(relocs.Size),
					"R_CALL": int64(relocs.Call), "R_CALLIND": int64(relocs.CallInd), "R_PCREL": int64(relocs.PCRel),
					"R_TLS_LE": int64(relocs.TLSLE), "R_TLS_IE": int64(relocs.TLSIE), "R_GOTPCREL": int64(relocs.GOTPCRel),
					"R_USEFIELD": int64(relocs.UseField), "R_USETYPE": int64(relocs.UseType), "R_USEIFACE": int64(relocs.UseIface),
					"R_USEIFACEMETHOD": int64(relocs.UseIfaceMethod), "R_USENAMEDMETHOD": int64(relocs.UseNamedMethod),
					"R_METHODOFF": int64(relocs.MethodOff), "R_KEEP": int64(relocs.Keep), "R_INITORDER": int64(relocs.InitOrder),
					"R_DWARFSECREF": int64(relocs.DwarfSecRef), "R_DWTXTADDR_U1": int64(relocs.DwarfTextAddr),
					"R_DWTXTADDR_U4": int64(relocs.DwarfTextAddr + 3), "R_WEAK": -int64(RelocWeak),
				},
				"objabi/symkind.go": {
					"Sxxx": int64(KindNone), "STEXT": int64(KindText), "STEXTFIPS": int64(KindTextFIPS),
					"SRODATA": int64(KindROData), "SRODATAFIPS": int64(KindRODataFIPS),
					"SNOPTRDATA": int64(KindNoPtrData), "SNOPTRDATAFIPS": int64(KindNoPtrDataFIPS),
					"SDATA": int64(KindData), "SDATAFIPS": int64(KindDataFIPS),
					"SBSS": int64(KindBSS), "SNOPTRBSS": int64(KindNoPtrBSS), "STLSBSS": int64(KindTLSBSS),
					"SDWARFCUINFO": int64(KindDwarfCUInfo), "SDWARFADDR": int64(KindDwarfAddr),
					"SCOVERAGE_COUNTER": int64(KindCoverage), "SSEHUNWINDINFO": int64(KindSEHUnwindInfo),
				},
				"goobj/objfile.go": {
					"PkgIdxNone": int64(PkgNone), "PkgIdxHashed64": int64(PkgHashed64), "PkgIdxHashed": int64(PkgHashed),
					"PkgIdxBuiltin": int64(PkgBuiltin), "PkgIdxSelf": int64(PkgSelf),
					"BlkAutolib": blockImports, "BlkNonpkgref": blockNonPkgRefs, "BlkRefFlags": blockRefFlags,
					"BlkRelocIdx": blockRelocIndex, "BlkData": blockData, "BlkRefName": blockRefNames, "BlkEnd": blockCount,
					"SymSize": symbolSize, "RelocSize": relocSize, "AuxSize": auxSize, "RefFlagsSize": refFlagSize,
					"RefNameSize": refNameSize, "HashSize": hashSize, "Hash64Size": hash64Size, "importedPkgSize": importSize,
					"SymABIstatic": int64(ABIStatic), "ObjFlagShared": int64(ObjFlagShared),
					"ObjFlagFromAssembly": int64(ObjFlagFromAssembly), "ObjFlagUnlinkable": int64(ObjFlagUnlinkable),
					"ObjFlagStd": int64(ObjFlagStd), "SymFlagDupok": int64(FlagDupOK), "SymFlagLocal": int64(FlagLocal),
					"SymFlagTypelink": int64(FlagTypelink), "SymFlagLeaf": int64(FlagLeaf), "SymFlagNoSplit": int64(FlagNoSplit),
					"SymFlagReflectMethod": int64(FlagReflectMethod), "SymFlagGoType": int64(FlagGoType),
					"SymFlagUsedInIface": int64(Flag2UsedInIface), "SymFlagItab": int64(Flag2Itab),
					"SymFlagDict": int64(Flag2Dict), "SymFlagPkgInit": int64(Flag2PkgInit),
					"SymFlagLinkname": int64(Flag2Linkname), "AuxGotype": int64(AuxGotype),
					"AuxFuncInfo": int64(AuxFuncInfo), "AuxFuncdata": int64(AuxFuncdata), "AuxPcsp": int64(AuxPcsp),
					"AuxPcdata": int64(AuxPcdata), "AuxSehUnwindInfo": int64(AuxSehUnwindInfo),
				},
			} {
				have := constantsOf(t, filepath.Join(source, file))
				for name, n := range want {
					if c, ok := have[name]; !ok || c != n {
						t.Errorf("%s: %s is %d (defined: %t), want %d", file, name, c, ok, n)
					}
				}
			}
		})
	}
}

// constantsOf gives the integer constants of a file, which need not compile on
// its own.
func constantsOf(t *testing.T, file string) map[string]int64 {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		t.Skip("the toolchain has no source: ", err)
	}
	fset := token.NewFileSet()
	f, err := goparser.ParseFile(fset, file, nil, goparser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	conf := types.Config{Error: func(error) {}}
	pkg, _ := conf.Check("p", fset, []*ast.File{f}, nil)
	out := map[string]int64{}
	for _, name := range pkg.Scope().Names() {
		if c, ok := pkg.Scope().Lookup(name).(*types.Const); ok {
			if n, ok := constant.Int64Val(constant.ToInt(c.Val())); ok {
				out[name] = n
			}
		}
	}
	return out
}

func TestUnknownReleaseHasNoRelocTypes(t *testing.T) {
	for _, v := range []string{"", "go1.25.3", "go1.28", "devel go1.27-abc", "1.26"} {
		if _, ok := RelocTypes(v); ok {
			t.Errorf("%q is supported", v)
		}
	}
	for _, v := range []string{"go1.26", "go1.26.8", "go1.27rc1", "go1.27.1"} {
		if _, ok := RelocTypes(v); !ok {
			t.Errorf("%q is not supported", v)
		}
	}
}
