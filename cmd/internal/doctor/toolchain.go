package doctor

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"os/exec"
	"strings"
	"time"

	"github.com/hotgo/hotgo/pkg/builder"
)

// oldest and newest are the releases that hotgo is tested with.
const (
	oldest = "go1.26"
	newest = "go1.27"
)

// toolchain looks at the go command and at what it can do here. It gives nil
// where there is none to ask.
func (w World) toolchain(ctx context.Context) (*builder.Toolchain, []Check) {
	const id = "toolchain.release"
	t, err := w.Toolchain(ctx)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return nil, []Check{{
			ID: id, Result: Problem, What: "there is no go command in PATH",
			Why: "hotgo has the go command build hosts and artifacts", Facts: []Fact{{What: "PATH", Is: w.Getenv("PATH")}},
			Next: "install Go from https://go.dev/dl",
		}}
	case err != nil:
		return nil, []Check{{
			ID: id, Result: Problem, What: "the go command does not work here: " + err.Error(),
			Why: "hotgo has it build hosts and artifacts", Next: "go env GOVERSION",
		}}
	}
	return t, []Check{release(t), w.switching(t), platform(t)}
}

func release(t *builder.Toolchain) Check {
	c := ok("toolchain.release", "%s (%s)", t.Version, t.Go)
	known := Fact{What: "Go", Is: t.Version, Need: oldest + " or " + newest}
	switch lang := version.Lang(t.Version); {
	case lang == "":
		c.Result, c.What = Warning, t.Version+" is no release of Go"
		c.Why = "hotgo knows what the releases " + oldest + " and " + newest + " do inside; for others it links in full and patches nothing"
	case version.Compare(lang, oldest) < 0:
		c.Result, c.What = Warning, t.Version+" is older than the releases that hotgo is tested with"
		c.Why = "artifacts are linked in full, and nothing is patched; the library itself needs " + oldest
	case version.Compare(lang, newest) > 0:
		c.Result, c.What = Warning, t.Version+" is newer than the releases that hotgo knows"
		c.Why = "what the runtime does inside may have changed: artifacts are linked in full, and nothing is patched"
	case t.KnownIssue != "":
		c.Result, c.What = Warning, t.KnownIssue
		c.Why = "a host that loads two artifacts may be hit, and so may its data"
		known.Need = "a later release of " + lang + ", or " + oldest
	default:
		return c
	}
	c.Facts = []Fact{known}
	c.Next = "GOTOOLCHAIN=go1.26.8 go version, and build host and artifacts with it"
	return c
}

// switching looks for what keeps the release that the module asks for from being
// used.
func (w World) switching(t *builder.Toolchain) Check {
	const id = "toolchain.switch"
	setting := t.Env["GOTOOLCHAIN"]
	switch {
	case t.Wanted == "":
		return ok(id, "nothing asks for another release (GOTOOLCHAIN=%s)", setting)
	case version.IsValid(t.Version) && version.Compare(t.Wanted, t.Version) > 0:
		return Check{
			ID: id, Result: Problem, What: fmt.Sprintf("the module asks for %s, and GOTOOLCHAIN=%s keeps %s", t.Wanted, setting, t.Version),
			Why:   "the go command refuses to build the module",
			Facts: []Fact{{What: "Go", Is: t.Version, Need: t.Wanted}},
			Next:  "go env -w GOTOOLCHAIN=auto, or install " + t.Wanted,
		}
	}
	return ok(id, "the module asks for %s or later, and gets %s (GOTOOLCHAIN=%s)", t.Wanted, t.Version, setting)
}

func platform(t *builder.Toolchain) Check {
	c := ok("platform.support", "%s/%s: hosts load artifacts, thin ones too, and are patched", t.GOOS, t.GOARCH)
	switch {
	case t.NoLoad != "":
		c.Result, c.What = Warning, t.NoLoad
		c.Why = "hosts run with what they were built with, and refuse everything else"
		c.Next = "run the host on linux"
	case t.NoThin != "":
		c.Result, c.What = Warning, t.NoThin
		c.Why = "artifacts are linked in full: slower, some megabytes each. The host's own code is not patched"
	}
	return c
}

// compilerPatience bounds the try of the C compiler. It takes a tenth of a second.
const compilerPatience = time.Minute

// compiler has the C compiler do what every link of a plugin has it do.
func (w World) compiler(ctx context.Context, t *builder.Toolchain) []Check {
	const cgo, cc = "cgo.enabled", "cgo.compiler"
	if t == nil {
		return []Check{skipped(cgo, "the go command cannot be asked"), skipped(cc, "there is no go command to ask")}
	}
	ctx, cancel := context.WithTimeout(ctx, compilerPatience)
	defer cancel()
	found, err := w.TryCompiler(ctx, t)
	compiler := Check{ID: cc, Result: OK, What: found.Version}
	if found.Linker != "" {
		compiler.Facts = []Fact{{What: "linker", Is: found.Linker}}
	}
	if err != nil {
		compiler = Check{
			ID: cc, Result: Problem, What: fmt.Sprintf("the C compiler %s cannot build a shared object", t.CC),
			Why:  "hosts that load plugins, and artifacts, thin ones too, are linked by it",
			Next: "install gcc and the headers of the C library (Debian: sudo apt-get install gcc libc6-dev)",
		}
		var said *builder.BuildError
		switch {
		case errors.Is(err, exec.ErrNotFound):
			compiler.What = fmt.Sprintf("there is no C compiler: %s was not found", t.CC)
		case errors.As(err, &said):
			compiler.Facts = []Fact{{What: "it says", Is: firstLine(said.Output)}}
		default:
			compiler.Facts = []Fact{{What: "error", Is: err.Error()}}
		}
	}
	enabled := ok(cgo, "cgo is on")
	if t.Env["CGO_ENABLED"] != "1" {
		enabled = Check{
			ID: cgo, Result: Warning, What: "cgo is off (CGO_ENABLED=0)",
			Why:   "a host that go build makes so cannot load plugins; hotgo run and hotgo build turn it on themselves",
			Facts: []Fact{{What: "CGO_ENABLED", Is: "0", Need: "1"}}, Next: "export CGO_ENABLED=1",
		}
		switch {
		case w.Getenv("CGO_ENABLED") == "" && err != nil: // off since Go 1.20 where it finds no compiler
			enabled.What, enabled.Next = "cgo is off, because the go command finds no C compiler", compiler.Next
		case w.Getenv("CGO_ENABLED") == "":
			enabled.Next = "go env -u CGO_ENABLED"
		}
	}
	return []Check{enabled, compiler}
}

func firstLine(s string) string {
	first, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return first
}
