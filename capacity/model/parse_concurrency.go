package model

import (
	"fmt"
	"math"
	"time"

	"github.com/headroom-load/headroom/scenarios/unit"
)

// environments reads a concurrency limiter.
func (p *parser) environments(at string, f limiterFile, l *Limiter) {
	l.Unit = unit.Environments
	l.Provisioned, l.Init, l.KeepAlive = f.Provisioned, time.Duration(f.Init), DefaultKeepAlive
	if p.Has(at + ".keep_alive") {
		l.KeepAlive = time.Duration(f.KeepAlive)
	}
	if l.Init > maxTime {
		p.fault(at+".init", "is longer than 24h", "")
	}
	p.scaling(at, f, l)
	if p.Has(at + ".requests") {
		l.Requests = p.perEnvironment(at+".requests", f.Requests)
	}
	if l.Account = f.Account; p.Has(at + ".account") {
		p.function(at, f, l)
		return
	}
	if p.Has(at + ".reserved") {
		p.fault(at+".reserved", "needs an account", "name the limiter of the account's concurrency: account: lambda.concurrency")
	}
	if p.need(at+".limit", "write the environments that may be in use at once, such as 1000") {
		p.environmentsOf(at, ".limit", f.Limit, f, l)
	}
}

// environmentsOf sets the limit of a concurrency limiter, as the key says it.
func (p *parser) environmentsOf(at, key string, limit int, f limiterFile, l *Limiter) {
	switch {
	case limit < 1 || limit > maxLevel:
		p.fault(at+key, fmt.Sprintf("is %d", limit), fmt.Sprintf("from 1 to %d are possible", maxLevel))
	case f.Provisioned < 0:
		p.fault(at+".provisioned", "is negative", "")
	case f.Provisioned > limit:
		p.fault(at+".provisioned", fmt.Sprintf("is more than the limit of %d", limit), "")
	}
	l.Limit = float64(limit)
}

// unreservable is what an account keeps for functions without reserved
// concurrency (Lambda Developer Guide, "Configuring reserved concurrency").
const unreservable = 100

// function reads the part of a function's limiter that is about its account.
func (p *parser) function(at string, f limiterFile, l *Limiter) {
	account, known := p.limiters[f.Account]
	if !known || account.Kind != Concurrency || account.Account != "" {
		p.fault(at+".account", p.Quote(at+".account", f.Account)+" is not a concurrency limiter further up in this file", "")
		l.Account = ""
		return
	}
	if p.Has(at + ".limit") {
		p.fault(at+".limit", "is its account's or, where that is reserved, the function's own", "write reserved: 100, or leave it out")
	}
	if !p.Has(at + ".reserved") {
		p.environmentsOf(at, ".account", int(account.Limit), f, l)
		return
	}
	l.Reserved = true
	p.environmentsOf(at, ".reserved", f.Reserved, f, l)
	reserved := l.Limit
	for _, other := range p.system.Limiters {
		if other.Account == l.Account && other.Reserved {
			reserved += other.Limit
		}
	}
	if reserved > account.Limit-unreservable && account.Limit > unreservable {
		p.fault(at+".reserved", fmt.Sprintf("leaves less than %d of the account's %g to functions without reserved concurrency", unreservable, account.Limit), "")
	}
}

// perEnvironment reads a number of requests for each environment.
func (p *parser) perEnvironment(path string, r unit.Rate) float64 {
	switch v := r.PerSecond(); {
	case r.Thing != unit.Arrivals && r.Thing != unit.Requests:
		p.fault(path, fmt.Sprintf("%q doesn't count requests", r), "write it as 10/s")
	case v <= 0:
		p.fault(path, "is zero: nothing would ever be served", "")
	default:
		return v
	}
	return 0
}

// scaling reads how fast environments may be created: as the file says, or by the
// rules that Lambda had at a date.
func (p *parser) scaling(at string, f limiterFile, l *Limiter) {
	if p.Has(at+".burst") && f.Rules != 2023 {
		p.fault(at+".burst", "goes with rules: 2023 only", "leave it out")
	}
	if p.Has(at + ".rules") {
		if p.Has(at + ".scaling") {
			p.fault(at+".rules", "says how environments are created, and so does scaling", "write one of them")
		}
		switch f.Rules {
		case 2023: // a burst by Region, and 500 a minute
			burst := f.Burst.quantity.Amount
			if !p.Has(at + ".burst") {
				burst = 1000
			} else if f.Burst.quantityErr != nil {
				p.textFault(at+".burst", f.Burst.quantityErr)
			} else if f.Burst.quantity.Thing != unit.Environments || burst < 1 || burst > maxLevel || burst != math.Trunc(burst) {
				p.fault(at+".burst", "is not a number of environments", "write it as 3000 environments")
			}
			l.Scaling = Scaling{int(burst), time.Duration(burst / 500 * float64(time.Minute))}
		case 2024: // 1,000 per 10 s and function
			l.Scaling = Scaling{1000, 10 * time.Second}
		default:
			p.fault(at+".rules", fmt.Sprintf("of %d are not known", f.Rules), "write 2023 (a burst, then 500 a minute) or 2024 (1,000 per 10 s)")
		}
		return
	}
	l.Scaling = Scaling{f.Scaling.Step, time.Duration(f.Scaling.Per)}
	if p.Has(at + ".scaling") {
		if p.Has(at+".scaling.step") && (l.Scaling.Step < 1 || l.Scaling.Step > maxLevel) {
			p.fault(at+".scaling.step", fmt.Sprintf("is %d", l.Scaling.Step), fmt.Sprintf("from 1 to %d are possible", maxLevel))
		}
		if p.Has(at+".scaling.per") && l.Scaling.Per <= 0 {
			p.fault(at+".scaling.per", "is zero", "leave scaling out where environments are created at any rate")
		}
	}
}
