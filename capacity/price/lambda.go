package price

import (
	"fmt"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/unit"
)

const (
	lambdaConcurrency = "lambda.concurrency"
	forEachGB         = "for each GB of memory"
)

// lambda adds how long environments of Lambda were held in a run, and those that are
// provisioned, which are paid as long as they are there.
func (b *Bill) lambda(run *capacity.Run, q capacity.Quota, seconds float64) {
	b.held = Line{What: "Lambda duration", Unit: "GB-s", Note: forEachGB, by: q.ID, held: true, of: capacity.Admitted(run)[q.ID]}
	b.environments = q.Provisioned
	var told bool
	if b.held.Amount, told = total(run, q.ID, capacity.RoleDuration); !told {
		b.Missing = append(b.Missing, Missing{b.held.What, "the run doesn't tell how much was used"})
	}
	ready, _ := total(run, q.ID, capacity.RoleProvisioned)
	spilled, _ := total(run, q.ID, capacity.RoleSpilled)
	b.duration(b.held, ready/max(ready+spilled, 1), "in the share of the requests that ran there")
	b.provision(q.Provisioned, seconds)
}

// heldAnHour adds the duration of an hour, of which as much runs in provisioned
// environments as Erlang's loss formula says, for Poisson arrivals.
func (b *Bill) heldAnHour(l Line) {
	ready := 0.0
	if b.environments > 0 {
		ready = 1 - stats.ErlangB(l.Amount/time.Hour.Seconds(), int(b.environments))
	}
	b.duration(l, ready, "as much as finds one free by Erlang's formula")
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

// provision adds so many environments that are there for so many seconds.
func (b *Bill) provision(environments, seconds float64) {
	b.add("lambda.provisioned", Line{
		What: fmt.Sprintf("%s provisioned", unit.HumanCount(environments, unit.Environments)), Amount: environments * seconds, Unit: "GB-s", Note: forEachGB, once: true,
	})
}
