package measure

import (
	"cmp"
	"maps"
	"slices"
)

// Completed reports whether o is an outcome of a request whose answer was read
// to its end, or was cut or refused by the other side.
func (o Outcome) Completed() bool { return o <= Unclassified }

// count returns the counter of an outcome.
func (r *Row) count(o Outcome) *int64 {
	return [...]*int64{
		OK: &r.OK, Throttled: &r.Throttled, Failed: &r.Failed, Rejected: &r.Rejected, Unclassified: &r.Unclassified,
		TimedOut: &r.TimedOut, GeneratorError: &r.GeneratorErrors, Unfinished: &r.Unfinished,
	}[o]
}

// Dropped returns the arrivals that were dropped, whatever the cause.
func (r *Row) Dropped() int64 { return r.DroppedGenerator + r.DroppedSaturation }

// Completed returns the requests with a completed outcome.
func (r *Row) Completed() int64 {
	return r.OK + r.Throttled + r.Failed + r.Rejected + r.Unclassified
}

// Add adds the counters of o to r. Second, Load, Operation and Measured stay as
// they are.
func (r *Row) Add(o *Row) {
	for _, counter := range counters {
		*counter(r) += *counter(o)
	}
	r.InFlight += o.InFlight
	for i := range r.PlannedSlots {
		r.PlannedSlots[i] += o.PlannedSlots[i]
		r.SentSlots[i] += o.SentSlots[i]
	}
	if len(o.Reasons) > 0 {
		if r.Reasons == nil {
			r.Reasons = make(map[string]int64, len(o.Reasons))
		}
		for k, n := range o.Reasons {
			r.Reasons[k] += n
		}
	}
}

// Sum adds up the rows of the same second, load, operation and measured, and
// returns one row for each, sorted by these four. The given rows stay as they
// are.
func Sum(rows []Row) []Row {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int { return cmp.Or(rows[i].Compare(&rows[j]), i-j) })
	var sum []Row
	for _, i := range order {
		row := &rows[i]
		if n := len(sum); n > 0 && sum[n-1].Compare(row) == 0 {
			sum[n-1].Add(row)
			continue
		}
		sum = append(sum, *row)
		sum[len(sum)-1].Reasons = maps.Clone(row.Reasons)
	}
	return sum
}

// Compare orders rows by second, load, operation, and not measured before
// measured.
func (r *Row) Compare(o *Row) int {
	if c := cmp.Compare(r.Second, o.Second); c != 0 {
		return c
	}
	if c := cmp.Or(cmp.Compare(r.Load, o.Load), cmp.Compare(r.Operation, o.Operation)); c != 0 {
		return c
	}
	switch {
	case r.Measured == o.Measured:
		return 0
	case o.Measured:
		return -1
	}
	return 1
}
