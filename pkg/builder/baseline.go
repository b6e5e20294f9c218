package builder

import (
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"
	"sort"

	"github.com/hotgo/hotgo/pkg/builder/internal/source"
)

// # What a host was built from
//
// No plugin can change a package that the host has: the artifact would carry
// new bodies beside the host's old ones, and the runtime's package hashes show
// only a part of such differences (export data: API, inlinable bodies, line
// numbers). So the builder keeps what each host was built from, by build id:
// written by BuildHost, or else the sources as they were when the host was
// first seen.
//
// A change in comments alone changes no code, but it may move lines, and those
// are part of the hash. For such packages the text of the baseline is what
// plugins are compiled against.

// baseline is the user's packages in a host, as they were.
type baseline struct {
	BuildID  string                     `json:"build_id"`
	Assumed  bool                       `json:"assumed,omitempty"` // the sources as they were when the host was first seen
	Packages map[string]baselinePackage `json:"packages"`          // by import path
}

type baselinePackage struct {
	Dir   string                  `json:"dir"`
	Files map[string]baselineFile `json:"files"` // by name
}

type baselineFile struct {
	Raw    string `json:"raw"`    // sha256, hex
	Tokens string `json:"tokens"` // digest.Tokens, hex; Raw for other than Go files
	Text   []byte `json:"text,omitempty"`
}

// newBaseline takes units as what the host with this build id was built from.
func newBaseline(buildID string, units []*source.Unit) *baseline {
	bl := &baseline{BuildID: buildID, Packages: map[string]baselinePackage{}}
	for _, u := range units {
		p := baselinePackage{Dir: u.Package.Dir, Files: map[string]baselineFile{}}
		for _, f := range u.Files {
			p.Files[f.Name] = baselineFile{
				Raw:    hex.EncodeToString(f.Raw[:]),
				Tokens: hex.EncodeToString(f.Tokens[:]),
				Text:   f.Data,
			}
		}
		bl.Packages[u.Package.ImportPath] = p
	}
	return bl
}

func baselineName(buildID string) string { return "baseline-" + shortID(buildID) }

// baselineOf gives the baseline of a host, nil where none is known.
func (b *Builder) baselineOf(buildID string) *baseline {
	if buildID == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if bl := b.baselines[buildID]; bl != nil {
		return bl
	}
	data, err := b.store.Recall(baselineName(buildID))
	if err != nil {
		return nil
	}
	bl := new(baseline)
	if json.Unmarshal(data, bl) != nil || bl.BuildID != buildID {
		return nil
	}
	b.baselines[buildID] = bl
	return bl
}

// remember keeps a baseline; lasting also writes it into the store, for other
// processes.
func (b *Builder) remember(bl *baseline, lasting bool) {
	b.mu.Lock()
	b.baselines[bl.BuildID] = bl
	b.mu.Unlock()
	if !lasting {
		return
	}
	data, err := json.Marshal(bl)
	if err == nil {
		err = b.store.Remember(baselineName(bl.BuildID), data)
	}
	if err != nil {
		b.log.Warn("keep what the host was built from", "err", err)
	}
}

// changedFiles compares a package with the baseline. changed are the files
// whose code differs; reworded is true where only comments or formatting do.
// A package that the baseline lacks is all new.
func (bl *baseline) changedFiles(u *source.Unit) (changed []string, reworded bool) {
	old := bl.Packages[u.Package.ImportPath]
	seen := map[string]bool{}
	for _, f := range u.Files {
		seen[f.Name] = true
		was, ok := old.Files[f.Name]
		switch {
		case !ok || was.Tokens != hex.EncodeToString(f.Tokens[:]):
			changed = append(changed, f.Path)
		case was.Raw != hex.EncodeToString(f.Raw[:]):
			reworded = true
		}
	}
	for name := range old.Files {
		if !seen[name] {
			changed = append(changed, filepath.Join(u.Package.Dir, name))
		}
	}
	sort.Strings(changed)
	return slices.Compact(changed), reworded
}
