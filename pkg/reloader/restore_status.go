package reloader

import (
	"slices"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// addRestore tells what is kept, and what became of what was.
func (h *Host) addRestore(s *control.Status) {
	k := h.keeper
	if k == nil {
		return
	}
	if k.off != "" {
		s.Restore = &control.Restore{Off: k.off}
		return
	}
	out := &control.Restore{BudgetBytes: h.opts.DirBudget, ConfirmAfterS: h.opts.ConfirmAfter.Seconds()}
	out.Artifacts, out.Bytes = k.files.Size()
	_, copies := k.copies(map[string]int{})
	out.Bytes += copies
	if err := k.log.Err(); err != nil {
		out.Error = err.Error()
	}
	k.mu.Lock()
	out.NotRestored = slices.Clone(k.missing)
	k.mu.Unlock()
	for i, m := range out.NotRestored {
		out.NotRestored[i].Path = k.pathOf(m.Digest)
	}
	for _, q := range k.log.State().Quarantined {
		out.Quarantined = append(out.Quarantined, control.Quarantined{
			Plugin: q.Plugin, Digest: q.Digest, Key: q.Key, Reason: q.Reason, Since: q.Since, Path: k.pathOf(q.Digest),
		})
	}
	s.Restore = out
}

// pathOf is where an artifact is kept; "" where it is not.
func (k *keeper) pathOf(digest string) string {
	if !k.files.Has(digest) {
		return ""
	}
	return k.files.Path(digest)
}
