package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// pushFlags are the flags that only push has.
type pushFlags struct {
	wait, detach, detailed, downgrade, release bool
	dryRun                                     string // "", "client" or "server"
	plugin                                     string // what a file is that hotgo did not build
	rollout                                    rolloutFlags
}

func newPush(a *app) *cobra.Command {
	var f pushFlags
	var waits *pflag.Flag
	c := &cobra.Command{
		Use:   "push [ARTIFACT|PLUGIN...]",
		Short: "Load into running hosts, once",
		Long: `Load into running hosts. A file is pushed as it is; a plugin is built for the
binary that each host runs. stdout on success: NAME@sha256:DIGEST a line. A host
that runs the version already is left alone.

What changed in a host's own code or in plugins is patched, whether the host was
built with them or they were loaded: functions are replaced where they stand, and
variables keep their values. Plugins that no patch can bring are swapped: a new
generation is loaded beside the one that serves. --mode swap never patches, --mode
patch never swaps; hotgo diff shows beforehand what a push would do. To push a
host's own code alone, name it as its main package is named.

A Go plugin that hotgo did not build (go build -buildmode=plugin) is pushed like an
artifact. It is the plugin that --plugin names, else the one of the host that is
called as its directory is, else the one all of whose symbols it exports.

--sign-key signs what is pushed, for hosts that trust keys; without it, a signature
that lies beside an artifact (ARTIFACT.minisig) goes with it.

A host quarantines what its process before seems to have died of (hotgo status shows
it, and why) and refuses it; --release says that it is to be loaded all the same.

--health-window has hosts observe what they have loaded for some time: HotHealth is
called again and again, and panics that the host contains are counted. Push probes
meanwhile, with --probe-http and --probe-command. Where that finds something, what
served before serves again, and the exit code is 6; also where a push that probes is
killed. A push that comes meanwhile waits, and says for whom.

--dry-run=client says what would be loaded without asking hosts to check it;
--dry-run=server builds, and has hosts run their preflight.`,
		Example: `  hotgo push
  hotgo push ./plugins/greet --target shop
  hotgo push --mode patch
  hotgo push greet-3fa91c0d2b7e.so --dry-run=server
  hotgo push --plugin greet ./hello.so
  hotgo push --health-window 30s --probe-http http://localhost:8080/healthz
  hotgo push --dry-run=client --detailed-exitcode`,
		RunE: a.verb(func(ctx context.Context, s *session, args []string) error {
			if err := f.check(waits.Changed); err != nil {
				return err
			}
			return s.push(ctx, args, f)
		}),
		ValidArgsFunction: a.completePlugins,
	}
	config.Register(c.Flags(), config.Build, config.Target, config.Sign, config.Health)
	a.completeFlags(c)
	c.Flags().BoolVar(&f.wait, "wait", true, "wait until the new code serves")
	c.Flags().BoolVar(&f.detach, "detach", false, "return once hosts have checked the artifact, and load in the background")
	c.Flags().StringVar(&f.plugin, "plugin", "", "the `NAME` of the plugin that the file is, where the file does not tell")
	c.Flags().StringVar(&f.dryRun, "dry-run", "", "load nothing; `WHERE` to check is client or server")
	c.Flags().BoolVar(&f.detailed, "detailed-exitcode", false, "with --dry-run, exit with 2 where something would be loaded")
	c.Flags().BoolVar(&f.downgrade, "allow-downgrade", false, "have hosts that trust keys take what was signed before what they have taken")
	c.Flags().BoolVar(&f.release, "release", false, "take what is pushed out of quarantine, where hosts have it there")
	f.rollout.register(c.Flags())
	c.Flags().Lookup("dry-run").NoOptDefVal = "client"
	_ = c.RegisterFlagCompletionFunc("plugin", a.completePlugins)
	_ = c.RegisterFlagCompletionFunc("strategy", completeStrategies)
	_ = c.RegisterFlagCompletionFunc("dry-run", cobra.FixedCompletions([]string{"client", "server"}, cobra.ShellCompDirectiveNoFileComp))
	waits = c.Flags().Lookup("wait")
	return c
}

// check finds flags that make no sense together. said is whether --wait was given.
func (f *pushFlags) check(said bool) error {
	switch {
	case said && f.wait && f.detach:
		return &usageError{msg: "--detach contradicts --wait", next: "hotgo push --help"}
	case f.dryRun != "" && f.dryRun != "client" && f.dryRun != "server":
		return &usageError{msg: "--dry-run is client or server, not " + quote(f.dryRun), next: "hotgo push --help"}
	case f.detach && f.dryRun != "":
		return &usageError{msg: "--detach contradicts --dry-run", next: "hotgo push --help"}
	}
	f.detach = f.detach || !f.wait
	return f.rollout.check(f.detach)
}

