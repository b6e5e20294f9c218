package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// buildAnswer is the answer of hotgo build.
type buildAnswer struct {
	V         int             `json:"v"`
	Artifacts []builtArtifact `json:"artifacts"`
}

type builtArtifact struct {
	Plugin    string   `json:"plugin"`
	Key       string   `json:"key"`
	Path      string   `json:"path,omitempty"`
	Digest    string   `json:"digest,omitempty"`
	Bytes     int64    `json:"bytes,omitempty"`
	Link      string   `json:"link"`                 // "thin" or "full"
	Reason    string   `json:"reason,omitempty"`     // why not thin
	HostBuild string   `json:"host_build,omitempty"` // build ID of the only host that a thin one fits
	Joined    []string `json:"joined,omitempty"`     // packages that a thin one brings, because the host lacks them
	Cached    bool     `json:"cached"`               // nothing is, or was, to be built
	Signature string   `json:"signature,omitempty"`  // path, where it was signed
	CompileMS float64  `json:"compile_ms,omitempty"`
	LinkMS    float64  `json:"link_ms,omitempty"`

	// Of a patch: what it replaces and brings, and what is worth knowing.
	Functions []string          `json:"functions,omitempty"`
	Notes     []control.Finding `json:"notes,omitempty"`
}

func newBuild(a *app) *cobra.Command {
	var dryRun, detailed bool
	var base string
	c := &cobra.Command{
		Use:   "build [PLUGIN...]",
		Short: "Build artifacts for a host",
		Long: `Build artifacts. stdout: the path of one artifact a line.

A plugin has to be built the way its host was. --host says for which: a binary, a
process id, a control socket, or a package, which stands for a host that is built
with the flags of this environment. Without it, the host is the module's main
package that imports the reloader.

For a host that is there, artifacts are linked against it where that is possible,
which makes them small and quick to build; such an artifact is called thin, and
fits no other build of the host. --link full copies every dependency into the
artifact, --link thin fails rather than do so. -v says which it was, and why.

--sign-key signs each artifact, and leaves the signature beside it, with .minisig
behind its name.

--mode patch builds a patch of the host's own code instead: the functions that
differ from what the binary was built from, which --base names by a git revision.
With --dry-run it answers as hotgo diff does.`,

		Example: `  hotgo build
  hotgo build --host ./server ./plugins/greet
  hotgo build --host 812 -o json
  hotgo build --dry-run --detailed-exitcode
  hotgo build --mode patch --host ./server-v1.4.2 --base v1.4.2`,
		RunE: a.verb(func(ctx context.Context, s *session, args []string) error {
			if err := s.checkPatchFlags(base); err != nil {
				return err
			}
			patch := s.mode() == choose.Patch
			if patch && dryRun {
				return s.diff(ctx, base, detailed)
			}
			var answer *buildAnswer
			var err error
			if patch {
				answer, err = s.buildPatch(ctx, args, base)
			} else {
				answer, err = s.buildArtifacts(ctx, args, dryRun)
			}
			if err != nil {
				return err
			}
			pending := false
			for _, b := range answer.Artifacts {
				pending = pending || !b.Cached
			}
			if s.json() {
				err = ui.JSON(s.stdio.Out, answer)
			}
			if err == nil && dryRun && detailed && pending {
				return errPending
			}
			return err
		}),
		ValidArgsFunction: a.completePlugins,
	}
	config.Register(c.Flags(), config.Build, config.Sign)
	a.completeFlags(c)
	c.Flags().StringVar(&base, "base", "", "with --mode patch, the git `REVISION` that the host was built from")
	c.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be built")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "with --dry-run, exit with 2 where something would be built")
	return c
}

