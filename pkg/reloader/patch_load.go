package reloader

import (
	"fmt"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// meets checks an artifact against the patches of this process, and a patch
// against what it patches. Nothing of it is mapped yet.
func (t *transaction) meets() error {
	m, h := &t.in.manifest, t.h
	if err := h.meetsPatches(t.in); err != nil {
		return err
	}
	if m.Patch == nil {
		if t.plugin.self {
			return &control.Error{
				Code: control.CodeRefused, Message: fmt.Sprintf("%s is what this host's own patches are called, and cannot be a plugin as well", m.Plugin),
				Limit: "hotgo", Next: "give the plugin another name in hotgo.yaml",
			}
		}
		return nil
	}
	if err := h.platform.patches.support(); err != nil {
		return patchError(err)
	}
	var err error
	if t.base, err = t.findBase(); err != nil {
		return err
	}
	if err := h.platform.patches.replaceable(m.Patch, t.base.bias); err != nil {
		return err
	}
	if err := h.platform.patches.ledger.fits(m.Patch); err != nil {
		return err
	}
	return h.notMisled(m)
}

// findBase gives what a patch is for: the host, or the plugin's generation that
// serves.
func (t *transaction) findBase() (*patchBase, error) {
	m, h := &t.in.manifest, t.h
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.bases[m.Patch.Base]
	if m.Patch.Base == "" {
		switch {
		case known != nil && !t.plugin.self:
			return nil, &control.Error{Code: control.CodeRefused, Message: fmt.Sprintf("this host's patches have another name than %s", m.Plugin), Next: "hotgo status"}
		case !t.plugin.self && len(t.plugin.binds)+len(t.plugin.gens) > 0:
			return nil, &control.Error{
				Code: control.CodeRefused, Message: fmt.Sprintf("the patch is called %s, as a plugin of this host is", m.Plugin),
				Limit: "hotgo", Next: "give the plugin another name in hotgo.yaml",
			}
		case known != nil:
			return known, nil
		}
		bias, err := h.platform.patches.bias()
		if err != nil {
			return nil, patchError(err)
		}
		return &patchBase{bias: bias}, nil
	}
	root := t.plugin.serving().root()
	if root == nil || root.manifest.Key != m.Patch.Base {
		e := &control.Error{
			Code: control.CodeIncompatible, Rule: ruleDrifted,
			Message:  fmt.Sprintf("the patch was made for another version of %s than the one that serves", m.Plugin),
			Evidence: []control.Evidence{{What: "key", Host: "the built-in", Artifact: m.Patch.Base}},
			Limit:    "hotgo: a patch fits the code it was compared with", Next: "hotgo push " + m.Plugin,
		}
		if root != nil {
			e.Evidence[0].Host = root.manifest.Key
		}
		return nil, e
	}
	if root.manifest.Foreign {
		// No builder knows what it was built from, nor where its code lies.
		return nil, &control.Error{
			Code: control.CodeRefused, Message: fmt.Sprintf("generation %d of %s was not built by hotgo, and is swapped, not patched", root.number, m.Plugin),
			Limit: "hotgo", Next: "hotgo push --mode swap " + m.Plugin,
		}
	}
	if known != nil {
		return known, nil
	}
	return &patchBase{gen: root, bias: root.bias}, nil
}

// becomePatch makes an opened artifact a patch of its base, if its functions are
// where they should be. It has the symbols of its base.
func (t *transaction) becomePatch(g *generation) error {
	g.symbols = nil
	if err := t.h.platform.patches.brought(g.manifest.Patch, g.bias); err != nil {
		return err
	}
	g.symbols = map[string]any{}
	if t.base.gen != nil {
		g.symbols = t.base.gen.symbols
	}
	return nil
}

// enterPatch lists an opened patch, sound or not, with its base. The caller
// holds h.mu.
func (t *transaction) enterPatch(g *generation) {
	g.on, g.replaces = t.base, shortNames(g.manifest.Patch)
	t.plugin.self = t.base.gen == nil
	t.h.bases[g.manifest.Patch.Base] = t.base
	if g.symbols != nil {
		t.base.patches = append(t.base.patches, g)
	}
}

// mostNames is how many functions an event lists. The status has all of them.
const mostNames = 1000

func shownNames(names []string) []string { return names[:min(len(names), mostNames)] }
