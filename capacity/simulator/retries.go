package simulator

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/model/retry"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// attempt is one attempt of a request, and what became of those before it.
type attempt struct {
	at     time.Duration
	order  int
	stream *stream
	served int
	sample measure.Sample
	number int           // from 0
	waited time.Duration // before this one
	cost   int           // that the retry budget was charged for it
}

// retries is the clients' part in a simulation.
type retries struct {
	policy           retry.Policy
	budget           *retry.Budget
	random           *rand.Rand
	due              []*attempt // a heap by instant, and of one instant in turn
	order            int
	requests, failed int // requests that had an answer, attempts that had none
}

func newRetries(p retry.Policy, seed uint64) *retries {
	r := &retries{policy: p, random: rand.New(rand.NewPCG(seed, 0x7265747279))}
	if p.Budget != nil {
		r.budget = retry.NewBudget(*p.Budget)
	}
	return r
}

// again reports whether the client of an attempt makes another one, and puts it
// in turn.
func (r *retries) again(a *attempt) bool {
	if a.sample.Outcome == measure.OK {
		r.requests++
		if r.budget != nil {
			r.budget.Success(a.cost)
		}
		return false
	}
	if a.number+1 >= r.policy.Attempts {
		r.requests++
		return false
	}
	cost := 0
	if r.budget != nil {
		var ok bool
		if cost, ok = r.budget.Retry(a.sample.Outcome == measure.TimedOut); !ok {
			r.requests++
			return false
		}
	}
	r.failed++
	next := *a
	next.number, next.cost, next.order = a.number+1, cost, r.order
	r.order++
	next.waited = r.policy.Wait(a.number, a.waited, r.random)
	next.at = a.sample.Done + next.waited
	r.push(&next)
	return true
}

// notes says what of the run the clients' retries did.
func (r *retries) notes(sys *model.System) []string {
	if r.policy.Attempts < 2 {
		return nil
	}
	notes := []string{fmt.Sprintf("clients make up to %d attempts: %s attempts for %s, and quotas saw all of them",
		r.policy.Attempts, unit.HumanCount(float64(r.requests+r.failed), ""), unit.HumanCount(float64(r.requests), unit.Requests))}
	for _, l := range sys.Limiters {
		if l.Kind == model.Queue || l.Kind == model.Tasks {
			hidden := retry.HiddenCapacity(l.Limit, r.policy.Attempts)
			notes = append(notes, fmt.Sprintf("%s does the work of requests whose clients have given up too: from %s on it may stay overloaded when it once was",
				l.ID, unit.HumanRate(hidden, l.Unit)))
		}
	}
	return notes
}

func before(a, b *attempt) bool { return a.at < b.at || a.at == b.at && a.order < b.order }

func (r *retries) push(a *attempt) {
	r.due = append(r.due, a)
	i := len(r.due) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if before(r.due[parent], a) {
			break
		}
		r.due[i] = r.due[parent]
		i = parent
	}
	r.due[i] = a
}

// next takes the attempt that is due first out of the heap.
func (r *retries) next() *attempt {
	q := r.due
	first, last := q[0], q[len(q)-1]
	q = q[:len(q)-1]
	r.due = q
	if len(q) == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= len(q) {
			break
		}
		if child+1 < len(q) && before(q[child+1], q[child]) {
			child++
		}
		if before(last, q[child]) {
			break
		}
		q[i] = q[child]
		i = child
	}
	q[i] = last
	return first
}
