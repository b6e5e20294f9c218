package carry

import "reflect"

// Prepare reads the old generation's state and makes the new one's, aside. See
// the package for what has to hold meanwhile. The plan can be prepared again, and
// nothing of an earlier Prepare is kept but types.
//
// Errors: a *Refusal.
func (p *Plan) Prepare(opts Options) (*Transfer, error) {
	c := &carrier{
		plan: p, rs: p.rs, types: p.types, opts: opts, skipped: map[int]bool{},
		direct: map[reflect.Type]bool{}, admitted: map[*relation]bool{},
	}
	if !opts.Migrate {
		for _, d := range p.Refusals() {
			return nil, &Refusal{Code: d.Code, Variable: d.Name, Reason: d.Text}
		}
	}
	c.rs.share(!opts.Apart)
	var skipped []Finding
	for {
		why := c.try()
		if why == nil {
			break
		}
		i := c.variableOf(why)
		if !opts.Migrate || why.Busy || why.Unknown || why.Large || i < 0 || c.skipped[i] {
			return nil, why
		}
		c.skipped[i] = true
		skipped = append(skipped, Finding{Code: why.Code, Symbol: why.Variable, Text: "left to HotMigrate: " + why.Error()})
	}
	c.report(skipped)
	return c.transfer, nil
}

func (c *carrier) variableOf(why *Refusal) int {
	for i := range c.plan.pairs {
		if c.plan.pairs[i].name == why.Variable {
			return i
		}
	}
	return -1
}

// try does all of it once.
func (c *carrier) try() *Refusal {
	for c.again = true; c.again; {
		c.reset()
		c.roots()
		if why := c.scan(); why != nil {
			clear(c.plan.unknown)
			return why
		}
	}
	if len(c.plan.unknown) > 0 {
		return &Refusal{Code: CodeUnknown, Reason: "values of types that were not met before", Unknown: true}
	}
	c.step()
	c.resolve()
	if why := c.late(); why != nil {
		return why
	}
	if why := c.spread(); why != nil {
		return why
	}
	c.step()
	if why := c.late(); why != nil {
		return why
	}
	return c.build()
}

// ticks is how many values are looked at between two questions whether time is up.
const ticks = 1 << 10

func (c *carrier) tick() *Refusal {
	if c.visits++; c.visits%ticks != 0 {
		return nil
	}
	return c.late()
}

func (c *carrier) late() *Refusal {
	if c.opts.Expired == nil || !c.opts.Expired() {
		return nil
	}
	return &Refusal{Code: CodeUnknown, Reason: "it takes longer than it may", Large: true, Visited: c.visits}
}

func (c *carrier) step() {
	if c.opts.step != nil {
		c.opts.step()
	}
}

func (c *carrier) reset() {
	c.objects, c.edges, c.tasks, c.again = rows[object]{}, rows[[2]int32]{}, nil, false
	c.known = map[identity]int{}
	c.functions, c.found, c.dropped = map[uintptr]moved{}, map[Finding]bool{}, map[string]int{}
	c.transfer = &Transfer{}
}

// roots begins with the variables that both generations have. Pointers to one
// that starts anew lead to the new one nevertheless.
func (c *carrier) roots() {
	for again := true; again; {
		again = false
		for i := range c.plan.pairs {
			p := &c.plan.pairs[i]
			again = c.rs.mayBeCopied(p.rel.old, false) || again
			if p.carries() && !c.skipped[i] {
				again = c.rs.admit(p.rel) || again
			}
		}
	}
	for i := range c.plan.pairs {
		p := &c.plan.pairs[i]
		from := addressOf(p.old.Pointer)
		if p.rel.old.Size() == 0 {
			continue
		}
		o := c.objects.n
		c.known[identity{region, false, from.word(), p.rel}] = o
		c.objects.add(object{kind: region, rel: p.rel, from: from, n: 1, root: i + 1, in: o, parent: o})
		if p.carries() && !c.skipped[i] && c.startsAsCode(p) {
			c.skipped[i] = true
		}
		if p.carries() && !c.skipped[i] {
			c.tasks = append(c.tasks, task{o, from, 1})
		}
		if p.carries() && c.skipped[i] && p.rel.shape == function {
			c.find(CodeClosure, o, "it starts as the new code makes it: what it held is old code, and what that captured")
		}
	}
}

// report completes the transfer's.
func (c *carrier) report(skipped []Finding) {
	r := &c.transfer.Report
	for _, d := range c.plan.Decisions {
		switch d.Verdict {
		case Carried:
			r.Carried++
		case Converted:
			r.Converted++
		case Fresh, Refused:
			r.Fresh++
		case New:
			r.New++
		case Lost:
			r.Lost++
			r.Findings = append(r.Findings, Finding{Code: d.Code, Symbol: d.Name, Text: d.Text + ", and its value is gone"})
		}
		if d.Verdict == Refused {
			r.Findings = append(r.Findings, Finding{Code: d.Code, Symbol: d.Name, Text: "left to HotMigrate: " + d.Text})
		}
	}
	for i := range c.skipped {
		r.Fresh++
		if c.plan.pairs[i].verdict == Carried {
			r.Carried--
		} else {
			r.Converted--
		}
	}
	r.Visited = c.objects.n
	r.Findings = append(append(r.Findings, skipped...), c.findings()...)
	r.Findings = r.Findings[:min(len(r.Findings), maxFindings)]
}
