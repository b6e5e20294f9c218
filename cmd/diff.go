package cmd

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func newDiff(a *app) *cobra.Command {
	var detailed bool
	var base string
	c := &cobra.Command{
		Use:   "diff",
		Short: "Show what differs between sources and hosts, and what a reload would do",
		Long: `Compare the sources with what runs, function by function, and show what a push
would do: which functions a patch replaces and why, which plugins a swap and what
that makes of their variables, and what takes a restart. No process is touched, and
nothing is linked.

Without --host, running hosts are compared; with it a binary, which need not run.
--base names the git revision that the binary was built from; without it that is
what hotgo run wrote down, or is taken to be what the sources were when hotgo first
saw the host.

The exit code is 4 where a restart is required; with --detailed-exitcode it is 2
where something would change.`,
		Example: `  hotgo diff
  hotgo diff --target shop -o json
  hotgo diff --host ./server-v1.4.2 --base v1.4.2`,
		Args: args(cobra.NoArgs),
		RunE: a.verb(func(ctx context.Context, s *session, _ []string) error {
			return s.diff(ctx, base, detailed)
		}),
	}
	config.Register(c.Flags(), config.Build, config.Target)
	a.completeFlags(c)
	c.Flags().StringVar(&base, "base", "", "the git `REVISION` that the host was built from")
	c.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit with 2 where something would change")
	return c
}

// diff answers for the hosts or the binary that the settings name.
func (s *session) diff(ctx context.Context, base string, detailed bool) error {
	b, err := s.builder(func(o *builder.Options) { o.Base = base })
	if err != nil {
		return err
	}
	defer b.Close()
	src := deploy.Sources{
		Mode: s.mode(), Binary: s.binaryOf, Snapshot: b.Snapshot, PlanPatch: b.PlanPatch, PlanGenerationPatch: b.PlanGenerationPatch, PlanState: b.PlanState,
		Find: func(ctx context.Context, names []string) ([]builder.Plugin, error) {
			return s.selection(nil).find(ctx, b, names)
		},
	}
	defer s.beat("comparing")()
	all, err := s.verdicts(ctx, src)
	if err != nil {
		return err
	}
	answer := ui.DiffAnswer{V: 1, Hosts: []ui.HostDiff{}}
	restart, pending := false, false
	for _, v := range all {
		if v.Err != nil {
			return v.Err
		}
		h := hostDiff(v)
		restart = restart || h.Verdict == control.RestartRequired
		pending = pending || h.Pending
		answer.Hosts = append(answer.Hosts, h)
	}
	if err := s.print(answer, func(w io.Writer) error { return ui.Diff(w, answer.Hosts, s.style(w)) }); err != nil {
		return err
	}
	switch {
	case restart:
		return errRestart
	case pending && detailed:
		return errPending
	}
	return nil
}

// verdicts compares running hosts, or the binary of --host.
func (s *session) verdicts(ctx context.Context, src deploy.Sources) ([]deploy.Verdict, error) {
	if s.cfg.Host != "" && len(s.cfg.Targets) == 0 {
		host, err := hosts.ForBuild(ctx, s.cfg.Host)
		if err != nil {
			return nil, err
		}
		if host.Binary != "" {
			v, err := deploy.Compare(ctx, src, host)
			return []deploy.Verdict{v}, err
		}
	}
	found, err := s.findReady(ctx)
	if err != nil {
		return nil, err
	}
	all, err := deploy.Verdicts(ctx, src, found.Hosts)
	if err == nil && len(s.cfg.Targets) > 0 {
		err = missing(found)
	}
	return all, err
}

