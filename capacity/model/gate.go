package model

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/headroom-load/headroom/capacity/model/limiter"
)

// atOnce returns the most that the limiter admits at one instant; 0: anything.
func (l Limiter) atOnce() float64 {
	if l.Kind == Window || l.Kind == ItemSize {
		return l.Limit
	}
	return l.Burst
}

// most returns what drawn amounts are cut to. A size that is drawn may well be
// refused by the limit of sizes.
func (l Limiter) most() float64 {
	if most := l.atOnce(); most > 0 && l.Kind != ItemSize {
		return most
	}
	return math.Inf(1)
}

// start gives the limiter its state, and returns it as a charge meets it. The
// gates of all charges share the state; keys is the charge's own stream. number is
// the limiter's place in the System, and accounts are those that have started.
func (l Limiter) start(number, reserved int, accounts map[string]*account) func(c ChargeSpec, keys *rand.PCG) gate {
	var g gate
	switch l.Kind {
	case Partitions:
		t := &table{Partitions: limiter.NewPartitions(l.Partitions, l.Limit/float64(l.Partitions), l.Saved), split: l.Split, places: newPlaces(l.Partitions)}
		return func(c ChargeSpec, keys *rand.PCG) gate {
			return &partitions{table: t, hit: newChooser(l.Spread(c.Keys)), keys: keys, of: c.Keys}
		}
	case Queue:
		q := &queues{nodes: make([]*limiter.Queue, l.Partitions)}
		for i := range q.nodes {
			q.nodes[i] = limiter.NewQueue(l.Servers, l.Limit/float64(l.Partitions), l.Longest)
		}
		return func(c ChargeSpec, keys *rand.PCG) gate {
			return &queues{q.nodes, newChooser(l.Spread(c.Keys)), keys}
		}
	case Concurrency:
		e := &environments{Concurrency: limiter.NewConcurrency(limiter.Environments{
			Limit: int(l.Limit), Provisioned: l.Provisioned, Step: l.Scaling.Step, Per: l.Scaling.Per, Init: l.Init, KeepAlive: l.KeepAlive,
			Requests: l.Requests,
		})}
		if a := accounts[l.Account]; a != nil {
			e.account = a
			if !l.Reserved {
				e.shares = true
				a.Join(e.Concurrency)
			}
		} else {
			// Requests that charge the account itself are a function that shares.
			accounts[l.ID] = &account{limiter.NewAccount(int(l.Limit), reserved), l.ID, number}
			e.shares, e.own = true, accounts[l.ID]
			e.own.Join(e.Concurrency)
		}
		g = e
	case Window:
		g = window{limiter.NewWindow(l.Limit)}
	case OnDemand:
		g = onDemand{limiter.NewOnDemand(l.Limit, l.Most)}
	case ItemSize:
		g = itemSize(l.Limit)
	case KafkaQuota:
		g = kafkaQuota{limiter.NewKafkaQuota(l.Limit)}
	case Tasks:
		x := l.Tracked
		g = tasks{limiter.NewTasks(l.Limit/float64(x.Max), x.Tracking, x.Start, int(x.Late/time.Minute), l.Longest), l.ID}
	default:
		g = bucket{limiter.NewTokenBucket(l.Limit, l.Burst)}
	}
	return func(ChargeSpec, *rand.PCG) gate { return g }
}

type (
	bucket     struct{ *limiter.TokenBucket }
	kafkaQuota struct{ *limiter.KafkaQuota }
	window     struct{ *limiter.Window }
	onDemand   struct{ *limiter.OnDemand }
	itemSize   float64
	partitions struct {
		*table
		hit    chooser
		splits int // of the table, that hit knows
		of     Keys
		keys   *rand.PCG
	}
	queues struct {
		nodes []*limiter.Queue
		hit   chooser
		keys  *rand.PCG
	}
	tasks struct {
		*limiter.Tasks
		id string
	}
	// environments are those of a function, or of an account without functions.
	environments struct {
		*limiter.Concurrency
		account *account // that is charged with it
		own     *account // of which it is the limiter
		shares  bool     // it has no reserved concurrency
	}
	account struct {
		*limiter.Account
		id     string
		number int
	}
)

func (b bucket) admit(at, _ time.Duration, c *Charge) bool { return b.Admit(at, c.Amount) }

func (w window) admit(at, _ time.Duration, c *Charge) bool { return w.Admit(at, c.Amount) }

func (o onDemand) admit(at, _ time.Duration, c *Charge) bool { return o.Admit(at, c.Amount) }

func (k kafkaQuota) admit(at, _ time.Duration, c *Charge) bool {
	c.Wait = k.Admit(at, c.Amount)
	return true
}

func (t tasks) admit(at, _ time.Duration, c *Charge) bool {
	wait, work, ok := t.Admit(at, c.Amount)
	c.Wait = wait + work
	return ok
}

func (l itemSize) admit(_, _ time.Duration, c *Charge) bool {
	return c.Amount <= float64(l)
}

func (e *environments) admit(at, service time.Duration, c *Charge) (ok bool) {
	if e.own != nil && e.own.Shared() {
		if !e.own.Room(at, e.Concurrency) {
			c.Level = float64(e.own.Claimed(at))
			return false
		}
		c.Hold, ok = e.Admit(at, service)
		c.Level = float64(e.own.Claimed(at))
	} else {
		c.Hold, ok = e.Admit(at, service)
		c.Level = float64(e.InUse())
	}
	c.InProvisioned, c.Spilled = ok && e.InProvisioned(), ok && e.Spilled()
	return ok
}

// room makes the account's charge, and reports whether the account has room for
// one more environment of the function.
func (e *environments) room(at time.Duration, c *Charge) bool {
	*c = Charge{Limiter: e.account.id, Number: e.account.number, Amount: 1, Level: float64(e.account.Claimed(at))}
	c.Refused = e.shares && !e.account.Room(at, e.Concurrency)
	return !c.Refused
}

// claim completes the account's charge when the function has the environment.
func (e *environments) claim(at time.Duration, c *Charge, hold time.Duration) {
	c.Hold, c.Level = hold, float64(e.account.Claimed(at))
}

func (p *partitions) admit(at, _ time.Duration, c *Charge) bool {
	if p.splits != p.table.splits {
		p.hit, p.splits = newChooser(p.places.shares(p.of)), p.table.splits
	}
	i := p.hit.draw(uniform(p.keys))
	if p.Admit(at, i, c.Amount) {
		return true
	}
	if p.split > 0 && p.Hot(i) >= p.split {
		p.table.divide(at, i, p.of)
	}
	return false
}

// admit makes the request wait for the server's answer.
func (q *queues) admit(at, _ time.Duration, c *Charge) bool {
	wait, work, ok := q.nodes[q.hit.draw(uniform(q.keys))].Admit(at, c.Amount)
	c.Wait = wait + work
	return ok
}
