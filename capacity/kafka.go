package capacity

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity/stats"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Of what each a limit may be, beside the whole cluster.
const (
	EachBroker    = "broker"
	EachPartition = "partition"
)

const (
	// brokerWindow is the least time, in seconds, over which a broker reckons a
	// client's rate; what comes within it passes, whatever its second has.
	brokerWindow = 10
	// brokerMemory is how many seconds after a run's first request at most a broker
	// still counts what came before it: eleven, after a sample that the request fell
	// into, of one (scenarios/kafka, account). Until then a wait tells too low a quota
	// where anything came before.
	brokerMemory = 12
	// toldApart is how far the middle half of the quotas that throttles tell of may
	// lie apart, relative to their median, to be one quota.
	toldApart = 0.1
	// requestWait is the longest that a broker's quota of request time makes a
	// client wait, in seconds: one window of its quotas.
	requestWait = 1
)

// kafkaUse is what the Kafka loads' drivers saw of a cluster, by whole seconds
// from the run's start on, until what had waited was worked off.
type kafkaUse struct {
	seconds int
	lasted  int // whole seconds of the run, at least one
	// By broker.
	bytes, requests map[string][]float64
	// By partition, which the names say with their topic. What was written to a
	// partition is bytes of record batches, those of a broker are of whole requests.
	records, written map[string][]float64

	throttles map[string]int64 // answers of a broker that asked to wait
	longest   float64          // of these waits, in seconds
	waiting   map[int]bool     // seconds in which a broker asked to wait
	// Quotas that throttles tell of, in bytes a second, sorted: within brokerMemory,
	// and later.
	toldEarly, told []float64
}

// kafka adds up what the drivers of the given loads (none: of all) saw, or
// returns nil where the run has nothing of the kind.
func (a *analysis) kafka(loads []string) *kafkaUse {
	var seen []measure.Series
	u := &kafkaUse{
		lasted: max(1, int(math.Round(a.run.Length()))),
		bytes:  map[string][]float64{}, requests: map[string][]float64{}, records: map[string][]float64{}, written: map[string][]float64{},
		throttles: map[string]int64{}, waiting: map[int]bool{},
	}
	second := func(p measure.Point) int { return int(max(0, p.At.Sub(a.run.Manifest.Start)) / time.Second) }
	for _, s := range a.run.Series {
		if s.Source == measure.KafkaClient && (len(loads) == 0 || slices.Contains(loads, s.Labels["load"])) {
			seen = append(seen, s)
			for p := range s.Points.All() {
				u.seconds = max(u.seconds, min(second(p), maxSeconds)+1)
			}
		}
	}
	if u.seconds == 0 {
		return nil
	}
	began := map[string]int{} // the second of a broker's first answer
	for _, s := range seen {
		for p := range s.Points.All() {
			if b := s.Labels["broker"]; s.Metric == measure.KafkaRequests && p.Value > 0 {
				if first, ok := began[b]; !ok || second(p) < first {
					began[b] = second(p)
				}
			}
		}
	}
	for _, s := range seen {
		broker, partition := "broker "+s.Labels["broker"], "partition "+s.Labels["partition"]+" of "+s.Labels["topic"]
		for p := range s.Points.All() {
			at := min(second(p), maxSeconds)
			add := func(to map[string][]float64, name string) {
				if to[name] == nil {
					to[name] = make([]float64, u.seconds)
				}
				to[name][at] += p.Value
			}
			switch s.Metric {
			case measure.KafkaProducedBytes:
				add(u.bytes, broker)
			case measure.KafkaRequests:
				add(u.requests, broker)
			case measure.KafkaAcknowledged:
				add(u.records, partition)
			case measure.KafkaWritten:
				add(u.written, partition)
			case measure.KafkaThrottles:
				if p.Value > 0 {
					u.throttles[broker] += int64(p.Value)
					u.waiting[at] = true
				}
			case measure.KafkaThrottleTime:
				u.longest = max(u.longest, p.Value)
			case measure.KafkaThrottledTo:
				if first, ok := began[s.Labels["broker"]]; ok && second(p) > first+brokerMemory {
					u.told = append(u.told, p.Value)
				} else {
					u.toldEarly = append(u.toldEarly, p.Value)
				}
			}
		}
	}
	slices.Sort(u.told)
	slices.Sort(u.toldEarly)
	return u
}

