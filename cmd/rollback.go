package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func newRollback(a *app) *cobra.Command {
	to := -1
	c := &cobra.Command{
		Use:   "rollback [PLUGIN]",
		Short: "Make an earlier generation live again",
		Long: `Make an earlier generation live again: the one before, or that of --to, where 0 is
what the host was built with. Patches of a host's own code are generations of what
its main package is called. Every generation that was ever loaded is still in
the process, so this takes no build and no time. stdout: NAME@sha256:DIGEST of
what serves now.`,
		Example: `  hotgo rollback
  hotgo rollback greet --to 3
  hotgo rollback greet --to 0 --target shop
  hotgo rollback server --to 0`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: a.verb(func(ctx context.Context, s *session, args []string) error {
			if to < -1 {
				return &usageError{msg: fmt.Sprintf("there is no generation %d", to), next: "hotgo history"}
			}
			var generation *int
			if to >= 0 {
				generation = &to
			}
			return s.rollback(ctx, strings.Join(args, ""), generation)
		}),
		ValidArgsFunction: a.completeHeld,
	}
	config.Register(c.Flags(), config.Target)
	a.completeFlags(c)
	c.Flags().IntVar(&to, "to", -1, "the `GENERATION` to go back to (default: the one before)")
	_ = c.RegisterFlagCompletionFunc("to", a.completeGenerations)
	return c
}

func (s *session) rollback(ctx context.Context, plugin string, to *int) error {
	found, err := s.findReady(ctx)
	if err != nil {
		return err
	}
	if plugin == "" {
		if plugin, err = onlyLoaded(found.Hosts); err != nil {
			return err
		}
	}
	p := s.printer(false)
	for _, st := range found.Hosts {
		p.Seed(st)
	}
	var results []deploy.Result
	for _, st := range found.Hosts {
		own, _ := hosts.Patched(st)
		if !hosts.Holds(st, plugin) && own != plugin && len(s.cfg.Targets) == 0 {
			continue
		}
		ev, err := s.rollbackHost(ctx, st, plugin, to)
		r := deploy.NewResult(&deploy.Change{Plugin: plugin, Way: choose.Original}, st, ev, err)
		results = append(results, r)
		if r.Err != nil {
			continue
		}
		if err := p.Event(r.Event); err != nil {
			return err
		}
		if !s.json() && r.Event.Digest != "" {
			if _, err := fmt.Fprintln(s.stdio.Out, plugin+"@"+r.Event.Digest); err != nil {
				return err
			}
		}
	}
	if len(results) == 0 {
		return &deploy.NoHolderError{Plugins: []string{plugin}, Hosts: found.Hosts}
	}
	err = deploy.Err(results)
	if e, ok := err.(*deploy.PartialError); ok {
		e.What = "rollbacks"
	}
	return err
}

func (s *session) rollbackHost(ctx context.Context, st control.Status, plugin string, to *int) (control.Event, error) {
	client := s.reach.Client(st)
	defer client.Close()
	ev, err := client.Rollback(ctx, plugin, to)
	if err != nil {
		return control.Event{}, fmt.Errorf("%s was not rolled back in %s (pid %d): %w", plugin, st.Name, st.PID, err)
	}
	ev.Host, ev.PID, ev.Target, ev.Plugin, ev.Caller = st.Name, st.PID, st.Socket, plugin, nil
	return *ev, nil
}

// onlyLoaded gives the one plugin of which something was loaded.
func onlyLoaded(all []control.Status) (string, error) {
	var names []string
	for _, name := range hosts.Names(all) {
		for _, st := range all {
			if hosts.Live(st, name).Generation > 0 {
				names = append(names, name)
				break
			}
		}
	}
	for _, st := range all {
		if name, _ := hosts.Patched(st); hosts.Own(st).Generation > 0 && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch len(names) {
	case 0:
		return "", errors.New("nothing is loaded that could be rolled back")
	case 1:
		return names[0], nil
	}
	return "", &usageError{
		msg:  "which plugin: " + strings.Join(names, ", ") + "?",
		next: "hotgo rollback " + names[0],
	}
}
