package capacity

import (
	"iter"
	"slices"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// SecondUse is what the answers of one second of the run said they had charged.
type SecondUse struct {
	Second     int
	Sent, Done int64 // by the sent and by the done instant
}

// PerSecond returns the use: when a service charges isn't documented, so the
// larger reading counts.
func (u SecondUse) PerSecond() int64 { return max(u.Sent, u.Done) }

// LedgerUse adds up the tokens of the rows that charge q for each second that
// has any. The rows come in the order of their seconds. Stop rules and Assess both
// read the use of appsync.request-tokens from it.
func LedgerUse(q Quota, rows iter.Seq[*measure.Row]) iter.Seq[SecondUse] {
	return func(yield func(SecondUse) bool) {
		var use SecondUse
		any := false
		for r := range rows {
			if r.TokensNSent == 0 && r.TokensN == 0 && r.TokensSent == 0 && r.TokensDone == 0 || !q.Charges(r.Load, r.Operation) {
				continue
			}
			if r.Second != use.Second {
				if any && !yield(use) {
					return
				}
				use = SecondUse{Second: r.Second}
			}
			any = true
			use.Sent += r.TokensSent
			use.Done += r.TokensDone
		}
		if any {
			yield(use)
		}
	}
}

// Charges reports whether an operation of a load charges the quota.
func (q Quota) Charges(load, operation string) bool {
	return (len(q.Loads) == 0 || slices.Contains(q.Loads, load)) &&
		(len(q.Operations) == 0 || slices.Contains(q.Operations, operation))
}