// total adds up the parts of a use by seconds.
func (u *kafkaUse) total(of map[string][]float64) []float64 {
	sum := make([]float64, u.seconds)
	for _, part := range of {
		for i, v := range part {
			sum[i] += v
		}
	}
	return sum
}

// throttled returns how many answers asked to wait, and the broker that asked
// most.
func (u *kafkaUse) throttled() (n int64, broker string) {
	for _, b := range slices.Sorted(maps.Keys(u.throttles)) {
		n += u.throttles[b]
		if u.throttles[b] > u.throttles[broker] {
			broker = b
		}
	}
	return n, broker
}

// quota returns the byte rate quota that the throttles tell of, with the middle
// half of what they tell; ok is false where they disagree, so that something else
// than a byte rate, or than this client's, asked to wait. Where all came so early
// that brokers may have counted what came before the run, it is at least that.
func (u *kafkaUse) quota() (e Estimate, atLeast, ok bool) {
	told := u.told
	if atLeast = len(told) == 0; atLeast {
		told = u.toldEarly
	}
	if len(told) == 0 {
		return e, false, false
	}
	at := func(p float64) float64 { return told[int(p*float64(len(told)-1)+0.5)] }
	e = Estimate{at(0.5), at(0.25), at(0.75)}
	return e, atLeast, e.High-e.Low <= toldApart*e.Value
}

// text says what brokers asked for, with the quota that it tells of where they
// agree on one.
func (u *kafkaUse) text() string {
	n, broker := u.throttled()
	text := fmt.Sprintf("%s asked to wait in %s answers", broker, count(n))
	if len(u.throttles) > 1 {
		text = fmt.Sprintf("%d brokers asked to wait in %s answers", len(u.throttles), count(n))
	}
	text += ", for at most " + unit.HumanSeconds(u.longest)
	if q, atLeast, ok := u.quota(); ok {
		text += ", which tells of a quota of "
		if atLeast {
			text += "at least "
		}
		text += unit.HumanRate(q.Value, unit.Bytes)
	}
	return text
}

// withKafka returns the run with the byte rate quota of its Kafka brokers: only
// Kafka loads charge it, and where nobody named it beforehand, its throttles do.
// And none of them charges what AppSync counts.
func withKafka(run *Run) *Run {
	var loads, others []string
	for _, l := range run.Manifest.Loads {
		if l.Kafka() {
			loads = append(loads, l.Name)
		} else {
			others = append(others, l.Name)
		}
	}
	if loads == nil {
		return run
	}
	whole := *run
	whole.Manifest.Quotas = slices.Clone(run.Manifest.Quotas)
	for i := range whole.Manifest.Quotas {
		q := &whole.Manifest.Quotas[i]
		if q.service() == "kafka" && len(q.Loads) == 0 {
			q.Loads = loads
		}
		if q.service() == "appsync" && len(q.Loads) == 0 {
			q.Loads = others
		}
		if q.ID == measure.KafkaByteRate {
			q.Each = EachBroker
			inForceAtLast(run, q)
		}
	}
	if slices.ContainsFunc(run.Manifest.Quotas, func(q Quota) bool { return q.ID == measure.KafkaByteRate }) {
		return &whole
	}
	u := (&analysis{run: run}).kafka(nil)
	if u == nil {
		return &whole
	}
	limit, atLeast, ok := u.quota()
	if !ok || atLeast {
		return &whole
	}
	q := Quota{
		ID: measure.KafkaByteRate, Name: "producer_byte_rate", Kind: RateQuota, Limit: limit.Value, Unit: unit.Bytes, Period: "s", Each: EachBroker,
		Origin: FromThrottles, Source: "what brokers asked to wait for in this run", Adjustable: true, Loads: loads,
		Notes: []string{"supposes that no other producer is held to the same quota: if one is, the true limit is higher"},
	}
	if u.longest <= requestWait {
		q.Notes = append(q.Notes, "no wait was longer than 1 s, which is all that a quota of request time asks for: it may be that one, request_percentage")
	}
	whole.Manifest.Quotas = append(whole.Manifest.Quotas, q)
	return &whole
}

