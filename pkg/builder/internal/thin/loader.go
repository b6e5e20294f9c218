package thin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/hotgo/hotgo/pkg/builder/internal/goobj"
	"github.com/hotgo/hotgo/pkg/internal/symname"
)

// # What an artifact brings along
//
// The constructor that the linker puts into an artifact calls
// runtime.addmoduledata, which hangs the artifact's module data onto the
// runtime's list. No program calls it, so hosts are built without it. It is in
// assembly in the runtime too (runtime/asm_amd64.s, Go 1.26 and 1.27), because
// a constructor runs outside any goroutine.
//
// The second symbol is the other side of the stub's hash, see abiHash.

const loaderSource = `
// Adds the module data in DI to the runtime's list.
TEXT runtime·addmoduledata(SB), 4, $0-0 // NOSPLIT
	PUSHQ R15 // access to variables of other modules goes through it, and C owns it
	MOVQ runtime·lastmoduledatap(SB), AX
	MOVQ DI, %d(AX) // next
	MOVQ DI, runtime·lastmoduledatap(SB)
	POPQ R15
	RET

// A string and its bytes: the linker keeps this symbol and follows nothing.
DATA hotgo·abihash+0(SB)/8, $hotgo·abihash+16(SB)
DATA hotgo·abihash+8(SB)/8, $%d
DATA hotgo·abihash+16(SB)/8, $%q
DATA hotgo·abihash+24(SB)/8, $%q
DATA hotgo·abihash+32(SB)/4, $%q
GLOBL hotgo·abihash(SB), 8, $40 // RODATA
`

// loaderMember gives the assembled object, made once. dir is scratch.
func (l *Linker) loaderMember(ctx context.Context, dir string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loader != nil {
		return l.loader, nil
	}
	next, err := l.cfg.Image.nextOffset()
	if err != nil {
		return nil, err
	}
	src := fmt.Sprintf(loaderSource, next, len(abiHash), abiHash[:8], abiHash[8:16], abiHash[16:])
	file := filepath.Join(dir, "hotgo_amd64.s")
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		return nil, err
	}
	argv := []string{l.tool("asm"), "-p", "runtime", "-dynlink", "-trimpath", dir, "-o", filepath.Join(dir, "hotgo.o"), file}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = l.cfg.Env
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, describe(argv, out, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "hotgo.o"))
	if err != nil {
		return nil, err
	}
	o, err := goobj.Parse(data)
	if err != nil {
		return nil, unfit("what the assembler writes: %w", err)
	}
	for i := range o.NonPkgDefs {
		if o.NonPkgDefs[i].Name == "hotgo.abihash" {
			o.NonPkgDefs[i].Name = "go:link.abihash." + stubName // no identifier of assembly
		}
	}
	l.loader = o.Bytes()
	return l.loader, nil
}

// # The first function
//
// The linker puts the names of an artifact's functions into one table, and the
// runtime takes position 0 of it for no name (cmd/link/internal/ld/pcln.go,
// generateFuncnametab; runtime/symtab.go, funcName; Go 1.26 and 1.27). So the
// first function of an artifact would be nameless in stack traces and profiles.
// In programs and stock plugins it is one that nobody misses; here it would be
// the user's. Packages come in the order of their imports, so one that is
// imported before all others takes the place.

// firstPath is the import path of that package.
const firstPath = "hotgo.first"

const firstSource = `// Package first has the function that is nameless.
package first

//go:noinline
func Nameless() {}
`

// firstArchive gives the compiled package, made once. dir is scratch.
func (l *Linker) firstArchive(ctx context.Context, dir string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first != nil {
		return l.first, nil
	}
	src, out := filepath.Join(dir, "first.go"), filepath.Join(dir, "first.a")
	if err := os.WriteFile(src, []byte(firstSource), 0o600); err != nil {
		return nil, err
	}
	argv := []string{l.tool("compile"), "-p", firstPath, "-dynlink", "-linkshared", "-pack", "-trimpath", dir, "-o", out, src}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = l.cfg.Env
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, describe(argv, text, err)
	}
	data, err := os.ReadFile(out)
	if err == nil {
		l.first = data
	}
	return data, err
}

// firstFunction makes the main package import the one with the nameless
// function, and keep that function.
func (j *job) firstFunction(ctx context.Context, main *unit) error {
	data, err := j.l.firstArchive(ctx, j.in.Dir)
	if err != nil {
		return err
	}
	file := filepath.Join(j.in.Dir, "first.a")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	fmt.Fprintf(&j.config, "packagefile %s=%s\n", firstPath, file)
	for _, o := range main.objects {
		s := o.Definition(main.symbolPrefix()+j.in.Export, goobj.ABIInternal)
		if s == nil {
			continue
		}
		o.Imports = append([]goobj.Import{{Path: firstPath}}, o.Imports...)
		o.NonPkgRefs = append(o.NonPkgRefs, goobj.Symbol{Name: symname.Escape(firstPath) + ".Nameless", ABI: goobj.ABIInternal})
		s.Relocs = append(s.Relocs, goobj.Reloc{Type: j.closure.types.Keep, Sym: o.NamedRef(len(o.NonPkgRefs) - 1)})
		return nil
	}
	return unfit("the main package has no function %s", j.in.Export)
}
