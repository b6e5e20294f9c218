package reloader

import (
	"context"
	"fmt"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// # Lists without code
//
// Artifacts of a plugin list the built-in's variables beside what else they bring. A
// host in which none was loaded has no such list, and for state to leave it, or to come
// into it, loading a version of the plugin would be too much: its initialisers would run.
// For that the builder makes artifacts that list and bring nothing (Manifest.List).
// They are received, checked and opened as all artifacts are, and become no generation.

// builtinList is such an artifact that was opened.
type builtinList struct {
	manifest artifact.Manifest
	digest   string
	list     stateFunc // nil: it does not give it
	reason   string    // why not
}

// findList gives the list of these bytes or this key that was opened before.
func (h *Host) findList(plugin, digest, key string) *builtinList {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lists[plugin] {
		if l.digest == digest || l.manifest.Key == key {
			return l
		}
	}
	return nil
}

// useless gives the error for a list that was opened and cannot be asked.
func (l *builtinList) useless() error {
	if l.list != nil {
		return nil
	}
	return &control.Error{
		Code: control.CodeRefused, Message: "this list of variables was opened before, and failed: " + l.reason,
		Limit: "the Go runtime, which opens a plugin once", Next: "restart the host",
	}
}

// listOrCode refuses an artifact that only lists variables where code is wanted, and
// one that has code where a list is.
func (t *transaction) listOrCode() error {
	m := &t.in.manifest
	kinds := map[bool]string{false: "a version of the plugin", true: "a list of the built-in's variables"}
	switch {
	case m.List != t.req.list:
		return &control.Error{
			Code: control.CodeRefused, Message: fmt.Sprintf("this artifact of %s is %s, and %s was asked for", m.Plugin, kinds[m.List], kinds[t.req.list]),
			Evidence: []control.Evidence{{What: "artifact", Host: kinds[t.req.list], Artifact: kinds[m.List]}},
			Limit:    "hotgo", Next: "hotgo push " + m.Plugin,
		}
	case !m.List:
		return nil
	case m.Patch != nil:
		return &control.Error{Code: control.CodeNotArtifact, Message: "the artifact is a list of variables and a patch", Limit: "hotgo", Next: "hotgo build"}
	case m.Builtin == nil:
		return &control.Error{Code: control.CodeUnsupported, Message: "this host was not built with " + m.Plugin, Limit: "hotgo", Next: "hotgo status"}
	case m.Builtin.Reason != "":
		return notListed(m)
	}
	return nil
}

// notListed is the error for an artifact that says why it does not list the built-in.
func notListed(m *artifact.Manifest) error {
	return &control.Error{
		Code: control.CodeUnsupported, Rule: m.Builtin.Code, Limit: "hotgo",
		Message: fmt.Sprintf("the variables of the built-in of %s cannot be listed: %s", m.Plugin, m.Builtin.Reason),
	}
}

// openList opens the artifact at path, which has to be a list of the plugin's built-in,
// or finds that it was opened before. The caller holds the queue.
//
// Errors: *control.Error.
func (h *Host) openList(ctx context.Context, plugin, path string, caller *control.Caller) error {
	t := &transaction{h: h, req: loadRequest{plugin: plugin, list: true, caller: caller}}
	var err error
	if t.file, err = h.receiveFile(ctx, path); err != nil {
		return err
	}
	defer func() { t.file.discard() }() // what is mapped stays mapped
	h.platform.lock.Lock()
	defer h.platform.lock.Unlock()
	if _, err := t.preflight(); err != nil || t.listed != nil {
		return err
	}
	m, err := t.mapFile("list of " + plugin)
	if m == nil {
		return err
	}
	l := &builtinList{manifest: t.in.manifest, digest: t.file.digest}
	if err == nil {
		l.list, _ = m.symbols[builtinEntry].(stateFunc)
		if l.list == nil {
			err = &control.Error{Code: control.CodeNotArtifact, Message: "the artifact is no list of variables, though it says so", Limit: "hotgo"}
		}
	}
	if err != nil {
		err = t.openError(err, m.how)
		l.reason = shortText(err.Error())
	}
	if m.mapped {
		h.mu.Lock()
		h.lists[plugin] = append(h.lists[plugin], l)
		h.mu.Unlock()
	}
	return err
}
