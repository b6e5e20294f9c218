package cmd

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/deploy"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// statusAnswer is the answer of hotgo status.
type statusAnswer struct {
	V     int              `json:"v"`
	Hosts []control.Status `json:"hosts"`
}

func newStatus(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show hosts, their plugins and what is live",
		Long: `Show the hosts that run, the plugins of each, and which version is live: when it
was loaded, how it was linked, what it costs. Below are the functions that run the
code of patches, and those whose earlier code goroutines are still in; then the old
versions in whose code goroutines still are, and where, and those of which the host
keeps a value, a function or a variable, with the way to it; then what a host that was
started again does not have any more, and why, and what it has quarantined. With -v
all of these places, and also why a version that is live is not thin.`,
		Example: `  hotgo status
  hotgo status --target shop -o json`,
		Args: args(cobra.NoArgs),
		RunE: a.verb(func(ctx context.Context, s *session, _ []string) error {
			found, err := s.reach.Find(ctx, s.cfg.Targets)
			if err != nil {
				return err
			}
			err = s.print(statusAnswer{V: 1, Hosts: found.Hosts}, func(w io.Writer) error {
				return ui.Status(w, found.Hosts, s.cfg.Verbose, s.style(w))
			})
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

// missing is the error for hosts that did not answer beside others that did.
func missing(found *hosts.Found) error {
	if len(found.Missing) == 0 {
		return nil
	}
	return &deploy.PartialError{
		What: "hosts", Failed: len(found.Missing), Total: len(found.Missing) + len(found.Hosts), Errs: found.Missing,
	}
}
