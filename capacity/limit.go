package capacity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Limiter says who kept a run from more answers, or from faster ones.
type Limiter string

// The limiters.
const (
	ByNothing   Limiter = "none"
	ByGenerator Limiter = "generator" // this machine or program
	ByNetwork   Limiter = "network"   // connections were refused, reset or never made
	ByThrottle  Limiter = "throttle"  // a quota refused
	ByBackend   Limiter = "backend"   // answers came late, failed or not at all
	ByUnknown   Limiter = "unknown"
)

// LimitedBy names the limiter with what the record says of it, the strongest
// evidence first: counts with the seconds in whose rows they stand.
type LimitedBy struct {
	Who      Limiter  `json:"who"`
	Evidence []string `json:"evidence"`
}

// limitShare is the share of the requests that must be lost to a limiter.
const limitShare = 1e-3

// networkReasons are the ends of a request that never reached a server's
// software, or whose connection was taken away from it.
var networkReasons = []string{
	"connection refused", "connection reset", "connection closed", "connection timed out", "connection broken",
	"host unreachable", "TLS certificate", "TLS handshake",
}

// limitedBy judges in an order: a generator that fell short explains anything
// that looks like the target's doing, so it is named alone. Of the others that
// took more than a thousandth of the requests, the one that took most is named.
// The backend is never blamed unless the generator's processor time is known
// not to have run out.
func (a *analysis) limitedBy(v Verdict) LimitedBy {
	if !a.readable() {
		return LimitedBy{ByUnknown, []string{"the record is not whole"}}
	}
	var own, unclear []string
	cleared := true
	waited := slices.ContainsFunc(a.loads(), a.filled)
	for _, c := range v.Failed() {
		text := fmt.Sprintf("%s: %s, where the bound is %s", c.Name, c.Value, c.Bound)
		switch c.Name {
		case CheckLag, CheckArrivals, CheckGeneratorDrops, CheckGeneratorErrors, CheckGeneratorCPU, CheckGCPause, CheckSchedLatency:
			switch {
			case c.Name == CheckLag && waited:
				unclear = append(unclear, text+"; requests waited for each other at the in-flight limit")
			case c.Blames == Invalid:
				own = append(own, text)
			default:
				cleared = false
				unclear = append(unclear, text)
			}
		case CheckConservation, CheckPlan:
			cleared = false
			unclear = append(unclear, text)
		}
	}
	if len(own) > 0 {
		return LimitedBy{ByGenerator, own}
	}
	if a.total.Sent == 0 {
		return LimitedBy{ByUnknown, append(unclear, "nothing was sent")}
	}

	slower, growth := a.growth()
	type claim struct {
		who      Limiter
		share    float64
		evidence []string
	}
	throttle := a.loss("throttled", a.total.Sent, func(r *measure.Row) int64 { return r.Throttled })
	network := a.loss("lost connections", a.total.Sent, lost)
	timeouts := a.loss("timed out", a.total.Sent, func(r *measure.Row) int64 { return r.TimedOut })
	broken := a.loss("failed in the server", a.total.Sent, func(r *measure.Row) int64 { return r.Failed - lost(r) })
	broken.text = a.mostly(broken.text, "failed ")
	// Refused callers and answers that are none may be anybody's doing.
	refused := a.loss("rejected", a.total.Sent, func(r *measure.Row) int64 { return r.Rejected })
	refused.text = a.mostly(refused.text, "rejected ")
	for _, odd := range []loss{
		refused,
		a.loss("no GraphQL answer", a.total.Sent, func(r *measure.Row) int64 { return r.Unclassified }),
	} {
		if odd.share > limitShare {
			unclear = append(unclear, odd.text)
		}
	}
	full := a.loss("dropped at the in-flight limit", a.total.Planned, func(r *measure.Row) int64 { return r.DroppedSaturation })
	backend := claim{ByBackend, timeouts.share + broken.share, texts(timeouts, broken)}
	// A limit that was reached while answers came as fast as ever was set too low
	// for them, which is nobody's doing but the plan's.
	if slower || backend.share > 0 {
		backend.share += full.share
		backend.evidence = append(backend.evidence, texts(full)...)
	} else if full.share > 0 {
		unclear = append(unclear, full.text, "response times did not grow with the requests in flight")
	}
	if slower {
		backend.evidence = append(backend.evidence, growth)
	}

	held := claim{ByThrottle, throttle.share, texts(throttle)}
	if u := a.kafka(nil); u != nil && len(u.waiting) > 0 {
		// The time that a broker asks for is its quota's, and so is what came late or
		// found no room because of it.
		held.share += backend.share + float64(len(u.waiting))/float64(u.seconds)
		held.evidence = append(append(held.evidence, u.text()), backend.evidence...)
		backend, slower = claim{who: ByBackend}, false
	}
	claims := []claim{held, {ByNetwork, network.share, texts(network)}, backend}
	slices.SortStableFunc(claims, func(x, y claim) int {
		switch {
		case x.share > y.share:
			return -1
		case x.share < y.share:
			return 1
		}
		return 0
	})
	var evidence []string
	for _, c := range claims {
		evidence = append(evidence, c.evidence...)
	}
	who := claims[0].who
	switch {
	case claims[0].share > limitShare:
	case slower:
		who = ByBackend
	case len(unclear) > 0 || a.total.OK == 0:
		who = ByUnknown
	default:
		text := fmt.Sprintf("%s of %s arrivals sent, %s answered ok, without growing response times", count(a.total.Sent), count(a.total.Planned), count(a.total.OK))
		if n := a.sentSeconds(); a.total.Throttled == 0 && n > 0 && !a.run.Manifest.Fluid {
			text += fmt.Sprintf("; in none of %d seconds was a request throttled, so with 95 %% confidence at most %s of such seconds are", n, unit.HumanShare(stats.AtMostNone(n, 0.95)))
		}
		return LimitedBy{ByNothing, append(evidence, text)}
	}
	if who == ByBackend && !cleared {
		who = ByUnknown
	}
	if who == ByUnknown {
		evidence = append(unclear, evidence...)
		if reason := a.commonReason(); a.total.OK == 0 && reason != "" {
			evidence = append(evidence, fmt.Sprintf("no ok answer, mostly %s", reason))
		}
	}
	return LimitedBy{who, evidence}
}

