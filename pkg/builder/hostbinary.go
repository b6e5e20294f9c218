package builder

import (
	"errors"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/abi"
)

// HostBinary is what the file of a program says about its fitness as a host.
type HostBinary struct {
	Package   string            // import path of its main package
	BuildID   string            // Go's, as control.Status has it
	GoVersion string            // without experiments, such as go1.26.8
	GOOS      string            //
	GOARCH    string            //
	Settings  map[string]string // build settings: -race, GOAMD64, …
	Static    bool              // it has no dynamic linker
	Reloader  *bool             // whether it embeds the reloader; nil where the file does not tell
	// Unfit says why it can load no plugin at all; nil where it can.
	Unfit *ConflictError
	// NoThin says why artifacts for it cannot be linked thin, and it not be
	// patched; "" where they can.
	NoThin     string
	KnownIssue string // one sentence on what is wrong with plugins in its release, or ""
}

// ReadHost reads a program's file. Nothing is run.
//
// Errors: those of the file system; one that names the file where it is not a Go
// program.
func ReadHost(path string) (*HostBinary, error) {
	fp, err := abi.ReadFile(path)
	if err != nil {
		return nil, err
	}
	h := &HostBinary{
		Package: fp.Package, BuildID: fp.BuildID, GoVersion: toolchain(fp.GoVersion), GOOS: fp.Settings["GOOS"], GOARCH: fp.Settings["GOARCH"],
		Settings: fp.Settings, Static: fp.Kind == abi.Executable && fp.Interp == "", Reloader: embedsReloader(fp),
		KnownIssue: abi.KnownIssue(fp.GoVersion),
	}
	if err := loadable(fp); err != nil {
		_ = errors.As(err, &h.Unfit) // it is never another
	}
	h.NoThin = hostCannotThin(fp)
	return h, nil
}

// embedsReloader asks the table of package hashes. A program without one can load
// nothing, and does not tell: all that is known is whether hotgo's module is in it.
func embedsReloader(fp *abi.Fingerprint) *bool {
	if len(fp.Packages) > 0 {
		_, ok := fp.Packages[reloaderPath]
		return &ok
	}
	module, _, _ := strings.Cut(reloaderPath, "/pkg/")
	for _, m := range append(slices.Clip(fp.Modules), fp.Main) {
		if m.Path == module {
			return nil
		}
	}
	return new(bool)
}
