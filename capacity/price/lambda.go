package price

import (
	"fmt"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/unit"
)

const (
	lambdaConcurrency = "lambda.concurrency"
	forEachGB         = "for each GB of memory"
)

// ofAccount reports whether a quota is that of all of an account's functions.
func ofAccount(q capacity.Quota) bool { return q.ID == lambdaConcurrency }

// pool is what is provisioned of a function or, as lambda.concurrency's own, of the
// requests that charge it by no function's limiter.
type pool struct {
	environments float64
	share        float64 // of the durations that are billed, those of its requests
	ready        float64 // part of its requests that ran in provisioned environments in the run
}

// lambda adds how long environments of Lambda were held in a run, and those that are
// provisioned, which are paid as long as they are there.
func (b *Bill) lambda(run *capacity.Run, q capacity.Quota, seconds float64) {
	b.held = Line{What: "Lambda duration", Unit: "GB-s", Note: forEachGB, by: q.ID, held: true, of: capacity.Admitted(run)[q.ID]}
	var told bool
	if b.held.Amount, told = total(run, q.ID, capacity.RoleDuration); !told {
		b.Missing = append(b.Missing, Missing{b.held.What, "the run doesn't tell how much was used"})
	}
	counted := true
	b.pools = []pool{{environments: q.Provisioned, share: 1}}
	for _, f := range run.Manifest.Quotas {
		if service, _, _ := strings.Cut(f.ID, "."); service != "lambda" || f.Kind != capacity.LevelQuota || ofAccount(f) {
			continue
		}
		held, _ := total(run, f.ID, capacity.RoleDuration)
		p := pool{environments: f.Provisioned, share: held / max(b.held.Amount, held, 1e-9)}
		b.pools[0].share -= p.share
		if p.environments > 0 {
			counted = p.found(run, f.ID, held, seconds) && counted
			b.pools = append(b.pools, p)
		}
	}
	own := &b.pools[0]
	own.share = max(own.share, 0)
	counted = own.found(run, q.ID, b.held.Amount*own.share, seconds) && counted
	b.duration(b.held, b.ready(), readyBecause(counted))
	b.provision(seconds)
}

// found says which part of a pool's requests ran in its environments, which were held
// for so long: as was counted, and else by Erlang's loss formula, for Poisson arrivals.
func (p *pool) found(run *capacity.Run, quota string, held, seconds float64) (counted bool) {
	in, counted := total(run, quota, capacity.RoleProvisioned)
	spilled, _ := total(run, quota, capacity.RoleSpilled)
	switch {
	case counted:
		p.ready = in / max(in+spilled, 1)
	case p.environments > 0 && seconds > 0:
		p.ready = p.free(held / seconds)
	default:
		return true
	}
	return counted
}

// free returns the part of Poisson arrivals that find one of the pool's environments
// free, of which so many would be held if there were enough.
func (p *pool) free(held float64) float64 { return 1 - stats.ErlangB(held, int(p.environments)) }

func readyBecause(counted bool) string {
	if counted {
		return "in the share of the requests that ran there"
	}
	return "as much as finds one free by Erlang's formula"
}

// ready returns which part of the durations ran in provisioned environments.
func (b *Bill) ready() (part float64) {
	for _, p := range b.pools {
		part += p.share * p.ready
	}
	return part
}

// heldAnHour adds the duration of an hour, of which as much runs in provisioned
// environments as Erlang's loss formula says, for Poisson arrivals.
func (b *Bill) heldAnHour(l Line) {
	for i := range b.pools {
		p := &b.pools[i]
		if p.ready = 0; p.environments > 0 {
			p.ready = p.free(l.Amount * p.share / time.Hour.Seconds())
		}
	}
	b.duration(l, b.ready(), readyBecause(false))
}

// duration adds Lambda's duration, a share of which ran in provisioned environments,
// where it costs less; how says why so much.
func (b *Bill) duration(l Line, share float64, how string) {
	part := func(share float64) Line {
		p := l
		p.Amount, p.AtMost = l.Amount*share, l.AtMost*share
		return p
	}
	b.add("lambda.duration", part(1-share))
	ready := part(share)
	ready.What += " in provisioned environments"
	ready.note(how)
	b.add("lambda.provisioned-duration", ready)
}

// provision adds the environments that are there for so many seconds.
func (b *Bill) provision(seconds float64) {
	var environments float64
	for _, p := range b.pools {
		environments += p.environments
	}
	b.add("lambda.provisioned", Line{
		What: fmt.Sprintf("%s provisioned", unit.HumanCount(environments, unit.Environments)), Amount: environments * seconds, Unit: "GB-s", Note: forEachGB, once: true,
	})
}