// loss is how many requests were lost in one way.
type loss struct {
	share float64
	text  string // "" where none was
}

func texts(losses ...loss) (s []string) {
	for _, l := range losses {
		if l.text != "" {
			s = append(s, l.text)
		}
	}
	return s
}

// loss adds up a count over the rows.
func (a *analysis) loss(what string, of int64, n func(r *measure.Row) int64) loss {
	total := n(&a.total)
	if total == 0 || of == 0 {
		return loss{}
	}
	perSecond := make([]int64, a.seconds)
	first, most := -1, 0
	for r := range a.run.Rows.All() {
		if k := n(r); k > 0 {
			perSecond[r.Second] += k
			if first < 0 || r.Second < first {
				first = r.Second
			}
		}
	}
	for s, k := range perSecond {
		if k > perSecond[most] {
			most = s
		}
	}
	share := float64(total) / float64(of)
	return loss{share, fmt.Sprintf("%s: %s of %s (%s), first in second %s, most in second %s", what, count(total), count(of), unit.HumanShare(share), count(int64(first)), count(int64(most)))}
}

// mostly adds to what is said of an outcome its most frequent reason that is none of
// the network.
func (a *analysis) mostly(text, outcome string) string {
	best, most := "", int64(0)
	for reason, n := range a.total.Reasons {
		rest, of := strings.CutPrefix(reason, outcome)
		if of && !slices.Contains(networkReasons, rest) && (n > most || n == most && rest < best) {
			best, most = rest, n
		}
	}
	if text == "" || best == "" {
		return text
	}
	return text + ", mostly " + best
}

// lost counts a row's requests that failed for a reason of the network's.
func lost(r *measure.Row) (n int64) {
	for reason, k := range r.Reasons {
		if rest, failed := strings.CutPrefix(reason, "failed "); failed && slices.Contains(networkReasons, rest) {
			n += k
		}
	}
	return n
}

// sentSeconds returns in how many seconds of the run something was sent.
func (a *analysis) sentSeconds() int {
	var sent secondSet
	for r := range a.run.Rows.All() {
		if r.Sent > 0 {
			sent.add(r.Second)
		}
	}
	return sent.n
}