// inForceAtLast gives a byte rate quota that was read of brokers before the load the
// limit that they had in force at the last reading.
func inForceAtLast(run *Run, q *Quota) {
	if q.Origin != FromBroker {
		return
	}
	limit, changed := q.Limit, time.Time{}
	for _, s := range run.Series {
		if s.Source != measure.KafkaBroker || s.Metric != measure.KafkaInForce {
			continue
		}
		for p := range s.Points.All() {
			if p.Value > 0 && p.Value != limit {
				limit, changed = p.Value, p.At
			}
		}
	}
	if changed.IsZero() {
		return
	}
	note := fmt.Sprintf("the brokers had another limit in force before the load, %s, and this one from %s on", unit.HumanRate(q.Limit, unit.Bytes), unit.HumanSeconds(changed.Sub(run.Manifest.Start).Seconds()))
	q.Notes = append(slices.Clone(q.Notes), note)
	q.Burst *= limit / q.Limit
	q.Limit = limit
}

// inKafka reports whether the drivers of Kafka loads see the use of q.
func (q Quota) inKafka() bool { return q.service() == "kafka" && q.Kind == RateQuota }

// hottest returns the part of the cluster of which a quota is used most, by
// seconds, with its name ("" is the whole cluster) and with how much more it has
// than the mean of such parts.
func (u *kafkaUse) hottest(q Quota) (use []float64, name string, skew float64) {
	var parts map[string][]float64
	switch {
	case q.Unit == unit.Records:
		parts = u.records
	case q.Unit == unit.Bytes && q.Each == EachPartition:
		parts = u.written
	case q.Unit == unit.Bytes:
		parts = u.bytes
	case q.Unit == unit.Requests:
		parts = u.requests
	}
	if len(parts) == 0 {
		return nil, "", 0
	}
	use = u.total(parts)
	if q.Each != "" {
		whole := sum(use)
		name = slices.MaxFunc(slices.Sorted(maps.Keys(parts)), func(x, y string) int {
			return cmp.Or(cmp.Compare(sum(parts[x]), sum(parts[y])), cmp.Compare(y, x))
		})
		use, skew = slices.Clone(parts[name]), sum(parts[name])*float64(len(parts))/max(whole, 1)
	}
	return use, name, skew
}

// window returns over how many seconds the use of a quota is a mean. A broker reckons
// a client's byte rate over ten, however short it came; of other limits nobody says,
// and the whole of a shorter run counts.
func (u *kafkaUse) window(quota string) int {
	if quota == measure.KafkaByteRate {
		return brokerWindow
	}
	return min(brokerWindow, u.lasted)
}

func sum(values []float64) (s float64) {
	for _, v := range values {
		s += v
	}
	return s
}

// kafkaPeak returns the highest use of a Kafka quota that the drivers saw, over its
// window.
func (a *analysis) kafkaPeak(u *kafkaUse, q Quota) (p peak, ok bool) {
	use, name, _ := u.hottest(q)
	if use == nil {
		return p, false
	}
	window := u.window(q.ID)
	p.resolution = fmt.Sprintf("mean of %ds", window)
	p.value, p.at = highest(use, window)
	if name != "" {
		p.resolution += ", of " + name
	}
	return p, true
}

// highest returns the highest rate over a window of so many seconds, and in which of
// them it begins.
func highest(use []float64, window int) (rate, at float64) {
	var within float64
	for i, v := range use {
		within += v
		if i >= window {
			within -= use[i-window]
		}
		if r := within / float64(window); r > rate {
			rate, at = r, float64(max(0, i+1-window))
		}
	}
	return rate, at
}

// KafkaUse returns the use of a Kafka quota as Assess reckons its peak, for each
// second from which on the run has so many more the mean of these, and the broker or
// partition whose it is ("" for the whole cluster). It is nil where the run's drivers
// saw nothing of the quota with the given id.
func KafkaUse(run *Run, quota string) (use []float64, seconds int, name string) {
	a := &analysis{run: withKafka(run)}
	i := slices.IndexFunc(a.run.Manifest.Quotas, func(q Quota) bool { return q.ID == quota && q.inKafka() })
	if i < 0 {
		return nil, 0, ""
	}
	q := a.run.Manifest.Quotas[i]
	u := a.kafka(q.Loads)
	if u == nil {
		return nil, 0, ""
	}
	of, name, _ := u.hottest(q)
	seconds = u.window(quota)
	for i := 0; i == 0 || i+seconds <= len(of); i++ {
		use = append(use, sum(of[i:min(i+seconds, len(of))])/float64(seconds))
	}
	return use, seconds, name
}

