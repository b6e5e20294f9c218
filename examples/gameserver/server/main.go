// Command server is a game server whose rules are replaced while it runs. It
// listens on this machine's loopback interface only.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hotgo/hotgo/examples/gameserver/plugins/rules"
	"github.com/hotgo/hotgo/pkg/reloader"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := configure(os.Args[1:], os.Getenv, os.Stderr)
	if err == nil {
		err = run(ctx, cfg, os.Stdout)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "gameserver:", err)
		os.Exit(1)
	}
}

// config is what can be chosen at start-up.
type config struct {
	port int           // 0 takes a free one
	tick time.Duration // between two ticks
	seed uint64        // of the dice
}

// configure reads flags and the environment. A flag beats GAMESERVER_PORT.
func configure(args []string, getenv func(string) string, stderr io.Writer) (config, error) {
	var cfg config
	port := 8080
	if s := getenv("GAMESERVER_PORT"); s != "" {
		var err error
		if port, err = strconv.Atoi(s); err != nil {
			return cfg, fmt.Errorf("read GAMESERVER_PORT: %w", err)
		}
	}
	f := flag.NewFlagSet("server", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.IntVar(&cfg.port, "port", port, "`port` on 127.0.0.1; 0 takes a free one")
	f.DurationVar(&cfg.tick, "tick", time.Second, "`time` between two ticks")
	f.Uint64Var(&cfg.seed, "seed", 1, "seed of the dice")
	if err := f.Parse(args); err != nil {
		return cfg, err
	}
	if f.NArg() > 0 {
		return cfg, fmt.Errorf("read arguments: %q is not a flag", f.Arg(0))
	}
	if cfg.tick <= 0 {
		return cfg, fmt.Errorf("read arguments: -tick is %v, want more than nothing", cfg.tick)
	}
	return cfg, nil
}

// run serves until ctx ends. Its first line on stdout says where.
func run(ctx context.Context, cfg config, stdout io.Writer) error {
	// The host calls the hooks of what it loads. What is built in is checked
	// here, the same way.
	if err := errors.Join(rules.HotStart(ctx), rules.HotHealth(ctx)); err != nil {
		return fmt.Errorf("check the built-in rules: %w", err)
	}
	slog.SetLogLoggerLevel(slog.LevelWarn) // one record for each load would be too much for a demonstration
	host, err := reloader.New(reloader.Options{
		Name: "gameserver", Logger: slog.Default(),
		// Who comes over the game's port may load, too. Without this line it is for
		// reading, and loads take the Unix socket. A server that others can reach
		// asks for a token here.
		Authorize: func(*http.Request) (reloader.Access, string) { return reloader.WriteAccess, "port" },
	})
	if err != nil {
		return fmt.Errorf("start the reloader: %w", err)
	}
	defer host.Close()

	// Whoever can reach the control handler can run code here, so the address
	// is not for the user to choose.
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(cfg.port)))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	gin.SetMode(gin.ReleaseMode)
	s := newServer(host, cfg.seed, stdout)
	srv := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 10 * time.Second}
	fmt.Fprintf(stdout, "gameserver: pid %d, http://%s, control socket %s\n", os.Getpid(), l.Addr(), host.Socket())

	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	ticker := time.NewTicker(cfg.tick)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			s.step()
		case err := <-failed:
			return fmt.Errorf("serve: %w", err)
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			if err := srv.Shutdown(ctx); err != nil {
				return errors.Join(fmt.Errorf("shut down: %w", err), srv.Close())
			}
			return nil
		}
	}
}
