package cmd

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/devloop"
	"github.com/hotgo/hotgo/cmd/internal/hosts"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

func newRun(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "run [PKG] [-- ARGS]",
		Short: "Build the host, start it, watch, reload",
		Long: `Build the host with the right flags, start it, and reload each edit of its
plugins. An edit that needs a new process restarts it (see --restart), with the state
that its plugins have, as far as a file can hold it. What comes after -- are the
program's own arguments. Ctrl-C stops both.

PKG is the host's main package; without it, --host or hotgo.yaml say, or it is the
module's main package that imports the reloader. The program's output is passed
through; with -o json its stdout goes to stderr, for stdout has the events.`,
		Example: `  hotgo run
  hotgo run ./server
  hotgo run ./server -- -addr localhost:8080`,
		Args: func(c *cobra.Command, args []string) error {
			own := args
			if n := c.ArgsLenAtDash(); n >= 0 {
				own = args[:n]
			}
			if len(own) > 1 {
				return &usageError{
					msg:  "run takes one package, and the program's arguments after --",
					next: "hotgo run " + own[0] + " -- " + strings.Join(own[1:], " "),
				}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			own, rest := args, []string(nil)
			if n := c.ArgsLenAtDash(); n >= 0 {
				own, rest = args[:n], args[n:]
			}
			return a.verb(func(ctx context.Context, s *session, own []string) error {
				return s.runHost(ctx, strings.Join(own, ""), rest)
			})(c, own)
		},
	}
	config.Register(c.Flags(), config.Build, config.Watch, config.Sign)
	a.completeFlags(c)
	return c
}

func (s *session) runHost(ctx context.Context, pkg string, args []string) error {
	b, err := s.builder()
	if err != nil {
		return err
	}
	if pkg, err = s.hostPackage(ctx, b, pkg); err != nil {
		return err
	}
	l, err := s.live(ctx, s.selection(nil, pkg))
	if err != nil {
		return err
	}
	defer l.close()
	l.again = "hotgo run"
	dir, remove, err := makeRunDir(os.TempDir())
	if err != nil {
		return err
	}
	defer remove()
	p := &program{session: s, builder: b, pkg: pkg, name: hostName(s.dir, pkg), dir: dir, args: args, keys: l.keys}
	p.socket = filepath.Join(control.SocketDirs()[0], fmt.Sprintf("%s-run%d.sock", p.name, os.Getpid()))
	defer os.Remove(p.socket)
	l.ignored = append(l.ignored, dir)
	l.fx.BuildHost, l.fx.StartHost = p.build, p.start
	if l.fx.StateEffects, err = p.stateEffects(l); err != nil {
		return err
	}
	l.fx.Hosts = func(ctx context.Context) ([]devloop.Host, error) {
		client := control.NewClient(p.socket)
		defer client.Close()
		st, err := client.Status(ctx)
		if err != nil {
			return nil, err
		}
		st.Socket = p.socket
		return l.seen([]control.Status{*st}), nil
	}
	opt := devloop.Options{Restart: s.restartPolicy(l.keys), Root: s.dir}
	return l.run(ctx, opt)
}

// restartPolicy reads the setting: where nobody can answer, ask means always.
func (s *session) restartPolicy(asks bool) devloop.RestartPolicy {
	switch {
	case s.cfg.Restart == "never":
		return devloop.RestartNever
	case s.cfg.Restart == "always" || !asks:
		return devloop.RestartAlways
	}
	return devloop.RestartAsk
}

// hostPackage says which package to run.
func (s *session) hostPackage(ctx context.Context, b *builder.Builder, pkg string) (string, error) {
	if pkg == "" {
		pkg = s.cfg.Host
	} else if strings.HasPrefix(pkg, ".") {
		pkg = filepath.Join(s.dir, pkg)
	}
	if pkg == "" {
		found, err := b.FindHost(ctx)
		if err != nil {
			return "", noHostPackage(err)
		}
		return found, nil
	}
	host, err := hosts.ForBuild(ctx, pkg)
	if err != nil {
		return "", err
	}
	if host.Package == "" {
		return "", &usageError{msg: "run builds the host: " + pkg + " is not a package", next: "hotgo watch --target " + pkg}
	}
	return host.Package, nil
}

// hostName is what the host is called: as the go command names the binary.
func hostName(dir, pkg string) string {
	name := path.Base(filepath.ToSlash(pkg))
	if strings.HasPrefix(pkg, ".") {
		name = filepath.Base(filepath.Join(dir, pkg))
	}
	return name
}

// program is the host as run builds and starts it.
type program struct {
	*session
	builder *builder.Builder
	pkg     string
	name    string
	dir     string // private; a directory for each build in it
	socket  string
	args    []string
	keys    bool
	builds  int
	cleared int // builds that are gone, with what was built before them
}

// build builds into a file that no process runs yet.
func (p *program) build(ctx context.Context) (*builder.HostBuild, error) {
	p.builds++
	dir := filepath.Join(p.dir, strconv.Itoa(p.builds))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a directory for the host: %w", err)
	}
	return p.builder.BuildHost(ctx, p.pkg, filepath.Join(dir, p.name))
}

// settled removes what was built before binary, and the state that processes left.
// What cannot be removed goes with the whole directory.
func (p *program) settled(binary string) {
	for n, _ := strconv.Atoi(filepath.Base(filepath.Dir(binary))); p.cleared+1 < n; p.cleared++ {
		_ = os.RemoveAll(filepath.Join(p.dir, strconv.Itoa(p.cleared+1)))
	}
	files, _ := filepath.Glob(filepath.Join(p.stateDir(), "*"))
	for _, f := range files {
		_ = os.Remove(f)
	}
}

func (p *program) stateDir() string { return filepath.Join(p.dir, "state") }

func (p *program) start(binary, recall string) (*devloop.Process, error) {
	env := append(os.Environ(), "HOTGO_SOCKET="+p.socket)
	if recall != "" {
		env = append(env, control.RecallVariable+"="+recall)
	}
	if os.Getenv("HOTGO_NAME") == "" {
		env = append(env, "HOTGO_NAME="+p.name)
	}
	spec := devloop.Spec{
		Binary: binary, Args: p.args, Env: env, Dir: p.session.dir,
		Stdout: p.stdio.Out, Stderr: p.stdio.Err, Force: p.force,
	}
	if p.json() {
		spec.Stdout = p.stdio.Err
	}
	// Keys are read from the terminal by hotgo, and a process that is not in
	// the terminal's foreground group would be stopped for reading from it.
	if !p.style(p.stdio.In).Terminal {
		spec.Stdin = p.stdio.In
	}
	return devloop.Start(spec)
}
