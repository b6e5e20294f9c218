package reloader

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hotgo/hotgo/pkg/reloader/control"
)

// OverLimit says what becomes of a load beyond MaxOldGenerations or MemoryBudget.
type OverLimit string

// The ways to treat such a load.
const (
	OverLimitWarn   OverLimit = "warn"   // it is made, with a note in its event
	OverLimitRefuse OverLimit = "refuse" // it is refused before anything is opened
	OverLimitAdvise OverLimit = "advise" // as warn, and status says "restart advised" from then on
)

// noteOverLimit is the code of a note about a limit.
const noteOverLimit = "over-limit"

// burden is what old versions cost the process now, and what a load would add.
type burden struct {
	old    int                // old generations in whose code goroutines are
	which  []control.Evidence // these, as people read them
	mapped int64              // bytes of address space of all generations
	adds   int64              // bytes of the artifact that is to be opened
	patch  bool               // it retires no generation
}

// overrun is a limit that a load exceeds.
type overrun struct {
	option   string
	text     string
	evidence []control.Evidence
}

// overruns holds a burden against the limits. It decides from these values alone.
func overruns(maxOld int, budget int64, b burden) []overrun {
	var over []overrun
	if maxOld > 0 && !b.patch && b.old >= maxOld {
		o := overrun{
			option:   "Options.MaxOldGenerations",
			text:     fmt.Sprintf("%s still in use, and at most %d may be", oldGenerations(b.old), maxOld),
			evidence: []control.Evidence{{What: "old generations in use", Host: fmt.Sprintf("%d of %d", b.old, maxOld), Artifact: "may leave one more"}},
		}
		o.evidence = append(o.evidence, b.which[:min(len(b.which), shownEvidence-1)]...)
		over = append(over, o)
	}
	if budget > 0 && b.mapped+b.adds > budget {
		text := fmt.Sprintf("%d bytes are mapped for versions of plugins, and the budget is %d", b.mapped, budget)
		if b.adds > 0 {
			text = fmt.Sprintf("%d bytes are mapped for versions of plugins, %d would come to it, and the budget is %d", b.mapped, b.adds, budget)
		}
		e := control.Evidence{What: "mapped memory", Host: fmt.Sprintf("%d of %d bytes", b.mapped, budget)}
		if b.adds > 0 {
			e.Artifact = fmt.Sprintf("%d bytes", b.adds)
		}
		over = append(over, overrun{option: "Options.MemoryBudget", text: text, evidence: []control.Evidence{e}})
	}
	return over
}

func oldGenerations(n int) string {
	if n == 1 {
		return "1 old generation is"
	}
	return fmt.Sprintf("%d old generations are", n)
}

// withinLimits holds a load that is about to open its artifact against the limits.
func (t *transaction) withinLimits() error {
	h := t.h
	if h.opts.MaxOldGenerations == 0 && h.opts.MemoryBudget == 0 {
		return nil
	}
	b := h.burden()
	b.adds, b.patch = t.file.size, t.in.manifest.Patch != nil
	over := overruns(h.opts.MaxOldGenerations, h.opts.MemoryBudget, b)
	if len(over) == 0 {
		return nil
	}
	if h.opts.OverLimit == OverLimitRefuse {
		return overLimitError(t.in.manifest.Plugin, over)
	}
	for _, o := range over {
		t.event.Notes = append(t.event.Notes, control.Finding{Code: noteOverLimit, Text: o.text + " (" + o.option + ")"})
	}
	return nil
}

func overLimitError(plugin string, over []overrun) error {
	e := &control.Error{Code: control.CodeRefused, Limit: "the host's ", Next: "restart the host"}
	var texts, options []string
	for _, o := range over {
		texts, options = append(texts, o.text), append(options, o.option)
		e.Evidence = append(e.Evidence, o.evidence...)
	}
	e.Message = fmt.Sprintf("no further version of %s is loaded: %s", plugin, strings.Join(texts, "; "))
	e.Limit += strings.Join(options, " and ")
	return e
}

// burden measures what there is, without what a load would add.
func (h *Host) burden() burden {
	h.mu.Lock()
	old := h.oldGenerations()
	files := map[pluginGeneration]string{}
	for _, p := range h.plugins {
		for _, g := range p.gens {
			files[pluginGeneration{g.plugin, g.number}] = g.path
		}
	}
	h.mu.Unlock()
	var b burden
	if h.opts.MemoryBudget > 0 {
		for _, u := range h.platform.old.mapped(files) {
			b.mapped += u.mapped
		}
	}
	// Where there are too many goroutines none are known to be in old code: that
	// is no reason to refuse anything.
	left, _ := h.leftIn(old, false)
	used := inUse(left)
	b.old = len(used)
	for g, n := range used {
		b.which = append(b.which, control.Evidence{What: fmt.Sprintf("%s generation %d", g.plugin, g.number), Host: goroutines(n)})
	}
	slices.SortFunc(b.which, func(a, b control.Evidence) int { return cmp.Compare(a.What, b.What) })
	return b
}

func goroutines(n int) string {
	if n == 1 {
		return "1 goroutine"
	}
	return fmt.Sprintf("%d goroutines", n)
}

// addLimits completes a status that has the generations' memory and goroutines.
func (h *Host) addLimits(s *control.Status) {
	s.MemoryBudgetBytes, s.MaxOldGenerations = h.opts.MemoryBudget, h.opts.MaxOldGenerations
	if h.opts.OverLimit != OverLimitAdvise {
		return
	}
	var reasons []string
	for _, o := range overruns(h.opts.MaxOldGenerations, h.opts.MemoryBudget, burden{old: s.OldGenerations, mapped: s.Memory.MappedBytes}) {
		reasons = append(reasons, o.text)
	}
	s.RestartAdvised = strings.Join(reasons, "; ")
}