// hostDiff puts a verdict into the answer.
func hostDiff(v deploy.Verdict) ui.HostDiff {
	own := hosts.Own(v.Host)
	h := ui.HostDiff{
		Host: v.Host.Name, PID: v.Host.PID, Binary: v.Host.Executable, Verdict: control.Unchanged,
		Own: v.Unit, Generation: own.Generation,
	}
	if p := v.Patch; p != nil {
		h.Packages = p.Packages
		for _, f := range p.Functions {
			h.Functions = append(h.Functions, ui.FunctionDiff(f))
		}
		for _, f := range p.Findings {
			h.Findings = append(h.Findings, findingDiff(f))
		}
		if p.Assumed && len(p.Packages) == 0 {
			h.Findings = append(h.Findings, findingDiff(deploy.Doubt(v.Unit)))
		}
	}
	for _, f := range v.Notes {
		h.Findings = append(h.Findings, findingDiff(f))
	}
	swapped, patched := false, false
	for _, p := range v.Differ {
		one := pluginDiff(v, p)
		h.Pending = h.Pending || one.Pending
		if p.Err != nil {
			f := explain(p.Err)
			one.Verdict, one.Code, one.Reason, one.Key = control.RestartRequired, f.Rule, f.Message, ""
			h.Verdict = control.RestartRequired
			h.Next, h.Evidence = f.Next, f.Evidence
		}
		swapped, patched = swapped || one.Verdict == control.Swapped, patched || one.Verdict == control.Patched
		h.Plugins = append(h.Plugins, one)
	}
	switch {
	case h.Verdict == control.RestartRequired:
	case v.Own == choose.ByPatch:
		h.Verdict, h.Key = control.Patched, v.Patch.Key
		h.Pending = h.Pending || own.Key != v.Patch.Key
	case v.Own == choose.Original:
		h.Verdict, h.Reason, h.Pending = control.Patched, "back to what the host was built from", true
	case swapped:
		h.Verdict = control.Swapped
	case patched:
		h.Verdict = control.Patched
	}
	if r := choose.FromError(v.Unit, v.Uncompared); r != nil && h.Reason == "" {
		h.Reason = "its own code was not compared: " + r.Reason()
	}
	for _, r := range v.Refusals {
		h.Verdict, h.Pending, h.Next = control.RestartRequired, true, r.Next
		h.Evidence = append(h.Evidence, r.Evidence...)
		if !shows(h.Findings, r) {
			h.Reason = r.Reason()
		}
		if len(r.Findings) > 0 && !shows(h.Findings, r) { // of a plugin, or of a patch without effect
			h.Reason = ""
			h.Findings = append([]ui.FindingDiff{findingDiff(r.Findings[0])}, h.Findings...)
		}
	}
	return h
}

// pluginDiff puts a plugin's verdict into the answer.
func pluginDiff(v deploy.Verdict, p deploy.PluginVerdict) ui.PluginDiff {
	one := ui.PluginDiff{
		Plugin: p.Plugin, Verdict: control.Swapped, Generation: hosts.Live(v.Host, p.Plugin).Generation, Key: p.Key, Pending: !p.Live,
	}
	if p.Way == choose.InPlace || p.Way == choose.ToBase {
		one.Verdict, one.Base = control.Patched, p.Base.Generation
	}
	if p.State != nil {
		one.State = stateDiff(p.State)
	}
	switch {
	case p.Way == choose.ToBase:
		one.Reason = p.Base.Back()
	case p.Instead != nil:
		one.Code, one.Reason = p.Instead.Code(), "not patched: "+p.Instead.Reason()
	case p.Patch != nil:
		for _, f := range p.Patch.Functions {
			one.Functions = append(one.Functions, ui.FunctionDiff(f))
		}
		for _, f := range p.Patch.Findings {
			one.Findings = append(one.Findings, findingDiff(f))
		}
	}
	return one
}

// stateDiff puts what becomes of a plugin's variables into the answer.
func stateDiff(p *builder.StatePlan) *ui.StateDiff {
	d := &ui.StateDiff{
		Carried: p.Count(builder.StateCarried), Converted: p.Count(builder.StateConverted), Reset: p.Count(builder.StateReset),
		Added: p.Count(builder.StateAdded), Lost: p.Count(builder.StateLost), Refused: p.Count(builder.StateRefused),
		Code: p.Code, Reason: p.Reason,
	}
	for _, v := range p.Variables {
		d.Variables = append(d.Variables, ui.VariableDiff{
			Name: v.Package + "." + v.Name, Outcome: string(v.Outcome), Old: v.Old, New: v.New,
			Code: v.Code, Text: v.Text, If: v.If, Notes: v.Notes,
		})
	}
	return d
}

func shows(all []ui.FindingDiff, r *choose.RefusedError) bool {
	for _, f := range all {
		if len(r.Findings) > 0 && f.Code == r.Findings[0].Code && f.Text == r.Findings[0].Text {
			return true
		}
	}
	return false
}

func findingDiff(f builder.Finding) ui.FindingDiff {
	return ui.FindingDiff{Finding: choose.Finding(f), Refused: f.Refuse}
}
