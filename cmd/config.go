package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
)

func newConfig(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Look at the settings",
		Example: "  hotgo config view",
		Args:    unknownCommand,
		RunE:    showHelp,
	}
	c.AddCommand(newConfigView(a))
	return c
}

func newConfigView(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "view",
		Short: "Show effective settings and where each came from",
		Long: `Show every setting, its value, and what set it: a flag, the environment, a line
of the file, or the default. A flag beats the environment, the environment beats
the file. All flags of all commands are taken here, to see what they would do.`,
		Example: "  hotgo config view\n  HOTGO_TAGS=netgo hotgo config view -o json",
		Args:    args(cobra.NoArgs),
		RunE: a.verb(func(_ context.Context, s *session, _ []string) error {
			v := s.cfg.View()
			return s.print(v, v.WriteText)
		}),
	}
	config.Register(c.Flags(), config.Build, config.Target, config.Watch, config.Sign, config.Health)
	a.completeFlags(c)
	return c
}
