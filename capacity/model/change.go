package model

import (
	"fmt"
	"slices"
)

// Change is what a what-if changes of a System. What it leaves out stays.
type Change struct {
	// Operation is the one that Amounts, Shares and ServiceTime change; "": all.
	Operation string
	// Limits gives limiters, by id, another limit: per second, or the level. What
	// they admit at once and how fast they scale changes in proportion.
	Limits map[string]float64
	// Amounts gives what a request charges to limiters, by id.
	Amounts map[string]Amount
	// Shares gives the part of the requests that charge limiters at all, by id:
	// with a cache before them, those that miss it.
	Shares map[string]float64
	// ServiceTime is how long requests take.
	ServiceTime *Distribution
}

// Change returns the System with a change. It is an error where the change
// names what the System doesn't have, or could never be served.
func (s *System) Change(c Change) (*System, error) {
	n := *s
	n.Limiters, n.Operations = slices.Clone(s.Limiters), slices.Clone(s.Operations)
	for id, limit := range c.Limits {
		l, err := find(n.Limiters, id)
		if err != nil {
			return nil, err
		}
		if !(limit > 0 && limit <= largest) || l.Kind == Concurrency && (limit < 1 || limit > maxLevel) {
			return nil, fmt.Errorf("%s can't have a limit of %g", id, limit)
		}
		factor := limit / l.Limit
		l.Limit, l.Burst = limit, l.Burst*factor
		l.Provisioned = min(l.Provisioned, int(limit))
	}
	charged := map[string]bool{}
	found := false
	for i := range n.Operations {
		o := &n.Operations[i]
		if c.Operation != "" && o.Name != c.Operation {
			continue
		}
		found = true
		o.Charges = slices.Clone(o.Charges)
		for j := range o.Charges {
			x := &o.Charges[j]
			if a, ok := c.Amounts[x.Limiter]; ok && !x.Hold {
				x.Amount, charged[x.Limiter] = a, true
			}
			if share, ok := c.Shares[x.Limiter]; ok {
				if !(share > 0 && share <= 1) {
					return nil, fmt.Errorf("%g is not a part of the requests that charge %s", share, x.Limiter)
				}
				x.Share, charged[x.Limiter] = share, true
			}
		}
		if c.ServiceTime != nil {
			o.ServiceTime = *c.ServiceTime
		}
	}
	if !found {
		return nil, fmt.Errorf("the System %s has no operation %q", s.Name, c.Operation)
	}
	for id := range c.Amounts {
		if !charged[id] {
			return nil, fmt.Errorf("no request charges an amount to %q in System %s", id, s.Name)
		}
	}
	for id := range c.Shares {
		if !charged[id] {
			return nil, fmt.Errorf("no request charges %q in System %s", id, s.Name)
		}
	}
	for _, o := range n.Operations {
		for _, x := range o.Charges {
			l, _ := find(n.Limiters, x.Limiter)
			if most := l.atOnce(); most > 0 && x.Amount.least() > most {
				return nil, fmt.Errorf("%s would charge %g to %s, which admits at most %g at once: it could never be served", o.Name, x.Amount.least(), x.Limiter, most)
			}
		}
	}
	return &n, nil
}

// Without returns the System without some of its limiters, by id, and what is charged to
// them.
func (s *System) Without(limiters []string) *System {
	n := *s
	n.Limiters = slices.DeleteFunc(slices.Clone(s.Limiters), func(l Limiter) bool { return slices.Contains(limiters, l.ID) })
	n.Operations = slices.Clone(s.Operations)
	for i := range n.Operations {
		o := &n.Operations[i]
		o.Charges = slices.DeleteFunc(slices.Clone(o.Charges), func(c ChargeSpec) bool { return slices.Contains(limiters, c.Limiter) })
	}
	return &n
}

func find(limiters []Limiter, id string) (*Limiter, error) {
	i := slices.IndexFunc(limiters, func(l Limiter) bool { return l.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("the System has no limiter %q", id)
	}
	return &limiters[i], nil
}

// least returns the least that a request charges.
func (a Amount) least() float64 {
	switch {
	case a.P50 > 0:
		return 0 // a drawn amount is cut to what is admitted
	case len(a.Mixture) > 0:
		return slices.MinFunc(a.Mixture, func(x, y Part) int { return int(x.Amount - y.Amount) }).Amount
	}
	return max(a.Cold, a.Warm)
}
