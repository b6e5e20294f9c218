package builder

import (
	"strings"

	"github.com/hotgo/hotgo/pkg/internal/abi"
	"github.com/hotgo/hotgo/pkg/internal/artifact"
)

// The catalogue's codes for what a plugin exports.
const (
	ruleSymbolGone = "HG0011"
	ruleSignature  = "HG0010"
)

// symbols lists what the host binds and the artifact does not have, or has with a
// type that it certainly cannot take. A named type may have any other underneath:
// there the host's own check decides.
func (r *Report) symbols() []Mismatch {
	var found []Mismatch
	if r.Artifact.Manifest.Patch != nil {
		return nil // what its base exports stays as it is
	}
	typed := map[string]artifact.Symbol{}
	for _, s := range r.Artifact.Manifest.Symbols {
		typed[s.Name] = s
	}
	for _, b := range r.Host.Bound {
		s, ok := typed[b.Name]
		if kind, exported := r.file.Symbols[b.Name]; !ok && exported && (r.Foreign || r.Artifact.Manifest.Untyped) {
			s, ok = artifact.Symbol{Name: b.Name, Kind: kind.String()}, true
		}
		m := Mismatch{
			Kind: abi.MismatchSymbol, What: b.Name, Host: b.Type, Artifact: s.Type, Limit: "the Go type system",
			Rule: ruleSignature, Cause: "the host binds it with another type", Way: "restart the host with a build that binds the new type",
		}
		switch {
		case !ok:
			m.Artifact, m.Rule = "no such symbol", ruleSymbolGone
			m.Cause, m.Way = "the host binds it, and the plugin does not export it", "export it again, or restart the host with a build that does not bind it"
		case s.Kind != "func" || s.Type == "" || s.Type == b.Type || !strings.HasPrefix(b.Type, "func("):
			continue
		}
		found = append(found, m)
	}
	return found
}
