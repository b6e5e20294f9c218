package reloader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// itabNames are the names of all interface tables that a process has had: those
// of its executable and of everything that was mapped. The runtime of Go 1.27
// must not see an artifact's own copies of them; package abi has the story.
//
// What a process maps by itself, by plugin.Open, it knows nothing of.
type itabNames struct {
	host func() (map[string]bool, error)

	mu    sync.Mutex
	later map[string]bool // those that the host does not have
}

// newItabNames gives nil where the runtime needs no help.
func newItabNames(goVersion string) *itabNames {
	if !abi.ShadowedItabsHurt(goVersion) {
		return nil
	}
	return &itabNames{host: sync.OnceValues(executableItabs), later: map[string]bool{}}
}

// executableItabs reads the names that this process's executable defines. It
// takes some milliseconds, which processes that load nothing do not spend.
func executableItabs() (_ map[string]bool, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read this host's interface tables: %w", err)
		}
	}()
	path, err := executable()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tables, err := itabsOf(f)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, name := range tables.Names() {
		names[name] = true
	}
	return names, nil
}

func itabsOf(f *os.File) (*abi.Itabs, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return abi.ReadItabs(f, info.Size())
}

// hidden says what was done to an artifact's copy before it was opened.
type hidden struct {
	names  []string // of its interface tables
	tables int      // how many were hidden
	left   []string // those that should have been hidden, and could not be
}

// hide edits the file at path, a copy that belongs to this process and is not
// mapped yet. To be called before it is opened; add has to follow where the
// opening left something mapped, and no other opening may come between.
func (n *itabNames) hide(path string) (done hidden, err error) {
	if n == nil {
		return hidden{}, nil
	}
	host, err := n.host()
	if err != nil {
		return hidden{}, err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return hidden{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	tables, err := itabsOf(f)
	if err != nil {
		return hidden{}, err
	}
	edit, err := tables.Hide(func(name string) bool { return host[name] || n.has(name) })
	if err != nil {
		return hidden{}, err
	}
	for _, w := range edit.Writes {
		if _, err := f.WriteAt(w.Bytes, w.Offset); err != nil {
			return hidden{}, err
		}
	}
	return hidden{names: tables.Names(), tables: edit.Hidden, left: edit.Left}, nil
}

func (n *itabNames) has(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.later[name]
}

// add enters the names of an artifact that is mapped, whether its opening went
// well or not: the dynamic linker has them in scope from then on.
func (n *itabNames) add(names []string) {
	if n == nil {
		return
	}
	host, err := n.host()
	if err != nil {
		return // nor could names be told without it
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, name := range names {
		if !host[name] {
			n.later[name] = true
		}
	}
}

// hideItabs prepares the copy for being opened.
func (t *transaction) hideItabs() error {
	h := t.h
	done, err := h.platform.hide(t.file.path)
	if err != nil {
		return &control.Error{Code: control.CodeInternal, Message: "cannot prepare the copy of the artifact", Err: err}
	}
	t.in.itabs = done.names
	if len(done.left) > 0 && h.logEnabled(slog.LevelDebug) {
		h.opts.Logger.LogAttrs(context.Background(), slog.LevelDebug, "interface tables that the runtime may confuse with others",
			slog.String("plugin", t.plugin.name), slog.String("key", t.in.manifest.Key), slog.Int("hidden", done.tables),
			slog.Int("left", len(done.left)), slog.String("first", shortText(done.left[0])), slog.String("go", runtime.Version()))
	}
	return nil
}
