package capacity

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// service returns the service that a quota belongs to: "appsync", "lambda".
func (q Quota) service() string {
	s, _, _ := strings.Cut(q.ID, ".")
	return s
}

// throttlingService returns the service that a throttled answer's reason names,
// or "" where it can't be told: AppSync refuses with status 429, the services
// behind it with an errorType in a 200, prefixed with their name
// ("DynamoDB:ThrottlingException") or of a kind that only they use.
func throttlingService(reason string) string {
	if strings.HasPrefix(reason, "HTTP 429") {
		return "appsync"
	}
	name := reason[strings.LastIndex(reason, " ")+1:]
	if i := strings.LastIndexAny(name, ":#"); i >= 0 {
		prefix := strings.ToLower(name[:i])
		for _, service := range []string{"lambda", "dynamodb", "momento"} {
			if strings.Contains(prefix, service) {
				return service
			}
		}
		return prefix
	}
	switch name {
	case "TooManyRequestsException":
		return "lambda"
	case "ProvisionedThroughputExceededException", "RequestLimitExceeded":
		return "dynamodb"
	case "LimitExceededException", "LimitExceededError", "LIMIT_EXCEEDED_ERROR":
		return "momento"
	}
	return ""
}

// clientThrottles counts the client's throttled answers for the operations that
// charge the quota: those of the quota's own service, and those of which the
// service isn't known.
func (a *analysis) clientThrottles(q Quota) (own, unknown int64) {
	for _, op := range a.ops {
		if !q.Charges(op.Load, op.Name) {
			continue
		}
		unknown += op.all.Throttled
		for reason, n := range op.all.Reasons {
			rest, ok := strings.CutPrefix(reason, "throttled ")
			if !ok {
				continue
			}
			if s := throttlingService(rest); s != "" {
				unknown -= n
				if s == q.service() {
					own += n
				}
			}
		}
	}
	return own, unknown
}

// throttled returns how many requests a quota refused, or nil where the run
// doesn't say. AppSync's refusals are the client's own count. Behind it, an
// errorType names the service only, so it tells a quota's refusals where the
// service has one quota, or had none at all; the cloud's count is of the quota,
// and the larger of the two holds where both are known. Of a Kafka quota it is the
// answers that asked to wait.
func (a *analysis) throttled(q Quota) *int64 {
	if q.service() == "kafka" {
		u := a.kafka(q.Loads)
		if u == nil || q.ID != measure.KafkaByteRate {
			return nil
		}
		n, _ := u.throttled()
		return &n
	}
	own, unknown := a.clientThrottles(q)
	same := 0
	for _, o := range a.run.Manifest.Quotas {
		if o.service() == q.service() {
			same++
		}
	}
	var client *int64
	if a.total.Sent > 0 && (unknown == 0 && (own == 0 || same == 1) || q.service() == "appsync" && own > 0) {
		client = &own
	}
	c, ok := a.series(q.ID, RoleThrottles)
	if !ok || c.statistic != "Sum" || client != nil && q.service() == "appsync" {
		return client
	}
	cloud := int64(math.Round(c.sum()))
	if client != nil {
		cloud = max(cloud, *client)
	} else if covered, _ := a.coverage(q.ID, RoleUsage); cloud == 0 && covered < 1 {
		return nil // some were refused, and may have been in the minutes that are missing
	}
	return &cloud
}

// Refusals returns how many requests a quota refused in a simulated run, and the
// second in which the first of them was answered, as everything that clients see
// is told by its answer; -1 where none was refused. The quota's series counts a
// request when it is refused, which may be a while before.
func Refusals(run *Run, id string) (n float64, first int) {
	i := slices.IndexFunc(run.Manifest.Quotas, func(q Quota) bool { return q.ID == id })
	if i < 0 {
		return 0, -1
	}
	q, refused, first := run.Manifest.Quotas[i], math.MaxInt, math.MaxInt
	for _, s := range run.Series {
		if s.Quota != id || s.Role != RoleThrottles {
			continue
		}
		for p := range s.Points.All() {
			if n += p.Value; p.Value > 0 {
				refused = min(refused, int(p.At.Sub(run.Manifest.Start).Seconds()))
			}
		}
	}
	if id == RequestTokens { // which has no such series: the client counts
		refused = 0
		for r := range run.Rows.All() {
			n += float64(r.Reasons["throttled HTTP 429"])
		}
	}
	if n == 0 {
		return 0, -1
	}
	for r := range run.Rows.All() {
		if r.Second < refused || r.Second >= first || !q.Charges(r.Load, r.Operation) {
			continue
		}
		for reason := range r.Reasons {
			rest, ok := strings.CutPrefix(reason, "throttled ")
			if s := throttlingService(rest); ok && (s == "" || s == q.service()) {
				first = r.Second
			}
		}
	}
	if first == math.MaxInt { // no answer came: clients gave up before
		first = refused
	}
	return n, first
}

