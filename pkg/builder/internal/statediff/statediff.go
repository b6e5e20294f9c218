// Package statediff says what would become of a plugin's package variables if a new
// version of it took the place of another, from the sources of both: what is
// carried over, converted, begun anew, lost or refused.
//
// # Two halves of one rule
//
// What a process does when it loads a generation is decided by package carry, which
// has the types of both generations as reflect sees them, and the values. This
// package has go/types, and no values. It pairs types by the same rules and in the
// same words; neither package can import the other, so a corpus of changes holds
// the two together (corpus_test.go): what carry plans and does with each of them is
// written down by its tests, and this package has to foretell it.
//
// # What is not guessed
//
// Some of what carry refuses depends on what a variable holds at that moment: a
// number that has to fit into a smaller type, a lock that has to be free, the type of
// what an interface holds. Of this a Variable says what has to hold (If), never
// whether it does.
//
// # How
//
//  1. load: both versions are parsed and type-checked without their function bodies,
//     each version's own packages from source, all others through Config.Import.
//  2. relate: every pair of types that the variables lead to becomes a relation
//     (relation.go, rule.go).
//  3. judge: what the relations of a variable say is its outcome (judge.go), and what
//     they leave to its values the conditions (condition.go).
package statediff

import (
	"cmp"
	"fmt"
	"go/types"
	"maps"
	"slices"
)

// Outcome says what becomes of a variable.
type Outcome string

// The outcomes.
const (
	Carried   Outcome = "carried"   // it keeps its value, and its type has one definition in both versions
	Converted Outcome = "converted" // it keeps its value, in a type of another definition
	Reset     Outcome = "reset"     // it starts as the new code's initialiser leaves it
	Added     Outcome = "added"     // the old version has none
	Lost      Outcome = "lost"      // the new version has none
	Refused   Outcome = "refused"   // its type cannot be converted, and so the version is not loaded
)

// Outcomes lists all of them, as they are told.
var Outcomes = []Outcome{Carried, Converted, Reset, Added, Lost, Refused}

// Codes of the catalogue of edits, as package carry has them.
const (
	codeLayout  = "HG0001" // fields were added, reordered, or have another type
	codeDropped = "HG0002" // a field, variable or type is gone or renamed
	codeType    = "HG0032" // the type of a variable changed
	codeClosure = "HG0070" // a function value keeps the old code
	codeUnknown = "HG0099" // not understood
)

// Variable is a package variable of either version.
type Variable struct {
	Package string // import path
	Name    string
	Outcome Outcome
	Old     string // types, in the grammar of package typename; "" where there is none
	New     string
	Code    string   // of the catalogue of edits, "" where nothing of it applies
	Text    string   // what is converted, or why it is refused or starts anew
	If      []string // what its values have to be for this: otherwise the load is refused
	Notes   []string // what else becomes of its values
}

// Package is one of a plugin's own packages, in one version.
type Package struct {
	ImportPath string
	GoVersion  string // of its module, such as 1.26; "" is the newest
	Files      []File // Go files that are compiled
	// Resolve gives the import path of the package that an import means; nil takes
	// it as it is written.
	Resolve func(string) string
	// Unused reports of a variable whether the program was linked without it; nil is
	// never.
	Unused func(name string) bool
}

// File is a Go file.
type File struct {
	Name string // as errors call it
	Data []byte
}

// Config is what Compare compares.
type Config struct {
	Old, New []Package // in any order
	Plugin   string    // import path of the package that may have hooks
	// Import gives a package that is none of these. A package has to be the same
	// for both versions.
	Import types.Importer
	Sizes  types.Sizes
}

// Compare gives the variables of both versions, sorted by package and name. It reads
// nothing beside what it is given, and is safe for concurrent use as far as
// Config.Import is.
//
// Errors: *VersionError where one of the versions cannot be type-checked.
func Compare(c Config) ([]Variable, error) {
	before, err := load(c, "old", c.Old)
	if err != nil {
		return nil, err
	}
	after, err := load(c, "new", c.New)
	if err != nil {
		return nil, err
	}
	j := newJudge(c, before, after)
	var list []Variable
	for _, id := range slices.SortedFunc(maps.Keys(union(before.vars, after.vars)), compareIDs) {
		was, now := before.vars[id], after.vars[id]
		v := Variable{Package: id.path, Name: id.name}
		switch {
		case was == nil:
			v.Outcome, v.New = Added, j.rs.spell(now.obj.Type())
			if before.unused[id] {
				v.Text = "the program was linked without it"
			}
		case now == nil:
			v.Outcome, v.Old, v.Code, v.Text = Lost, j.rs.spell(was.obj.Type()), codeDropped, "the new code has no such variable"
		default:
			j.variable(&v, was, now)
		}
		list = append(list, v)
	}
	return list, nil
}

// Count gives how many variables have each outcome.
func Count(list []Variable) map[Outcome]int {
	n := map[Outcome]int{}
	for _, v := range list {
		n[v.Outcome]++
	}
	return n
}

// id names what is declared at package level.
type id struct{ path, name string }

func (i id) String() string { return i.path + "." + i.name }

func compareIDs(a, b id) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.name, b.name)) }

func union[V any](a, b map[id]V) map[id]V {
	u := maps.Clone(a)
	maps.Copy(u, b)
	return u
}

// VersionError is the error of a version that cannot be type-checked.
type VersionError struct {
	Version string // "old" or "new"
	Err     error
}

// Error names the version.
func (e *VersionError) Error() string { return fmt.Sprintf("the %s sources: %v", e.Version, e.Err) }

// Unwrap gives what is wrong.
func (e *VersionError) Unwrap() error { return e.Err }
