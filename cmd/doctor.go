package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/doctor"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// errUnfit is no failure of doctor: it has found problems, and told them.
var errUnfit = errors.New("problems were found")

// doctorAnswer is the answer of hotgo doctor.
type doctorAnswer struct {
	V      int            `json:"v"`
	Fit    bool           `json:"fit"` // there is no problem
	Counts doctor.Counts  `json:"counts"`
	Checks []doctor.Check `json:"checks"`
}

func newDoctor(a *app) *cobra.Command {
	var fix bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out whether machine, host and module are fit",
		Long: `Look at what hot reload needs before something fails for want of it: the Go
release, cgo and the C compiler, the environment, limits and directories; the host,
as a binary, a process or a package (--host; without it that of hotgo.yaml, or the
module's main package that embeds the reloader); and the module's plugins, whose
initialisers run again with each generation (HG0041).

Each finding says what was found, why it matters, and the command that mends it.
--fix does what is safe: it closes directories of sockets to others, and removes
sockets and scratch that nobody uses. It touches no source, no go.mod and no setting
of the system.

The exit code is 1 where there is a problem; warnings alone give 0. With -q only
problems are shown, with -v also the evidence of what is in order.`,
		Example: `  hotgo doctor
  hotgo doctor --host ./server
  hotgo doctor --fix
  hotgo doctor -o json`,
		Args: args(cobra.NoArgs),
		RunE: a.verb(func(ctx context.Context, s *session, _ []string) error { return s.doctor(ctx, fix) }),
	}
	config.Register(c.Flags(), config.Build, config.Sign)
	a.completeFlags(c)
	_ = c.RegisterFlagCompletionFunc("host", a.completeHosts)
	c.Flags().BoolVar(&fix, "fix", false, "do what is safe to do about it")
	return c
}

func (s *session) doctor(ctx context.Context, fix bool) error {
	w := doctor.Machine(s.dir)
	w.Polls, w.HostNamed, w.ThinOnly, w.DescribeError = s.cfg.Poll, s.cfg.Host != "", s.cfg.Link == "thin", describeError
	w.SignKey, w.ReadKey, w.Running = s.cfg.SignKey, readKey, running
	for _, warning := range s.cfg.Warnings {
		w.UnknownHotgo = append(w.UnknownHotgo, warning.String())
	}
	artifacts, err := builder.ArtifactDir(s.dir, s.cfg.Dir)
	if w.Artifacts = artifacts; err != nil {
		nowhere := err
		w.Leftovers = func(string) ([]string, error) { return nil, nowhere } // it is a finding
	}
	b, err := s.builder(func(o *builder.Options) {
		if w.ThinOnly {
			o.Link = "auto" // whether there is thin is a check of its own
		}
	})
	if err != nil {
		w.NoBuilder = "nothing can be built here: " + err.Error()
	} else {
		defer b.Close()
		w.FindHost = func(ctx context.Context) (builder.Host, error) { return s.doctorHost(ctx, b) }
		w.Embeds, w.Snapshot = b.EmbedsReloader, b.Snapshot
		w.FindPlugins = func(ctx context.Context, h builder.Host) ([]builder.Plugin, error) {
			var near []string
			if fi, err := os.Stat(h.Package); err == nil && fi.IsDir() {
				near = append(near, h.Package)
			}
			return s.selection(nil, near...).find(ctx, b, nil)
		}
	}
	stop := s.beat("looking")
	checks := doctor.Run(ctx, w)
	stop()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if fix {
		doctor.Fix(checks)
	}
	n := doctor.Count(checks)
	answer := doctorAnswer{V: 1, Fit: n.Problems == 0, Counts: n, Checks: checks}
	err = s.print(answer, func(out io.Writer) error {
		return ui.Doctor(out, checks, ui.DoctorOptions{Style: s.style(out), Quiet: s.cfg.Quiet, Verbose: s.cfg.Verbose})
	})
	if err == nil && n.Problems > 0 {
		err = errUnfit
	}
	return err
}

// doctorHost says which host is meant.
func (s *session) doctorHost(ctx context.Context, b *builder.Builder) (builder.Host, error) {
	if s.cfg.Host != "" {
		return hosts.ForBuild(ctx, s.cfg.Host)
	}
	pkg, err := b.FindHost(ctx)
	return builder.Host{Package: pkg}, err
}

// readKey looks at a key without asking for its password.
func readKey(path string) (doctor.SigningKey, error) {
	errProtected := errors.New("it has a password")
	k, err := builder.ReadSigningKey(path, func() ([]byte, error) { return nil, errProtected })
	switch {
	case errors.Is(err, errProtected):
		return doctor.SigningKey{}, nil
	case err != nil:
		return doctor.SigningKey{}, err
	}
	return doctor.SigningKey{ID: k.ID(), Warning: k.Warning}, nil
}

// running gives the hosts of this user that answer.
func running(ctx context.Context) []control.Status {
	found, err := hosts.Find(ctx, nil)
	if err != nil {
		return nil // none runs
	}
	return found.Hosts
}

// describeError gives an error the form of a finding.
func describeError(err error) (what, next string, places []control.Diagnostic) {
	f := explain(err)
	what = f.Message
	for _, e := range f.Evidence {
		what += fmt.Sprintf("; %s: %s, %s", e.What, e.Host, e.Artifact)
	}
	if len(f.Details) > 0 && len(f.Diagnostics) == 0 {
		what += ": " + strings.Join(f.Details, " ")
	}
	if next = f.Next; next == "" {
		next = "go build ./..." // what the go command says is more than one line
	}
	return what, next, f.Diagnostics
}

// completeHosts offers what --host may be beside files: running hosts by process
// id.
func (a *app) completeHosts(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	for _, st := range a.running(c) {
		found = append(found, cobra.CompletionWithDesc(strconv.Itoa(st.PID), st.Name))
	}
	return found, cobra.ShellCompDirectiveDefault // binaries and directories of packages
}
