package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/scaffold"
)

// initAnswer is the answer of hotgo init.
type initAnswer struct {
	V       int      `json:"v"`
	Written []string `json:"written"` // absolute
	Advice  string   `json:"advice,omitempty"`
	Next    []string `json:"next"` // commands
}

func newInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a commented hotgo.yaml, and a first plugin where there is none",
		Long: `Write a commented hotgo.yaml into the module's directory. A module without a
plugin also gets a small one that works, and one without a program a program that
uses it. Nothing is overwritten. stdout: the paths of the files written.`,
		Example: "  go mod init example.com/hello\n  hotgo init",
		Args:    args(cobra.NoArgs),
		RunE: a.verb(func(_ context.Context, s *session, _ []string) error {
			m, err := scaffold.Look(s.dir)
			if err != nil {
				return err
			}
			plan, err := m.Plan()
			if err != nil {
				return err
			}
			answer := initAnswer{V: 1, Written: []string{}, Advice: plan.Advice}
			starter := config.Starter{Host: plan.Host}
			for _, p := range plan.Plugins {
				starter.Plugins = append(starter.Plugins, config.Plugin{Path: p})
			}
			file, err := config.WriteStarter(m.Dir, starter)
			switch {
			case errors.Is(err, config.ErrExists):
				s.say("%s is already there", s.short(file))
			case err != nil:
				return err
			default:
				answer.Written = append(answer.Written, file)
			}
			written, err := plan.Write()
			answer.Written = append(answer.Written, written...)
			if err != nil {
				return err
			}
			if !m.Requires {
				answer.Next = append(answer.Next, "go get github.com/hotgo/hotgo")
			}
			answer.Next = append(answer.Next, "hotgo run")
			return s.printInit(answer)
		}),
	}
}

func (s *session) printInit(answer initAnswer) error {
	if !s.json() && !s.cfg.Quiet {
		if answer.Advice != "" {
			fmt.Fprintln(s.stdio.Err, answer.Advice+"\n")
		}
		for _, next := range answer.Next {
			fmt.Fprintln(s.stdio.Err, "next: "+next)
		}
	}
	return s.print(answer, func(w io.Writer) error {
		for _, path := range answer.Written {
			if _, err := fmt.Fprintln(w, s.short(path)); err != nil {
				return err
			}
		}
		return nil
	})
}
