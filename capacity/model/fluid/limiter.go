package fluid

import (
	"math"
	"time"

	"github.com/headroom-load/headroom/capacity/model"
)

// limiter is a limiter's state under rates.
type limiter struct {
	model.Limiter
	rate, burst float64   // of a bucket, of one partition, of a node
	levels      []float64 // what each bucket, or partition, has left; of a queue what it has to do
	asked       []float64 // of each, in this step and the one before
	before      []float64
	second      time.Duration
	highest     float64 // of on_demand, as package limiter keeps them
	peak        float64
	used        float64
	minute      time.Duration
	period      time.Duration

	busy     float64 // environments
	made     float64 // that exist
	credit   float64
	starting float64   // of busy, those that start
	created  []float64 // in each of the steps that a start and its request take, in turn
	service  float64   // mean of the requests, seconds; the longest of its operations
	now      int       // the step in hand among them
	requests float64   // left of those that the environments allow
}

// start fills the limiter and reports whether it has a form for rates.
func (l *limiter) start() bool {
	n := 1
	switch l.Kind {
	case model.TokenBucket, model.OnDemand:
		l.rate, l.burst = l.Limit, l.Burst
	case model.Window:
		l.rate, l.burst = 0, l.Limit
	case model.Partitions:
		if l.Split > 0 {
			return false
		}
		n = l.Partitions
		l.rate, l.burst = l.Limit/float64(n), l.Burst
	case model.Queue:
		n = l.Partitions
		l.rate, l.burst = l.Limit/float64(n), 0
	case model.Concurrency:
		l.made, l.credit, l.requests = float64(l.Provisioned), float64(l.Scaling.Step), l.Requests*l.Limit
	case model.ItemSize:
	default:
		return false
	}
	l.levels, l.asked, l.before = make([]float64, n), make([]float64, n), make([]float64, n)
	for i := range l.levels {
		l.levels[i] = l.burst
	}
	return true
}

// tick brings the limiter to the beginning of a step.
func (l *limiter) tick(at, step time.Duration) {
	l.asked, l.before = l.before, l.asked
	clear(l.asked)
	dt := step.Seconds()
	switch l.Kind {
	case model.Window:
		if s := at / time.Second; s != l.second {
			l.second, l.levels[0] = s, l.burst
		}
	case model.OnDemand:
		l.grow(at)
		fallthrough
	case model.TokenBucket, model.Partitions:
		if at > 0 {
			for i := range l.levels {
				l.levels[i] = min(l.burst, l.levels[i]+l.rate*dt)
			}
		}
	case model.Queue:
		for i := range l.levels {
			l.levels[i] = max(0, l.levels[i]-l.rate*dt)
		}
	case model.Concurrency:
		if l.created == nil && l.Init > 0 {
			l.created = make([]float64, int(math.Round((l.Init.Seconds()+l.service)/dt)))
		}
		if n := len(l.created); n > 0 {
			l.now = (l.now + 1) % n
			l.starting = max(l.starting-l.created[l.now], 0)
			l.created[l.now] = 0
		}
		l.busy = l.starting // and what the charges add
		if l.Scaling.Step > 0 && at > 0 {
			l.credit = min(float64(l.Scaling.Step), l.credit+float64(l.Scaling.Step)/l.Scaling.Per.Seconds()*dt)
		}
		if at > 0 {
			l.requests = min(l.Requests*l.Limit, l.requests+l.Requests*l.Limit*dt)
		}
	}
}

// grow doubles an on-demand table, as limiter.OnDemand does.
func (l *limiter) grow(at time.Duration) {
	if m := at / time.Minute; m != l.minute {
		l.highest = max(l.highest, l.used/60)
		l.minute, l.used = m, 0
	}
	if p := at / (30 * time.Minute); p != l.period {
		l.period = p
		l.peak, l.highest = max(l.peak, l.highest), 0
		l.rate = max(l.Limit, 2*l.peak)
		if l.Most > 0 {
			l.rate = min(l.rate, l.Most)
		}
		l.burst = l.rate
	}
}

// take admits what is left for a demand on bucket i, which it shares with the
// other demands of the step in proportion: as much is expected of them as there
// was in the step before.
func (l *limiter) take(i int, demand float64) float64 {
	l.asked[i] += demand
	total := max(l.asked[i], l.before[i])
	if total <= 0 {
		return demand
	}
	// What is left was as much more at the step's beginning as was taken from it.
	got := min(demand, l.levels[i])
	// Not yet served of this step; a demand that is lost in the rounding of the others' has none.
	if rest := total - (l.asked[i] - demand); rest > demand {
		got = min(demand, l.levels[i]*demand/rest)
	}
	l.levels[i] -= got
	return got
}

// admit returns how many of the requests are admitted, each of which charges so
// much.
func (l *limiter) admit(requests, each float64, parts []float64) float64 {
	if each <= 0 {
		return requests
	}
	if parts == nil {
		got := l.take(0, requests*each)
		l.used += got
		return got / each
	}
	var admitted float64
	for i, share := range parts {
		if share > 0 {
			admitted += l.take(i, requests*each*share)
		}
	}
	return admitted / each
}

// queue returns how many of the requests are queued, and how many seconds they
// wait on average until they are done.
func (l *limiter) queue(requests, each float64, parts []float64) (admitted, wait float64) {
	for i, share := range parts {
		demand := requests * share
		behind := l.levels[i] / l.rate // seconds; one server is never faster than rate/servers
		if l.Longest > 0 && behind > l.Longest.Seconds() {
			// Only as much as is worked off keeps the wait at the longest.
			demand = 0
		}
		l.levels[i] += demand * each
		admitted += demand
		wait += demand * (behind + each*float64(l.Servers)/l.rate)
	}
	if admitted > 0 {
		wait /= admitted
	}
	return admitted, wait
}

// environments returns how many of the requests run, and for how many of them an
// environment is created; each keeps so many busy at the end of the step.
func (l *limiter) environments(requests, adds float64) (admitted, created float64) {
	if l.Requests > 0 {
		requests = min(requests, l.requests)
	}
	if adds <= 0 {
		l.requests -= requests
		return requests, 0
	}
	// A request that starts an environment has it to itself for the whole step;
	// others take turns.
	each := adds
	if len(l.created) > 0 {
		each = 1
	}
	admitted = min(requests, max(l.made-l.busy, 0)/adds)
	if rest := requests - admitted; rest > 0 {
		created = min(rest*each, max(l.Limit-l.made, 0))
		if l.Scaling.Step > 0 {
			created = min(created, l.credit)
			l.credit -= created
		}
		l.made += created
		if len(l.created) > 0 {
			l.created[l.now] += created
			l.starting += created
		}
		admitted += created / each
	}
	l.requests -= admitted
	return admitted, created
}
