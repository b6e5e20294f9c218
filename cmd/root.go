// Package cmd is hotgo's command line: cobra, one file a verb, and no logic
// beyond putting the parts together.
package cmd

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
)

// Stdio is where a command reads and writes. Out carries data alone;
// everything for people goes to Err.
type Stdio struct{ In, Out, Err *os.File }

// forcedExit is how long a command has to clean up after a second signal.
const forcedExit = 500 * time.Millisecond

// Execute runs one command line (without the program's name) and gives the
// exit code. It takes over SIGINT and SIGTERM while it runs.
func Execute(args []string, stdio Stdio, build Build) int {
	ctx, force, stop := signals()
	defer stop()
	a := &app{stdio: stdio, build: build, force: force, args: args}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(stdio.In)
	root.SetOut(stdio.Out)
	root.SetErr(stdio.Err)

	code := make(chan int, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		code <- a.finish(ctx, err)
	}()
	select {
	case c := <-code:
		return c
	case <-force:
	}
	patience := time.NewTimer(forcedExit)
	defer patience.Stop()
	select {
	case c := <-code:
		return c
	case <-patience.C:
		return exitInterrupted
	}
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "hotgo",
		Short: "Reload code into running Go processes",
		Long: `hotgo replaces plugins of a running Go program: edit, save, and the process
that already runs behaves differently. The program embeds a small library
(github.com/hotgo/hotgo/pkg/reloader); plugins are plain Go packages.`,
		Example: `  hotgo init
  hotgo run ./server
  hotgo watch ./plugins/...
  hotgo status`,
		SilenceErrors:     true, // errors.go prints them
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              unknownCommand,
		RunE:              showHelp,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &usageError{msg: err.Error(), next: c.CommandPath() + " --help"}
	})
	// A build tool's users think in its verbs, not in an alphabet.
	cobra.EnableCommandSorting = false
	config.Register(root.PersistentFlags(), config.Shared)
	a.completeChoices(root, "output", "color")
	root.AddCommand(
		newInit(a), newRun(a), newWatch(a), newBuild(a), newDiff(a), newPush(a),
		newStatus(a), newHistory(a), newRollback(a), newVerify(a), newDoctor(a),
		newKey(a), newConfig(a), newVersion(a), newCompletion(a), newStress(a),
	)
	return root
}

// showHelp is what a command does that only holds others.
func showHelp(c *cobra.Command, _ []string) error { return c.Help() }

// unknownCommand refuses a verb that is not there, with those that are alike.
func unknownCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2 // letters; cobra sets it where it does the check itself
	e := &usageError{msg: "unknown command " + quote(args[0]), next: c.CommandPath() + " --help"}
	if alike := c.SuggestionsFor(args[0]); len(alike) > 0 {
		e.msg += "; did you mean " + quote(alike[0]) + "?"
		e.next = c.CommandPath() + " " + alike[0]
	}
	return e
}

// args makes what cobra finds wrong with arguments a usage error.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return &usageError{msg: err.Error(), next: c.CommandPath() + " --help"}
		}
		return nil
	}
}

// verb is the RunE of most commands: it reads the configuration first.
func (a *app) verb(run func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		s, err := a.open(c)
		if err != nil {
			return err
		}
		defer s.close()
		return run(s.ctx, s, args)
	}
}