// SaysOrder reports whether the run says in which order a request is held against its
// quotas. A sandbox's System does; elsewhere it is supposed that a request passes
// AppSync, then Lambda, then what lies behind.
func (m *Manifest) SaysOrder() bool {
	return slices.ContainsFunc(m.Quotas, func(q Quota) bool { return len(q.Behind) > 0 })
}

// refusedBefore returns which share of the client's throttled requests were
// refused by the quota or by one that stands before it and so did not charge
// it, at least and at most. Where the run doesn't say the order, that of AppSync,
// Lambda and the rest is supposed; quotas of the same tier may then come in any
// order, and are taken in the manifest's.
func (a *analysis) refusedBefore(q Quota) (atLeast, atMost float64) {
	var all int64
	for _, op := range a.ops {
		if q.Charges(op.Load, op.Name) {
			all += op.all.Throttled
		}
	}
	if all == 0 {
		return 0, 0
	}
	known := a.run.Manifest.SaysOrder()
	own := slices.IndexFunc(a.run.Manifest.Quotas, func(o Quota) bool { return o.ID == q.ID })
	var before, after, sameTier int64
	for i, o := range a.run.Manifest.Quotas {
		t := a.throttled(o)
		if t == nil || o.inKafka() { // which makes records wait and refuses no request
			continue
		}
		order := cmp.Or(cmp.Compare(o.tier(), q.tier()), cmp.Compare(i, own))
		if known && i != own {
			switch {
			case slices.Contains(q.Behind, o.ID):
				order = -1
			case slices.Contains(o.Behind, q.ID):
				order = 1
			default: // no request meets both, or not always in the same order
				continue
			}
		}
		switch {
		case order <= 0:
			before += *t
		default:
			after += *t
		}
		if !known && o.tier() == q.tier() && i != own {
			sameTier += *t
		}
	}
	unknown := max(0, all-before-after)
	atLeast = min(1, float64(before)/float64(all))
	atMost = min(1, float64(before+unknown)/float64(all))
	if !a.run.Manifest.Sandbox {
		atMost = min(1, float64(before+unknown+sameTier)/float64(all))
	}
	return atLeast, max(atLeast, atMost)
}

// Admitted returns by quota which share of the requests that charge it were refused
// neither by it nor by one that stands before it: what was used of a quota, and of
// what grows with it, stands for these. What a later quota refused is among them. Low
// and High differ where the run doesn't tell at which quota requests were refused.
// Records of Kafka loads are no such requests, and a quota that none charges is left
// out.
func Admitted(run *Run) map[string]Range {
	a := analyse(run)
	shares := make(map[string]Range)
	for _, q := range a.run.Manifest.Quotas {
		var sent, throttled float64
		for _, op := range a.ops {
			if l, ok := a.load(op.Load); q.Charges(op.Load, op.Name) && !(ok && l.Kafka()) {
				sent += float64(op.all.Sent - op.all.GeneratorErrors)
				throttled += float64(op.all.Throttled)
			}
		}
		if sent == 0 {
			continue
		}
		atLeast, atMost := a.refusedBefore(q)
		shares[q.ID] = Range{max(0, 1-atMost*throttled/sent), max(0, 1-atLeast*throttled/sent)}
	}
	return shares
}

func (q Quota) tier() int {
	switch q.service() {
	case "appsync":
		return 0
	case "lambda":
		return 1
	}
	return 2
}
