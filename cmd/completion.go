package cmd

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/scaffold"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// completionPatience bounds what a press of Tab may cost: a host that does not
// answer has no completions.
const completionPatience = 80 * time.Millisecond

var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish|powershell",
		Short: "Write the completion script of a shell",
		Long: `Write a completion script to stdout. It completes commands, flags, plugins,
targets and generations.`,
		Example: `  source <(hotgo completion bash)
  hotgo completion zsh > "${fpath[1]}/_hotgo"
  hotgo completion fish > ~/.config/fish/completions/hotgo.fish`,
		Args:      args(cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs)),
		ValidArgs: shells,
		RunE: func(c *cobra.Command, args []string) error {
			root, out := c.Root(), a.stdio.Out
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(out, true)
			case "zsh":
				return root.GenZshCompletion(out)
			case "fish":
				return root.GenFishCompletion(out, true)
			}
			return root.GenPowerShellCompletionWithDesc(out)
		},
	}
}

// completeFlags completes the values of the settings that a command has flags
// for.
func (a *app) completeFlags(c *cobra.Command) {
	a.completeChoices(c, "link", "mode", "restart")
	if c.Flags().Lookup("target") != nil {
		_ = c.RegisterFlagCompletionFunc("target", a.completeTargets)
	}
}

// completeChoices completes settings of which the values can be listed.
func (a *app) completeChoices(c *cobra.Command, names ...string) {
	for _, name := range names {
		if c.Flags().Lookup(name) == nil && c.PersistentFlags().Lookup(name) == nil {
			continue
		}
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(config.Choices(name), cobra.ShellCompDirectiveNoFileComp))
	}
}

// completePlugins offers the module's plugins, by what lies on disk: the go
// command would take too long. Files are offered as well, for artifacts and
// packages elsewhere.
func (a *app) completePlugins(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	if cfg, err := config.Load(config.Options{Flags: c.Flags()}); err == nil {
		for _, name := range cfg.PluginNames() {
			found = append(found, name)
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return found, cobra.ShellCompDirectiveDefault
	}
	dirs := []string{wd}
	if root, err := scaffold.Root(wd); err == nil && root != wd {
		dirs = append(dirs, root)
	}
	for _, dir := range dirs {
		entries, _ := os.ReadDir(filepath.Join(dir, "plugins"))
		for _, e := range entries {
			rel, err := filepath.Rel(wd, filepath.Join(dir, "plugins", e.Name()))
			if err != nil || !e.IsDir() {
				continue
			}
			if filepath.IsLocal(rel) {
				rel = "./" + filepath.ToSlash(rel)
			}
			found = append(found, rel)
		}
	}
	return without(found, args), cobra.ShellCompDirectiveDefault
}

// completeHeld offers the plugins of running hosts.
func (a *app) completeHeld(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	running := a.running(c)
	held := hosts.Names(running)
	for _, st := range running {
		if own, ok := hosts.Patched(st); ok && !slices.Contains(held, own) {
			held = append(held, own)
		}
	}
	return held, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeTargets(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	for _, st := range a.running(c) {
		found = append(found,
			cobra.CompletionWithDesc(st.Name, "pid "+strconv.Itoa(st.PID)),
			cobra.CompletionWithDesc(strconv.Itoa(st.PID), st.Name))
	}
	return found, cobra.ShellCompDirectiveDefault // a socket's path is a target, too
}

func (a *app) completeGenerations(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var found []cobra.Completion
	for _, st := range a.running(c) {
		for _, p := range st.Plugins {
			if len(args) > 0 && p.Name != args[0] {
				continue
			}
			found = append(found, cobra.CompletionWithDesc("0", "what "+st.Name+" was built with"))
			for _, g := range p.Generations {
				if g.State != control.StateFailed && g.Generation != p.Live {
					found = append(found, cobra.CompletionWithDesc(strconv.Itoa(g.Generation), p.Name+" of "+g.Loaded.Format(time.TimeOnly)))
				}
			}
		}
	}
	return found, cobra.ShellCompDirectiveNoFileComp
}

// running lists the hosts that answer at once.
func (a *app) running(c *cobra.Command) []control.Status {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	targets, err := control.Discover(ctx)
	if err != nil {
		return nil
	}
	var all []control.Status
	for _, t := range targets {
		if t.Status != nil {
			all = append(all, *t.Status)
		}
	}
	return all
}

// without leaves out what the command line has already.
func without(found []cobra.Completion, args []string) []cobra.Completion {
	return slices.DeleteFunc(found, func(c cobra.Completion) bool { return slices.Contains(args, c) })
}
