package cmd

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/devloop"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// recallPace is how often a host that was started is asked what became of the state
// that it was given.
const recallPace = 20 * time.Millisecond

// stateEffects are what handing state over from one process to the next takes.
func (p *program) stateEffects(l *live) (devloop.StateEffects, error) {
	fx := devloop.StateEffects{
		BuildList: func(ctx context.Context, host builder.Host, plugin builder.Plugin, plugins []builder.Plugin) (*builder.Artifact, error) {
			list, err := l.builder.BuildList(ctx, host, plugin, plugins)
			if list != nil {
				_, err = l.sign.put(list) // the host looks for the signature beside it
			}
			return list, err
		},
		Reinitialised: l.builder.Reinitialised,
		SaveState: func(ctx context.Context, h devloop.Host, req control.StateRequest) (*control.SavedState, error) {
			saved, err := saveState(ctx, h, req)
			return saved, signNext(err, l.again)
		},
		Recalled: func(ctx context.Context, h devloop.Host, n int) ([]control.Event, error) {
			events, err := recalled(ctx, h, n)
			for i := range events {
				events[i].Next = ownSignNext(events[i].Next, l.again)
			}
			return events, err
		},
		Settled: p.settled, StateDir: p.stateDir(),
	}
	if err := os.Mkdir(fx.StateDir, 0o700); err != nil {
		return fx, fmt.Errorf("make a directory for the state: %w", err)
	}
	return fx, nil
}

func saveState(ctx context.Context, h devloop.Host, req control.StateRequest) (*control.SavedState, error) {
	client := control.NewClient(h.Socket)
	defer client.Close()
	return client.SaveState(ctx, req)
}

// recalled gives what a host says of the state that it goes on with, as soon as that is
// about n plugins. It says so while it starts.
func recalled(ctx context.Context, h devloop.Host, n int) ([]control.Event, error) {
	client := control.NewClient(h.Socket)
	defer client.Close()
	tick := time.NewTicker(recallPace)
	defer tick.Stop()
	for {
		history, err := client.History(ctx)
		if err != nil {
			return nil, err
		}
		var events []control.Event
		for _, ev := range history.Events {
			if ev.Event == control.KindRecalled && ev.PID == h.PID && !ev.Time.Before(h.Started) {
				events = append(events, ev)
			}
		}
		if len(events) >= n {
			return events, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return events, context.Cause(ctx)
		}
	}
}
