package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hotgo/hotgo/cmd/internal/config"
	"github.com/hotgo/hotgo/cmd/internal/probe"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// # What push does in a health window
//
// The host observes what it has loaded, and decides; push waits for that, and shows it.
// What only push can do is to ask the service from outside. It says what it has found
// by confirming the generation, or refusing it. A host that was told to expect that
// undoes what nobody confirms, so a push that is killed decides nothing by its absence.

// probesOf gives the probes that the configuration asks for, of one generation.
func probesOf(o config.Observation, st control.Status, ev *control.Event) ([]probe.Probe, error) {
	var probes []probe.Probe
	for _, url := range o.HTTP {
		p, err := probe.HTTP(url)
		if err != nil {
			return nil, &usageError{msg: "--probe-http: " + err.Error(), next: "hotgo push --help"}
		}
		probes = append(probes, p)
	}
	for _, line := range o.Commands {
		probes = append(probes, probe.Command(line, []string{
			"HOTGO_PROBED_HOST=" + st.Name, "HOTGO_PROBED_PID=" + strconv.Itoa(st.PID), "HOTGO_PROBED_SOCKET=" + st.Socket,
			"HOTGO_PROBED_PLUGIN=" + ev.Plugin, "HOTGO_PROBED_GENERATION=" + strconv.Itoa(ev.Generation),
		}))
	}
	return probes, nil
}

// checkHealth finds what makes no sense before anything is built.
func (s *session) checkHealth() error {
	o := s.cfg.Health
	probes, err := probesOf(o, control.Status{}, &control.Event{})
	if err == nil && len(probes) > 0 && !o.Asked {
		err = &usageError{msg: "a probe needs a health window, in which to ask", next: "hotgo push --health-window 30s …"}
	}
	return err
}

// window is what hosts are asked to do with what they load; nil leaves it to them.
func (s *session) window() *control.Window {
	o := s.cfg.Health
	if !o.Asked {
		return nil
	}
	w := o.Window
	w.Confirm = len(o.HTTP)+len(o.Commands) > 0 && w.Length > 0
	return &w
}

// windowFlags are the flags that ask another hotgo for the same.
func (s *session) windowFlags() (flags []string) {
	o := s.cfg.Health
	if !o.Asked {
		return nil
	}
	flags = append(flags,
		"--health-window="+o.Window.Length.String(), "--health-interval="+o.Window.Interval.String(),
		"--health-failures="+strconv.Itoa(o.Window.Failures), "--max-panics="+strconv.Itoa(o.Window.MaxPanics),
		"--max-errors="+o.Window.MaxErrors, "--probe-timeout="+o.Timeout.String(),
	)
	for _, url := range o.HTTP {
		flags = append(flags, "--probe-http="+url)
	}
	for _, line := range o.Commands {
		flags = append(flags, "--probe-command="+line)
	}
	return flags
}

// waitsFor tells people that a host is busy with somebody else's load.
func waitsFor(plugin string, st control.Status, w control.Waiting) string {
	reason := "a load that is under way"
	if w.Generation > 0 {
		reason = fmt.Sprintf("%s v%d, which is observed until %s", w.Plugin, w.Generation, clock(w.Until))
	}
	if w.Caller != nil {
		reason += fmt.Sprintf(" (loaded by uid %d pid %d)", w.Caller.UID, w.Caller.PID)
	}
	return fmt.Sprintf("%s waits in %s (pid %d) for %s", plugin, st.Name, st.PID, reason)
}

func clock(t time.Time) string { return t.Local().Format(time.TimeOnly) }

// inform tells people something that is no failure.
func (s *session) inform(text string) {
	if !s.cfg.Quiet {
		s.say("%s", text)
	}
}

// awaitHealth waits until a generation has proved itself, and probes it meanwhile. It
// enters into ev how that went.
//
// Errors: a *control.Error with the code unhealthy where the generation does not serve
// any more, or should not; what keeps it from knowing.
func (s *session) awaitHealth(ctx context.Context, client *control.Client, st control.Status, ev *control.Event) error {
	probes, err := probesOf(s.cfg.Health, st, ev)
	if err != nil {
		return err
	}
	s.inform(fmt.Sprintf("%s v%d serves in %s (pid %d), and is observed until %s", ev.Plugin, ev.Generation, st.Name, st.PID, clock(ev.Health.Until)))
	probing, stop := context.WithCancel(ctx)
	defer stop()
	var results []probe.Result
	told := make(chan error, 1)
	go func() {
		var err error
		results, err = s.probe(probing, client, probes, ev)
		told <- err
	}()
	end, err := await(ctx, client, ev)
	stop()
	probeErr := <-told
	if err == nil && end.Event == control.KindHealthy {
		ev.Health = end.Health
		for _, r := range results {
			ev.Health.Probes = append(ev.Health.Probes, control.Probed{Probe: r.Name, Runs: r.Runs, Failed: r.Failed})
		}
		ev.Notes = append(ev.Notes, end.Notes...)
		return nil
	}
	if err == nil {
		return unhealthy(st, ev, end)
	}
	if ctx.Err() != nil {
		s.sayLeft(st, ev)
		return err
	}
	if _, gone := errors.AsType[*control.UnreachableError](err); gone {
		return fmt.Errorf("%s (pid %d) went away while %s v%d was observed, and may have died of it: %w", st.Name, st.PID, ev.Plugin, ev.Generation, err)
	}
	return errors.Join(err, probeErr)
}

