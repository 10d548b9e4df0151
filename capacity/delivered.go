package capacity

import "math"

// deliveredRate returns how many ok answers a second came while the loads with the
// operation ("" for all) were measured. An answer counts in the second in which it came,
// whichever stage asked for it: what is worked off after the measured time adds nothing,
// and of what is worked off from before it, all that came within. Only whole seconds
// count, as far as the run came, since a record has no parts of them; nil without any.
func (a *analysis) deliveredRate(operation string) *float64 {
	measured := make(map[string]*secondSet) // by load
	var all secondSet
	var ok int64
	for _, op := range a.ops {
		if operation != "" && op.Name != operation {
			continue
		}
		of := measured[op.Load]
		if of == nil {
			of = a.measuredSeconds(op.Load)
			measured[op.Load] = of
			for second, in := range of.has {
				if in {
					all.add(second)
				}
			}
		}
		for r := range op.rows {
			if r.Second < len(of.has) && of.has[r.Second] {
				ok += r.OK
			}
		}
	}
	return ratio(ok, int64(all.n))
}

// measuredSeconds returns the whole seconds of the run in which a load's stages were
// measured, as far as the run came; of a load without a profile, those in which some of
// it was planned and measured.
func (a *analysis) measuredSeconds(load string) *secondSet {
	s := new(secondSet)
	l, _ := a.load(load)
	if len(l.Stages) == 0 {
		for r := range a.run.Rows.All() {
			if r.Load == load && r.Measured && r.Planned > 0 {
				s.add(r.Second)
			}
		}
		return s
	}
	end := float64(maxSeconds)
	if a.run.Manifest.State != Complete {
		end = min(end, a.run.Length())
	}
	const rounding = 1e-6 // of a stage's instants, in seconds
	next := 0             // the first second that may be a whole one
	var until float64     // up to when stages were measured one after the other
	for _, g := range l.segments() {
		if !g.measured {
			continue
		}
		if g.t0 > until+rounding {
			next = int(math.Ceil(g.t0 - rounding))
		}
		until = min(g.t1, end)
		for ; float64(next+1) <= until+rounding; next++ {
			s.add(next)
		}
	}
	return s
}

// secondSet is a set of seconds of a run.
type secondSet struct {
	has []bool
	n   int // seconds in it
}

func (s *secondSet) add(second int) {
	if second >= len(s.has) {
		s.has = append(s.has, make([]bool, second+1-len(s.has))...)
	}
	if !s.has[second] {
		s.has[second] = true
		s.n++
	}
}
