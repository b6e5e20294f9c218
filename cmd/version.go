package cmd

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Build says which hotgo this is. The linker sets it in releases; what is
// empty comes from the build info.
type Build struct {
	Version string
	Commit  string
	Date    string
}

// versionAnswer is the answer of hotgo version.
type versionAnswer struct {
	V       int    `json:"v"`
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

// complete fills in what the linker did not set.
func (b Build) complete() Build {
	if info, ok := debug.ReadBuildInfo(); ok {
		if b.Version == "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision" && b.Commit == "":
				b.Commit = s.Value
			case s.Key == "vcs.time" && b.Date == "":
				b.Date = s.Value
			}
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which hotgo this is",
		Example: "  hotgo version\n  hotgo version -o json",
		Args:    args(cobra.NoArgs),
		RunE: a.verb(func(_ context.Context, s *session, _ []string) error {
			b := s.build.complete()
			v := versionAnswer{
				V: 1, Version: b.Version, Commit: b.Commit, Date: b.Date,
				Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
			}
			return s.print(v, func(w io.Writer) error {
				commit := v.Commit
				if len(commit) > 12 {
					commit = commit[:12]
				}
				if commit != "" {
					commit = " (" + commit + ")"
				}
				_, err := fmt.Fprintf(w, "hotgo %s%s %s %s/%s\n", v.Version, commit, v.Go, v.OS, v.Arch)
				return err
			})
		}),
	}
}
