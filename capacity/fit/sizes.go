package fit

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// sizes is what runs tell of a limit of sizes: the largest one that was asked for,
// and how many requests came to the limit and were refused. Of single sizes they
// tell no more.
type sizes struct {
	largest          float64
	reached, refused float64
	unknown          bool // a run doesn't tell its largest, or how many it refused
}

// told reports whether the sizes make a limiter and its charges.
func (s *sizes) told() bool { return !s.unknown && s.largest > 0 && s.reached > 0 }

func (s *sizes) add(run *capacity.Run, of capacity.Quota, r capacity.QuotaResult) {
	admitted, ok := capacity.Admitted(run)[of.ID]
	if r.Peak == nil || r.Throttled == nil || !ok || admitted.Low < admitted.High {
		s.unknown = true
		return
	}
	var sent float64
	for x := range run.Rows.All() {
		if of.Charges(x.Load, x.Operation) {
			sent += float64(x.Sent - x.GeneratorErrors)
		}
	}
	s.largest = max(s.largest, *r.Peak)
	s.refused += float64(*r.Throttled)
	s.reached += admitted.High*sent + float64(*r.Throttled)
}

// charge writes what requests charge a limit of sizes. All that were refused are
// taken to be as large as the largest, and all others as large as the limit, so that
// no other limit lets through what it might not.
func (q *quota) charge(w *bytes.Buffer) {
	size := func(v float64) string { return unit.Quantity{Amount: v, Thing: unit.Bytes}.String() }
	s := &q.sizes
	if s.refused == 0 {
		fmt.Fprintf(w, "      - {limiter: %s, amount: %s} # the largest that was seen\n", q.ID, size(min(s.largest, q.Limit)))
		return
	}
	share := func(v float64) string { return strconv.FormatFloat(v/1e4, 'f', -1, 64) + "%" }
	refused := float64(int64(1e6 * s.refused / s.reached)) // parts of a million
	fmt.Fprintf(w, "      - {limiter: %s, amount: {mixture: [{amount: %s, share: %s}, {amount: %s, share: %s}]}} # the largest that was seen for all that were refused, the limit for all others\n",
		q.ID, size(s.largest), share(refused), size(q.Limit), share(1e6-refused))
}