func (s *session) push(ctx context.Context, args []string, f pushFlags) error {
	if err := s.checkHealth(); err != nil {
		return err
	}
	signer, err := s.signer(ctx)
	if err != nil {
		return err
	}
	found, err := s.findReady(ctx)
	if err != nil {
		return err
	}
	if err := f.rollout.lacking(found); err != nil {
		return err
	}
	// One builder plans and builds: what it compiled to compare, it links. Files
	// need none.
	var b *builder.Builder
	defer func() {
		if b != nil {
			_ = b.Close()
		}
	}()
	changes, err := s.changes(ctx, args, f.plugin, found.Hosts, func() (*builder.Builder, error) {
		var err error
		b, err = s.builder()
		return b, err
	})
	if err != nil {
		return err
	}
	var results []deploy.Result
	p := s.printer(false)
	for _, st := range found.Hosts {
		p.Seed(st) // where there are several, each line says which
	}
	several := severalLoads(changes)
	s.announce(changes, f.rollout.options)
	if f.dryRun == "client" {
		for _, r := range deploy.Predict(changes) {
			results = append(results, r)
			s.pushed(p, r, several)
		}
	} else {
		stop := s.beat("pushing")
		fx := deploy.Effects{Load: s.loader(f, signer), Restore: s.restorer(f), Status: s.statusOf}
		if b != nil {
			fx.Build, fx.BuildPatch = b.Build, b.BuildPatch
		}
		order := f.rollout.options
		if f.dryRun != "" {
			order.Strategy = rollout.All // nothing happens that would have to be undone
		}
		began := time.Now()
		results = deploy.Push(ctx, changes, order, fx, func(r deploy.Result) { s.pushed(p, r, several) })
		stop()
		if f.dryRun == "" {
			s.summary(results, time.Since(began))
		}
	}
	return s.pushAnswer(results, found, f)
}

// changes says what goes where: artifact files as they are, plugins by plan.
func (s *session) changes(ctx context.Context, args []string, as string, all []control.Status, newBuilder func() (*builder.Builder, error)) ([]*deploy.Change, error) {
	var files, named []string
	for _, arg := range args {
		if fi, err := os.Stat(arg); err == nil && fi.Mode().IsRegular() {
			files = append(files, arg)
			continue
		}
		if strings.HasSuffix(arg, ".so") {
			return nil, &usageError{msg: "there is no artifact " + arg, next: "hotgo build"}
		}
		named = append(named, arg)
	}
	if as != "" && (len(files) != 1 || len(named) > 0) {
		return nil, &usageError{msg: "--plugin says what one file is: name that file, and nothing else", next: "hotgo push --plugin NAME FILE"}
	}
	targeted := len(s.cfg.Targets) > 0
	changes, err := deploy.FromFiles(files, all, as, targeted)
	if err != nil || len(named) == 0 && len(files) > 0 {
		return changes, holds(changes, all, err)
	}
	b, err := newBuilder()
	if err != nil {
		return nil, err
	}
	sel := s.selection(named)
	more, err := deploy.FromSources(ctx, deploy.Sources{
		Find: func(ctx context.Context, names []string) ([]builder.Plugin, error) {
			return sel.find(ctx, b, names)
		},
		Binary: s.binaryOf, Snapshot: b.Snapshot, PlanPatch: b.PlanPatch, PlanGenerationPatch: b.PlanGenerationPatch, Mode: s.mode(), Named: len(named) > 0,
	}, all, targeted)
	changes = append(changes, more...)
	return changes, holds(changes, all, err)
}

// holds checks that every artifact file has a host to go to.
func holds(changes []*deploy.Change, all []control.Status, err error) error {
	for _, c := range changes {
		if err == nil && len(c.Hosts) == 0 {
			err = &deploy.NoHolderError{Plugins: []string{c.Plugin}, Hosts: all}
		}
	}
	return err
}

