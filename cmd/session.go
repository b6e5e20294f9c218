package cmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/cmd/internal/ui"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// heartbeat is how often a command that waits says so where nobody watches a
// terminal: CI runners end what is silent.
const heartbeat = 15 * time.Second

// app is one run of the program.
type app struct {
	stdio Stdio
	build Build
	force <-chan struct{} // closed by the second signal
	args  []string
	ctx   context.Context // the session's, once there is one
	cfg   *config.Config  // once read
}

// session is a command with its configuration.
type session struct {
	*app
	ctx   context.Context
	close func()
	cfg   *config.Config
	dir   string // the current directory
	reach *hosts.Reach
}

// open reads the configuration and starts the clock of --timeout.
func (a *app) open(c *cobra.Command) (*session, error) {
	cfg, err := config.Load(config.Options{Flags: c.Flags()})
	if err != nil {
		return nil, err
	}
	a.cfg = cfg
	s := &session{app: a, cfg: cfg, ctx: c.Context(), reach: new(hosts.Reach)}
	s.close = s.reach.Close
	if s.dir, err = os.Getwd(); err != nil {
		return nil, fmt.Errorf("find the current directory: %w", err)
	}
	if cfg.Timeout > 0 {
		var stop context.CancelFunc
		s.ctx, stop = context.WithTimeoutCause(s.ctx, cfg.Timeout, errTimeout)
		s.close = func() {
			s.reach.Close()
			stop()
		}
	}
	a.ctx = s.ctx
	if !cfg.Quiet {
		for _, w := range cfg.Warnings {
			s.say("%s", w)
		}
	}
	return s, nil
}

// findReady finds the hosts that are meant, once they have started.
func (s *session) findReady(ctx context.Context) (*hosts.Found, error) {
	return s.reach.FindReady(ctx, s.cfg.Targets, func(st control.Status) {
		s.inform(fmt.Sprintf("%s (pid %d) is starting; waiting until it has", st.Name, st.PID))
	})
}

// mode is how running code may be replaced.
func (s *session) mode() choose.Mode { return choose.Mode(s.cfg.Mode) }

func (s *session) json() bool { return s.cfg.Output == "json" }

// style is how text is written to one of the two outputs.
func (a *app) style(w io.Writer) ui.Style {
	when := "auto"
	if a.cfg != nil {
		when = a.cfg.Color
	}
	dir, err := os.Getwd()
	if err != nil {
		dir = ""
	}
	return ui.NewStyle(w, when, dir, os.Getenv)
}

// say tells people something.
func (s *session) say(format string, args ...any) {
	fmt.Fprintln(s.stdio.Err, "hotgo: "+ui.Clean(fmt.Sprintf(format, args...)))
}

// print writes data: one object with -o json, else what text writes.
func (s *session) print(object any, text func(w io.Writer) error) error {
	if s.json() {
		return ui.JSON(s.stdio.Out, object)
	}
	return text(s.stdio.Out)
}

// printer shows events.
func (s *session) printer(asks bool) *ui.Printer {
	return ui.NewPrinter(ui.Options{
		Out: s.stdio.Out, Err: s.stdio.Err, JSON: s.json(), Quiet: s.cfg.Quiet, Verbose: s.cfg.Verbose,
		Asks: asks, Style: s.style(s.stdio.Err),
	})
}

// builder gives a builder with the options of the configuration, as change
// adapts them.
func (s *session) builder(change ...func(*builder.Options)) (*builder.Builder, error) {
	opts := builder.Options{
		WorkDir: s.dir, Dir: s.cfg.Dir, Keep: s.cfg.Keep, Names: s.cfg.PluginNames(),
		Tags: s.cfg.Tags, Race: s.cfg.Race, Link: s.cfg.Link, LDFlags: s.cfg.LDFlags,
		Tool: "hotgo " + s.build.complete().Version, Logger: s.logger(),
	}
	for _, f := range change {
		f(&opts)
	}
	return builder.New(opts)
}

// logger is for what only somebody who searches for a fault wants to know.
func (s *session) logger() *slog.Logger {
	if !s.cfg.Verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(s.stdio.Err, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// beat says now and then that something still runs, where there is no terminal
// to show it. The caller calls stop, which waits for the last word.
func (s *session) beat(what string) (stop func()) {
	if s.style(s.stdio.Err).Terminal || s.cfg.Quiet {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		t := time.NewTicker(heartbeat)
		defer t.Stop()
		for start := time.Now(); ; {
			select {
			case <-end:
				return
			case now := <-t.C:
				s.say("still %s (%s)", what, now.Sub(start).Round(time.Second))
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}

// short gives a path as people read it: below the current directory, relative.
func (s *session) short(path string) string {
	if rel, err := filepath.Rel(s.dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// milliseconds converts for answers, where every figure is in milliseconds.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func quote(s string) string { return strconv.Quote(s) }
