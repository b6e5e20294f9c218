package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/devloop"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
)

func newWatch(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "watch [PLUGIN...]",
		Short: "Watch sources and reload into hosts that run",
		Long: `Watch the sources of plugins, and reload each edit into the hosts that run. A host
that is not up yet is waited for, one that comes back gets the current version.
With -o json stdout has one event a line.`,
		Example: `  hotgo watch
  hotgo watch ./plugins/... --target shop
  hotgo watch -o json`,
		RunE: a.verb(func(ctx context.Context, s *session, args []string) error {
			_, err := hosts.Find(ctx, s.cfg.Targets)
			if _, wrong := errors.AsType[*hosts.TargetError](err); wrong {
				return err
			}
			l, err := s.live(ctx, s.selection(args))
			if err != nil {
				return err
			}
			defer l.close()
			l.fx.Hosts = func(ctx context.Context) ([]devloop.Host, error) {
				found, err := hosts.Find(ctx, s.cfg.Targets)
				if err != nil {
					return nil, err
				}
				return l.seen(found.Hosts), nil
			}
			return l.run(ctx, devloop.Options{})
		}),
		ValidArgsFunction: a.completePlugins,
	}
	config.Register(c.Flags(), config.Build, config.Target, config.Watch, config.Sign)
	a.completeFlags(c)
	return c
}
