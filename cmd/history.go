package cmd

import (
	"context"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func newHistory(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "history",
		Short: "Show what was loaded when, by whom, and how it ended",
		Example: `  hotgo history
  hotgo history --target shop -o json`,
		Args: args(cobra.NoArgs),
		RunE: a.verb(func(ctx context.Context, s *session, _ []string) error {
			found, err := s.reach.Find(ctx, s.cfg.Targets)
			if err != nil {
				return err
			}
			all := control.History{V: control.EventVersion, Events: []control.Event{}}
			for _, st := range found.Hosts {
				h, err := s.journal(ctx, st)
				if err != nil {
					found.Missing = append(found.Missing, err)
					continue
				}
				all.Events = append(all.Events, h.Events...)
			}
			slices.SortStableFunc(all.Events, func(a, b control.Event) int { return a.Time.Compare(b.Time) })
			err = s.print(all, func(w io.Writer) error { return ui.History(w, all, s.style(w)) })
			if err != nil {
				return err
			}
			return missing(found)
		}),
	}
	config.Register(c.Flags(), config.Target)
	a.completeFlags(c)
	return c
}

// journal asks one host. Its events name it, for several journals are merged.
func (s *session) journal(ctx context.Context, st control.Status) (*control.History, error) {
	client := s.reach.Client(st)
	defer client.Close()
	h, err := client.History(ctx)
	if err != nil {
		return nil, err
	}
	for i := range h.Events {
		if h.Events[i].Host == "" {
			h.Events[i].Host, h.Events[i].PID = st.Name, st.PID
		}
	}
	return h, nil
}
