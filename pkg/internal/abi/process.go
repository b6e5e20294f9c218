package abi

import "maps"

// Process is the ledger of what a process has loaded beside its executable,
// failed loads included: nothing that was mapped ever goes away, and whoever
// defined a package first stays the one that later plugins are compared with
// and bound to. The zero value is a process that has loaded nothing.
//
// It is not safe for concurrent use; who owns loading owns it.
type Process struct {
	// CPU is the highest GOAMD64 level that the processor has ("v1" to "v4",
	// see [CPULevel]), or "" where it is not known.
	CPU string
	// Libraries has the symbol versions that shared libraries of the process
	// define (see [DefinedVersions]), by the name under which artifacts ask for
	// them. What artifacts need of a library that is not in it is not judged.
	Libraries map[string][]string

	packages map[string]definer
	paths    map[string]string // plugin path -> who has it
	poisoned map[string]string // import path -> who left it
}

// definer is who brought a package into the process first.
type definer struct {
	hash Hash
	by   string
	fp   *Fingerprint
}

// Add records an artifact that the dynamic linker has mapped. Files that
// dlopen itself refused leave nothing behind and are not recorded. by names
// the artifact in mismatches.
//
// failed says that the load did not get through: every package that the
// artifact was first to bring counts as unusable from then on. That is right
// where the runtime refused the file after it was mapped, for then its data is
// in scope but unknown to the garbage collector. Where it was an initialiser
// that failed, [Process.AddStuck] refuses less.
func (p *Process) Add(fp *Fingerprint, by string, failed bool) {
	for _, pkg := range p.bring(fp, by) {
		if failed {
			p.poison(pkg, by)
		}
	}
}

// AddStuck records an artifact whose initialisation panicked or never
// returned. stuck lists the packages that it left half initialised (see
// [Fingerprint.StuckInits]); the others that it brought are sound.
//
// The runtime runs the initialisers of a package once, and marks the package
// while it does. The mark of one that panicked stays, in the memory of the
// first file that defined the package, and the next plugin that contains the
// package makes runtime.doInit1 throw "recursive call during initialization"
// (runtime/proc.go, Go 1.26).
func (p *Process) AddStuck(fp *Fingerprint, by string, stuck []string) {
	p.bring(fp, by)
	for _, pkg := range stuck {
		p.poison(pkg, by)
	}
}

// Recovered takes back what an artifact left half initialised: an initialiser
// that took too long has returned after all.
func (p *Process) Recovered(by string) {
	maps.DeleteFunc(p.poisoned, func(_, who string) bool { return who == by })
}

// bring enters a file and gives the packages that nothing in the ledger had.
// Those of the executable are among them: Compare asks the host first.
func (p *Process) bring(fp *Fingerprint, by string) []string {
	if p.packages == nil {
		p.packages, p.paths, p.poisoned = map[string]definer{}, map[string]string{}, map[string]string{}
	}
	if _, ok := p.paths[fp.PluginPath]; !ok && fp.PluginPath != "" {
		p.paths[fp.PluginPath] = by
	}
	var first []string
	for pkg, hash := range fp.Packages {
		if _, ok := p.packages[pkg]; !ok {
			p.packages[pkg] = definer{hash, by, fp}
			first = append(first, pkg)
		}
	}
	return first
}

func (p *Process) poison(pkg, by string) {
	if _, ok := p.poisoned[pkg]; !ok {
		p.poisoned[pkg] = by
	}
}
