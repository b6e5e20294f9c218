package deploy

import (
	"errors"

	"github.com/hotgo/hotgo/cmd/internal/choose"
	"github.com/hotgo/hotgo/pkg/builder"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// foreign gives the changes for a plugin that hotgo did not build, one for each
// plugin that it is in hosts. as is the one that the user says it is, or "". A host
// for which it may be one of several gets it without a name, and says which; where
// it is nothing to any host, all of them say why.
func foreign(a *builder.Artifact, all []control.Status, as string, targeted bool) []*Change {
	if as != "" {
		hosts := all
		if !targeted {
			hosts = holders(all, as)
		}
		return []*Change{named(a, as, hosts)}
	}
	var changes []*Change
	at := map[string]*Change{} // by plugin
	for _, st := range all {
		plugin, several := pluginIn(st, a)
		switch {
		case plugin == "" && !several && !targeted:
			continue
		case at[plugin] == nil:
			at[plugin] = named(a, plugin, nil)
			changes = append(changes, at[plugin])
		}
		at[plugin].Hosts = append(at[plugin].Hosts, st)
	}
	if changes == nil {
		return []*Change{named(a, "", all)}
	}
	return changes
}

func named(a *builder.Artifact, plugin string, hosts []control.Status) *Change {
	own := *a
	own.Manifest.Plugin = plugin
	return &Change{Plugin: plugin, Way: choose.BySwap, Artifact: &own, Hosts: hosts}
}

// pluginIn tells which plugin of a host a foreign file is, as the host will:
// several says that more than one fits. What the host was given before it knows
// better.
func pluginIn(st control.Status, a *builder.Artifact) (plugin string, several bool) {
	bound := map[string][]string{}
	for _, p := range st.Plugins {
		if p.Kind == control.KindHost {
			continue
		}
		bound[p.Name] = nil
		for _, s := range p.Symbols {
			bound[p.Name] = append(bound[p.Name], s.Name)
		}
		for _, g := range p.Generations {
			if g.Digest == a.Digest {
				return p.Name, false
			}
		}
	}
	plugin, err := a.Manifest.PluginFor(bound)
	var which interface{ Fitting() []string }
	return plugin, errors.As(err, &which) && len(which.Fitting()) > 1
}