// await asks once more where a connection breaks, for the host may be there still.
func await(ctx context.Context, client *control.Client, ev *control.Event) (*control.Event, error) {
	end, err := client.AwaitWindow(ctx, ev.Plugin, ev.Generation)
	if _, broken := errors.AsType[*control.UnreachableError](err); broken && ctx.Err() == nil {
		return client.AwaitWindow(ctx, ev.Plugin, ev.Generation)
	}
	return end, err
}

// probe asks the service until the window is over, and tells the host what came of it.
func (s *session) probe(ctx context.Context, client *control.Client, probes []probe.Probe, ev *control.Event) ([]probe.Result, error) {
	if len(probes) == 0 {
		return nil, nil
	}
	o := s.cfg.Health
	results, err := probe.Watch(ctx, probes, probe.Options{
		Length: left(ev), Interval: o.Window.Interval, Timeout: o.Timeout, Failures: o.Window.Failures,
	})
	req := control.ConfirmRequest{Plugin: ev.Plugin, Generation: ev.Generation, Healthy: err == nil}
	if failed, ok := errors.AsType[*probe.FailedError](err); ok {
		req.Reason = failed.Error()
		req.Evidence = []control.Evidence{{
			What: failed.Name, Host: fmt.Sprintf("at most %d in a row", o.Window.Failures-1), Artifact: fmt.Sprintf("%d of %d failed: %v", failed.Failed, failed.Runs, failed.Last),
		}}
	} else if err != nil {
		return results, nil // the window has ended, or nobody waits any more
	}
	if _, err := client.Confirm(ctx, req); err != nil && ctx.Err() == nil {
		return results, err
	}
	return results, nil
}

// left is how long a window will be open. Clocks of two machines differ, so the time
// itself says less than how long it is, where this push has opened it.
func left(ev *control.Event) time.Duration {
	length := ev.Health.Until.Sub(ev.Health.Since)
	if ev.Event == control.KindUnchanged { // another one has
		length = max(0, min(length, time.Until(ev.Health.Until)))
	}
	return length
}

// unhealthy is how a window ended badly.
func unhealthy(st control.Status, ev, end *control.Event) error {
	e := &control.Error{
		Code: end.Code, Message: fmt.Sprintf("%s v%d did not stay in %s (pid %d): %s", ev.Plugin, ev.Generation, st.Name, st.PID, bare(end.Reason, ev.Generation)),
		Evidence: slices.Clone(end.Evidence), Limit: "the health window of this load", Next: end.Next,
	}
	switch end.Event {
	case control.KindRolledBack:
		e.Evidence = append(e.Evidence, control.Evidence{What: "serves again", Host: servesAgain(end)})
		for _, n := range end.Notes {
			e.Evidence = append(e.Evidence, control.Evidence{What: "note", Host: n.Text})
		}
		e.Next = "hotgo history --target " + st.Socket
	case control.KindFailed:
		if end.Health != nil && end.Health.State == control.HealthStuck {
			e.Message = fmt.Sprintf("%s in %s (pid %d): %s", ev.Plugin, st.Name, st.PID, end.Reason)
		}
	}
	return e
}

// bare is a reason without the generation, which was named already.
func bare(reason string, generation int) string {
	return strings.TrimPrefix(reason, fmt.Sprintf("v%d is unhealthy: ", generation))
}

func servesAgain(end *control.Event) string {
	switch {
	case end.Generation > 0:
		return "v" + strconv.Itoa(end.Generation)
	case end.Verdict == control.Patched:
		return "the code as it was built"
	}
	return "the built-in"
}

// sayLeft tells somebody who does not wait any more what will become of it.
func (s *session) sayLeft(st control.Status, ev *control.Event) {
	text := fmt.Sprintf("%s (pid %d) goes on observing %s v%d until %s", st.Name, st.PID, ev.Plugin, ev.Generation, clock(ev.Health.Until))
	if ev.Health.Confirm {
		text += ", and undoes it then unless somebody confirms it"
	}
	s.inform(text)
}
