package reloader

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"

	"github.com/hotgo/hotgo/pkg/internal/artifact"
	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// nameLedger is what artifacts have defined by name, and what they refer to,
// since the process started. The dynamic linker has one scope for all of them:
// who defines a name first defines it for all that come later, of whichever host
// of the process.
type nameLedger struct {
	mu        sync.Mutex
	variables map[string]definedName
	types     map[string]definedName
	packages  map[string]definedName
	mapped    []referrer
}

// definedName is a variable, a type or a package that a patch brought.
type definedName struct{ hash, by string }

// referrer is an artifact that is mapped.
type referrer struct {
	key       string
	by        string
	patch     bool
	base      string            // of a patch: what it patches
	contracts map[string]string // of a patch: those of its functions
	refers    []uint64          // nameHash of what it refers to and does not define, sorted
}

func newNameLedger() *nameLedger {
	return &nameLedger{variables: map[string]definedName{}, types: map[string]definedName{}, packages: map[string]definedName{}}
}

var nameSeed = maphash.MakeSeed()

// nameHash stands for a symbol's name. Instances of a generic function count as
// one: the linker shortens what is in their brackets.
func nameHash(name string) uint64 {
	if i := strings.IndexByte(name, '['); i > 0 {
		name = name[:i]
	}
	return maphash.String(nameSeed, name)
}

// Codes of the catalogue of refused edits.
const (
	ruleLayout       = "HG0001"
	ruleVariableType = "HG0032"
	ruleArguments    = "HG0062"
	rulePackage      = "HG0090"
	ruleNotReplaced  = "HG0063"
	ruleDrifted      = "HG0094"
	noteStillInside  = "HG0080"
)

// fits refuses a patch that means something else by a name than the artifact
// which brought the name.
func (l *nameLedger) fits(p *artifact.Patch) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	check := func(have map[string]definedName, symbols []artifact.AddedSymbol, rule, what string) error {
		for _, s := range symbols {
			if d, ok := have[s.Name]; ok && d.hash != s.Hash {
				return &control.Error{
					Code: control.CodeIncompatible, Rule: rule,
					Message:  fmt.Sprintf("%s is %s in %s already, and another here", shortName(s.Name), what, d.by),
					Evidence: []control.Evidence{{What: shortName(s.Name), Host: d.hash, Artifact: s.Hash}},
					Limit:    "a running program: the first who defines a name defines it for good", Next: "give it another name, or restart the host",
				}
			}
		}
		return nil
	}
	if err := check(l.types, p.Types, ruleLayout, "a type of one layout"); err != nil {
		return err
	}
	if err := check(l.packages, p.Packages, rulePackage, "a package of one text"); err != nil {
		return err
	}
	return check(l.variables, p.Variables, ruleVariableType, "a variable of one type")
}

// enter records an artifact that is mapped.
func (l *nameLedger) enter(in *inspection, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := referrer{key: in.manifest.Key, by: by, refers: in.refers}
	if p := in.manifest.Patch; p != nil {
		r.patch, r.base, r.contracts = true, p.Base, map[string]string{}
		for _, f := range p.Functions {
			r.contracts[f.Name] = f.Contract
		}
		for _, added := range []struct {
			to      map[string]definedName
			symbols []artifact.AddedSymbol
		}{{l.variables, p.Variables}, {l.types, p.Types}, {l.packages, p.Packages}} {
			for _, s := range added.symbols {
				if _, ok := added.to[s.Name]; !ok {
					added.to[s.Name] = definedName{s.Hash, by}
				}
			}
		}
	}
	l.mapped = append(l.mapped, r)
}

// misled finds an artifact that is mapped and calls, by its name, a function
// which keeps other arguments once the patch m is in force. A patch of the same
// base that has the function with the same contract was compiled for it.
func (l *nameLedger) misled(m *artifact.Manifest) (function, by string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range m.Patch.Functions {
		if !f.Unlike {
			continue
		}
		for _, r := range l.mapped {
			compiledForIt := r.patch && r.base == m.Patch.Base && r.contracts[f.Name] == f.Contract
			if r.key != m.Key && !compiledForIt && refersTo(r.refers, f.Name) {
				return f.Name, r.by
			}
		}
	}
	return "", ""
}

func refersTo(refers []uint64, name string) bool {
	_, ok := slices.BinarySearch(refers, nameHash(name))
	return ok
}
