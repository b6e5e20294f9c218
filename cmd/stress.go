package cmd

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/pkg/builder"
)

// newStress is for those who work on hotgo, or doubt it.
func newStress(a *app) *cobra.Command {
	return &cobra.Command{
		Use:    "stress PACKAGE [-- TEST-FLAGS]",
		Short:  "Run a package's tests while all its functions are replaced by themselves",
		Hidden: true,
		Long: `stress builds the tests of a package, recompiles all of its functions, and
replaces them by the copies and back again for as long as the tests run. They
have to pass as they do without. Flags after -- are those of the test binary,
such as -test.short or -test.skip=REGEXP.`,
		Example: "  hotgo stress strings -- -test.short",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: a.verb(func(ctx context.Context, s *session, args []string) error {
			dir, err := os.MkdirTemp("", "hotgo-stress")
			if err != nil {
				return err
			}
			defer os.RemoveAll(dir)
			b, err := builder.New(builder.Options{WorkDir: s.dir, Dir: dir, Tool: s.build.complete().Version})
			if err != nil {
				return err
			}
			defer b.Close()
			st, err := b.Stress(ctx, args[0], dir, 3)
			if err != nil {
				return err
			}
			n, err := st.Run(ctx, true, s.stdio.Err, args[1:]...)
			if err != nil {
				return fmt.Errorf("the tests of %s, with %d functions replaced by themselves: %w", args[0], st.Functions, err)
			}
			s.say("%s: its tests passed while %d functions were replaced %d times", args[0], st.Functions, n)
			return nil
		}),
	}
}