// buildArtifacts builds what is named. With text output, paths are printed as
// they come: a failure of one plugin does not take the others along.
func (s *session) buildArtifacts(ctx context.Context, named []string, dryRun bool) (*buildAnswer, error) {
	b, err := s.builder()
	if err != nil {
		return nil, err
	}
	host, err := s.buildHost(ctx, b)
	if err != nil {
		return nil, err
	}
	plugins, err := s.selection(named, host.Package).find(ctx, b, nil)
	if err != nil {
		return nil, err
	}
	if len(plugins) == 0 {
		return nil, &usageError{msg: "no plugin is named, and there is no ./plugins", next: "hotgo build ./DIR"}
	}
	defer s.beat("building")()
	snap, err := b.Snapshot(ctx, host, plugins)
	if err != nil {
		return nil, err
	}
	signer, err := s.signer(ctx)
	if err != nil {
		return nil, err
	}
	answer := &buildAnswer{V: 1, Artifacts: []builtArtifact{}}
	var errs []error
	for i, plan := range snap.Plans {
		if plan == nil {
			errs = append(errs, snap.Errors[plugins[i].Name])
			continue
		}
		one, err := s.buildOne(ctx, b, plan, dryRun, signer)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		answer.Artifacts = append(answer.Artifacts, one)
	}
	return answer, errors.Join(errs...)
}

func (s *session) buildOne(ctx context.Context, b *builder.Builder, plan *builder.Plan, dryRun bool, k *signer) (builtArtifact, error) {
	one := builtArtifact{Plugin: plan.Plugin.Name, Key: plan.Key, Link: plan.Link, Reason: plan.Reason}
	art := plan.Cached
	if !dryRun {
		var err error
		if art, err = b.Build(ctx, plan); err != nil {
			return one, err
		}
		if one.Signature, err = k.put(art); err != nil {
			return one, err
		}
	}
	if art != nil {
		one.Path, one.Digest, one.Bytes, one.Cached = art.Path, art.Digest, art.Bytes, art.Cached || dryRun
		one.CompileMS, one.LinkMS = milliseconds(art.Compile), milliseconds(art.Link)
		m := art.Manifest
		one.HostBuild, one.Joined = m.HostBuild, m.Joined
		if m.Key != plan.Key { // the plan's way of linking turned out to be impossible
			one.Key, one.Link, one.Reason = m.Key, m.Link, m.Reason
		}
	}
	if err := s.describe(one); err != nil {
		return one, err
	}
	if s.json() || one.Path == "" {
		return one, nil
	}
	_, err := fmt.Fprintln(s.stdio.Out, one.Path)
	return one, err
}

// describe says on stderr what was, or would be, built.
func (s *session) describe(one builtArtifact) error {
	switch {
	case s.cfg.Quiet:
	case one.Path == "" && s.cfg.Verbose && one.Reason != "":
		s.say("%s would be built %s: %s", one.Plugin, one.Link, one.Reason)
	case one.Path == "" && s.cfg.Verbose:
		s.say("%s would be built %s", one.Plugin, one.Link)
	case one.Path == "":
		s.say("%s would be built", one.Plugin)
	case s.cfg.Verbose:
		return ui.PrintBuilt(s.stdio.Err, ui.Built{
			Plugin: one.Plugin, Link: one.Link, Reason: one.Reason, Joined: one.Joined, Bytes: one.Bytes,
			CompileMS: one.CompileMS, LinkMS: one.LinkMS, Cached: one.Cached,
		}, s.style(s.stdio.Err))
	}
	return nil
}

// buildHost says for which host to build: --host, else the module's own.
func (s *session) buildHost(ctx context.Context, b *builder.Builder) (builder.Host, error) {
	if s.cfg.Host != "" {
		return hosts.ForBuild(ctx, s.cfg.Host)
	}
	pkg, err := b.FindHost(ctx)
	if err != nil {
		return builder.Host{}, noHostPackage(err)
	}
	return builder.Host{Package: pkg}, nil
}

// noHostPackage adds what to do where a module has no host of its own.
func noHostPackage(err error) error {
	e, ok := errors.AsType[*builder.NotFoundError](err)
	if !ok || isNoModule(e) {
		return err
	}
	return &usageError{
		msg:  "no main package of this module imports github.com/hotgo/hotgo/pkg/reloader",
		next: "--host BIN, or hotgo init",
	}
}