// loader gives what "load" means with these flags.
func (s *session) loader(f pushFlags, k *signer) func(context.Context, control.Status, *builder.Artifact) (control.Event, error) {
	return func(ctx context.Context, st control.Status, art *builder.Artifact) (control.Event, error) {
		client := s.reach.Client(st)
		defer client.Close()
		opts := control.LoadOptions{
			Digest: art.Digest, Plugin: f.plugin, DryRun: f.detach || f.dryRun == "server", AllowDowngrade: f.downgrade,
			Release: f.release,
			Window:  s.window(), Waits: func(w control.Waiting) { s.inform(waitsFor(nameOf(art), st, w)) },
		}
		var err error
		if opts.Signature, err = k.signature(art); err != nil {
			return control.Event{}, err
		}
		ev, err := client.LoadFile(ctx, art.Path, opts)
		if err != nil {
			return control.Event{}, fmt.Errorf("%s would not load into %s (pid %d): %w", nameOf(art), st.Name, st.PID, err)
		}
		if f.detach && ev.Event != control.KindUnchanged {
			return *ev, s.loadDetached(st, art, f, k)
		}
		if ev.Health != nil && !opts.DryRun {
			err = s.awaitHealth(ctx, client, st, ev)
		}
		return *ev, err
	}
}

// restorer gives what "take a patch away" means with these flags.
func (s *session) restorer(f pushFlags) func(context.Context, control.Status, string, int) (control.Event, error) {
	return func(ctx context.Context, st control.Status, unit string, to int) (control.Event, error) {
		if f.dryRun == "server" {
			return control.Event{Event: control.KindNote, Verdict: control.Patched}, nil
		}
		return s.rollbackHost(ctx, st, unit, &to)
	}
}

// nameOf names an artifact for people.
func nameOf(art *builder.Artifact) string {
	if art.Manifest.Plugin != "" {
		return art.Manifest.Plugin
	}
	return art.Path
}

// loadDetached starts another hotgo that loads and waits in place of this one.
// It finds the signature beside the artifact, for it could not ask for a password.
func (s *session) loadDetached(st control.Status, art *builder.Artifact, f pushFlags, k *signer) error {
	if _, err := k.put(art); err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("load in the background: %w", err)
	}
	args := []string{"push", "--quiet", "--target", st.Socket, "--sign-key="}
	if f.plugin != "" {
		args = append(args, "--plugin", f.plugin)
	}
	if f.downgrade {
		args = append(args, "--allow-downgrade")
	}
	if f.release {
		args = append(args, "--release")
	}
	child := exec.Command(exe, append(append(args, s.windowFlags()...), art.Path)...)
	child.Args[0] = "hotgo"
	child.SysProcAttr = detachedAttr()
	if err := child.Start(); err != nil {
		return fmt.Errorf("load in the background: %w", err)
	}
	return child.Process.Release()
}

// pushed shows one result as it comes. A failure is shown by whoever gets the
// command's error; in JSON it is an event beside those of other hosts.
func (s *session) pushed(p *ui.Printer, r deploy.Result, several bool) {
	switch {
	case r.Err == nil:
		_ = p.Event(r.Event) // stdout's own errors come with the answer
	case s.json() && several:
		f := explain(r.Err)
		_ = p.Event(control.Event{
			Event: control.KindFailed, Verdict: control.Failed, Host: r.Host.Name, PID: r.Host.PID, Target: r.Host.Socket,
			Plugin: r.Change.Plugin, Code: f.Code, Reason: f.Message, Evidence: f.Evidence, Next: f.Next,
			Diagnostics: f.Diagnostics,
		})
	}
}

// pushAnswer writes what is there now and sums up.
func (s *session) pushAnswer(results []deploy.Result, found *hosts.Found, f pushFlags) error {
	pending := false
	lines := map[string]bool{}
	for _, r := range results {
		pending = pending || r.Pending()
		name, digest := r.Event.Plugin, r.Event.Digest // of the code that serves once a patch is taken away
		if a := r.Change.Artifact; a != nil {
			name, digest = cmp.Or(name, nameOf(a)), a.Digest
		}
		if r.State != rollout.Done && r.State != rollout.Same || s.json() || digest == "" || r.Change.Way == choose.Stay && r.Change.Artifact == nil {
			continue
		}
		line := name + "@" + digest
		if lines[line] {
			continue
		}
		lines[line] = true
		if _, err := fmt.Fprintln(s.stdio.Out, line); err != nil {
			return err
		}
	}
	err := deploy.Err(results)
	if len(s.cfg.Targets) > 0 && len(found.Missing) > 0 {
		switch e, partial := errors.AsType[*deploy.PartialError](err); {
		case partial:
			e.Failed, e.Total = e.Failed+len(found.Missing), e.Total+len(found.Missing)
			e.Errs = append(e.Errs, found.Missing...)
		case err == nil:
			err = missing(found)
		}
	}
	if err == nil && f.dryRun != "" && f.detailed && pending {
		return errPending
	}
	return err
}
