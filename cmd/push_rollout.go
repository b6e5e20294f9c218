package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/rollout"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// rolloutFlags say in what order hosts get what is pushed.
type rolloutFlags struct {
	strategy, maxUnavailable string
	noUndo                   bool
	options                  rollout.Options // once checked
}

func (f *rolloutFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.strategy, "strategy", string(rollout.All), "the `order` of hosts: all at once, rolling (a few at a time), or canary (one, then the others)")
	fs.StringVar(&f.maxUnavailable, "max-unavailable", "", "hosts changed at the same time, a `number` or a percentage (default: 1 where rolling)")
	fs.BoolVar(&f.noUndo, "no-undo", false, "where a rollout fails, leave the new version where it is already")
}

func completeStrategies(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return rollout.Strategies, cobra.ShellCompDirectiveNoFileComp
}

func (f *rolloutFlags) check(detach bool) error {
	const next = "hotgo push --help"
	if !slices.Contains(rollout.Strategies, f.strategy) {
		return &usageError{msg: "--strategy is all, rolling or canary, not " + quote(f.strategy), next: next}
	}
	f.options = rollout.Options{Strategy: rollout.Strategy(f.strategy), NoUndo: f.noUndo}
	var err error
	if f.options.MaxUnavailable, err = rollout.ParseShare(f.maxUnavailable); err != nil {
		return &usageError{msg: "--max-unavailable: " + err.Error(), next: next}
	}
	switch {
	case f.options.Strategy == rollout.All && f.noUndo:
		return &usageError{msg: "--no-undo is for --strategy rolling and canary: where all hosts are changed at once, nothing is undone", next: next}
	case f.options.Strategy != rollout.All && detach:
		return &usageError{msg: "--detach contradicts --strategy " + f.strategy + ", which waits for each host", next: next}
	}
	return nil
}

// lacking is the error of a rollout that stops at failures, for targets that gave no
// host: they are failures before the first load.
func (f *rolloutFlags) lacking(found *hosts.Found) error {
	if f.options.Strategy == rollout.All || len(found.Missing) == 0 {
		return nil
	}
	return errors.Join(found.Missing...)
}

// announce says the order before a rollout begins.
func (s *session) announce(changes []*deploy.Change, o rollout.Options) {
	if o.Strategy == rollout.All || s.cfg.Quiet || s.json() {
		return
	}
	plan, names := deploy.PlanOf(changes, o)
	if text := plan.Describe(func(n int) string { return names[n] }); text != "" {
		s.say("%s: %s", o.Strategy, text)
	}
}

// summary says how a push into several hosts went: in a line, and where not all is
// well in a table with a row for each host and plugin.
func (s *session) summary(results []deploy.Result, took time.Duration) {
	count := map[rollout.State]int{}
	at := map[string]bool{}
	for _, r := range results {
		count[r.State]++
		at[r.Host.Socket] = true
	}
	if len(at) < 2 || s.json() {
		return
	}
	bad := count[rollout.Failed] + count[rollout.Skipped] + count[rollout.Undone] + count[rollout.Stuck]
	if bad > 0 {
		_ = s.rolloutTable(results)
	} else if s.cfg.Quiet {
		return
	}
	var said []string
	for _, state := range []rollout.State{rollout.Done, rollout.Same, rollout.Failed, rollout.Undone, rollout.Stuck, rollout.Skipped} {
		if n := count[state]; n > 0 {
			said = append(said, strconv.Itoa(n)+" "+state.String())
		}
	}
	s.say("%d hosts: %s, in %s", len(at), strings.Join(said, ", "), took.Round(time.Millisecond))
}

func (s *session) rolloutTable(results []deploy.Result) error {
	var rows []ui.Deployed
	for _, r := range results {
		row := ui.Deployed{Host: r.Host.Name, PID: r.Host.PID, Plugin: r.Event.Plugin, Result: r.State.String(), Target: r.Host.Socket}
		if row.Plugin == "" {
			row.Plugin = r.Change.Plugin
		}
		switch r.State {
		case rollout.Done, rollout.Same:
			row.Generation, row.Key = r.Event.Generation, r.Event.Key
		case rollout.Failed, rollout.Stuck:
			row.Unknown = r.Lost() || r.State == rollout.Stuck
		}
		if r.Err != nil {
			f := explain(r.Err)
			row.Why = f.Code
			if f.Rule != "" {
				row.Why = f.Rule
			}
		}
		rows = append(rows, row)
	}
	var w io.Writer = s.stdio.Err
	if err := ui.Rollout(w, rows, s.style(w)); err != nil {
		return fmt.Errorf("write the table: %w", err)
	}
	return nil
}

// severalLoads reports whether a push has more than one result. With -o json each of
// them is a line then, failures too; a single failure is the command's answer.
func severalLoads(changes []*deploy.Change) bool {
	n := 0
	for _, c := range changes {
		n += len(c.Hosts)
	}
	return n > 1
}

// statusOf asks a host what it runs now.
func (s *session) statusOf(ctx context.Context, st control.Status) (*control.Status, error) {
	client := s.reach.Client(st)
	defer client.Close()
	return client.Status(ctx)
}