// KafkaRate is what a broker or a partition took at most, per second over so many
// seconds as KafkaRates says. A field that nothing tells is nil.
type KafkaRate struct{ Records, Bytes, Requests *float64 }

// KafkaRates returns the rates of the brokers and partitions that the run's Kafka
// loads produced to, by name ("broker 1", "partition 3 of views"), and over how many
// seconds they are means.
func KafkaRates(run *Run) (rates map[string]KafkaRate, seconds int) {
	rates = map[string]KafkaRate{}
	u := (&analysis{run: run}).kafka(nil)
	if u == nil {
		return rates, 0
	}
	seconds = u.window("")
	peak := func(of []float64) *float64 {
		if of == nil {
			return nil
		}
		rate, _ := highest(of, seconds)
		return &rate
	}
	for name, of := range u.bytes {
		rates[name] = KafkaRate{Bytes: peak(of), Requests: peak(u.requests[name])}
	}
	for name, of := range u.records {
		rates[name] = KafkaRate{Records: peak(of), Bytes: peak(u.written[name])}
	}
	return rates, seconds
}

// kafkaCost returns what one record charges, on average, of a Kafka quota: the
// part of the cluster that is charged most has so much of it for each record
// that was acknowledged anywhere. Its interval is resampled from blocks of time,
// so it covers how keys fell on partitions. ok is false where nothing was
// acknowledged.
func (a *analysis) kafkaCost(u *kafkaUse, q Quota, parts []part) (c cost, ok bool) {
	use, name, skew := u.hottest(q)
	c.skew = skew
	records := u.total(u.records)
	n := sum(records)
	if use == nil || n == 0 {
		return c, false
	}
	c.Value = sum(use) / n
	seconds := make([]bool, u.seconds)
	for i := range seconds {
		seconds[i] = records[i] > 0 || use[i] > 0
	}
	if blocks := inBlocks([]iter.Seq2[int, charge]{perSecond(stats.Ratio{Num: use, Den: records})}, seconds); blocks != nil {
		value, draws, iv := resample(len(blocks[0].Num)).Ratios(blocks, []float64{1})
		c.Value, c.draws, c.Low, c.High = value, draws, max(0, iv.Low), iv.High
	} else {
		half := 1.96 * c.Value / math.Sqrt(n)
		c.Low, c.High = max(0, c.Value-half), c.Value+half
		c.notes = append(c.notes, "records were acknowledged in too few seconds for an interval of their own: it supposes that they fell on brokers and partitions independently of each other")
	}
	c.atLeastFloor()
	c.cold = c.Value
	if charging := slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return !p.charges || p.weight == 0 }); len(charging) == 1 {
		c.byOperation = []OperationCost{{Load: charging[0].op.Load, Name: charging[0].op.Name, UnitCost: c.Value}}
	}
	if skew > 1+maxDifference {
		c.notes = append(c.notes, fmt.Sprintf("%s takes the most, %.2f times the mean", name, skew))
	}
	return c, true
}

// bound reports whether brokers asked to wait because of the byte rate quota q,
// and says what they asked for.
func (u *kafkaUse) bound(q Quota) (bound bool, notes []string) {
	if n, _ := u.throttled(); q.ID != measure.KafkaByteRate || n == 0 {
		return false, nil
	}
	notes = []string{u.text()}
	told, atLeast, ok := u.quota()
	switch {
	case ok && atLeast && told.Value < (1-toldApart)*q.Limit:
		notes = append(notes, fmt.Sprintf("all of it within %d s of the first record, while brokers still count what was sent before the run: that, or others' use, explains waits below the stated limit; run longer", brokerMemory))
	case !ok:
		notes = append(notes, "the waits agree on no byte rate: others use the quota too, or another one asked for them, such as request_percentage")
	case math.Abs(told.Value/q.Limit-1) > toldApart:
		notes = append(notes, "that is not the stated limit: others use the quota too, the limit was changed, or another quota asked for the waits, such as request_percentage")
	default:
		bound = true
	}
	return bound, notes
}
