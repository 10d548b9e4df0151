package quotas

import (
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// requestPercentage is the id of the quota of time on a broker's threads.
const requestPercentage = "kafka.request-percentage"

// ofKafka returns the quota of bytes a second that records are held against by
// each broker, without a limit: there is no default, and only the brokers know
// what is in force.
func ofKafka(s *scenarios.Scenario) []candidate {
	if s.Target.Kafka == nil || !slices.ContainsFunc(s.Loads, scenarios.Load.Kafka) {
		return nil
	}
	return []candidate{{quota: bytesQuota(s)}}
}

// ofBrokers returns the byte rate that each of a System's brokers takes of a client.
func ofBrokers(s *scenarios.Scenario, sys *model.System) candidate {
	q := bytesQuota(s)
	q.Limit, q.Burst = sys.ByteRate(), freeBurst*sys.ByteRate()
	q.Origin, q.Source, q.AsOf = capacity.FromSystem, "System file "+sys.Name, sys.AsOf
	return candidate{quota: q, per: time.Second}
}

func bytesQuota(s *scenarios.Scenario) capacity.Quota {
	return kafkaQuota(s, measure.KafkaByteRate, ByteRate, capacity.RateQuota, unit.Bytes,
		"use is what the client produced to the busiest broker, requests and all, as the mean of ten seconds that a broker reckons with")
}

func kafkaQuota(s *scenarios.Scenario, id, name string, kind capacity.QuotaKind, thing, note string) capacity.Quota {
	q := capacity.Quota{ID: id, Name: name, Kind: kind, Unit: thing, Each: capacity.EachBroker, Adjustable: true, Notes: []string{note}}
	if kind == capacity.RateQuota {
		q.Period = "s"
	}
	for _, l := range s.Loads {
		if l.Kafka() {
			q.Loads = append(q.Loads, l.Name)
		}
	}
	if len(q.Loads) == len(s.Loads) {
		q.Loads = nil
	}
	return q
}

// The client quotas of Kafka that producing is held against.
const (
	ByteRate      = "producer_byte_rate"
	requestShares = "request_percentage"
)

// ClientKeys are their names.
var ClientKeys = []string{ByteRate, requestShares}

// ClientQuota is a client quota that Kafka brokers have in force.
type ClientQuota struct {
	Key   string  // of ClientKeys
	Value float64 // bytes a second, percent of a thread
	Of    string  // whose it is: "client-id headroom"
}

// freeBurst is how many seconds of its byte rate a broker lets pass at once after
// a pause: it reckons with the mean of so many (Kafka, quota.window.num 11).
const freeBurst = 10

// InForce takes in the client quotas that the scenario's brokers have in force on
// a day (YYYY-MM-DD). What the scenario says of a quota is stronger.
func (r *Resolution) InForce(s *scenarios.Scenario, quotas []ClientQuota, day string) {
	for _, c := range quotas {
		var q capacity.Quota
		switch c.Key {
		case ByteRate:
			q = bytesQuota(s)
			q.Burst = freeBurst * c.Value
		case requestShares:
			q = kafkaQuota(s, requestPercentage, requestShares, capacity.LevelQuota, "% of a thread",
				"of a broker's time on its network and I/O threads, of which a client can't know its own use")
		default:
			continue
		}
		q.Limit, q.Origin, q.Source, q.AsOf = c.Value, capacity.FromBroker, c.Key+" of "+c.Of, day
		if i := slices.IndexFunc(r.Quotas, func(o capacity.Quota) bool { return o.ID == q.ID }); i >= 0 {
			if known := &r.Quotas[i]; known.Origin == capacity.FromSystem {
				override(known, q.Origin, q.Limit, q.Source, day)
			} else {
				known.Overrides = slices.Insert(known.Overrides, 0, capacity.Overridden{Origin: q.Origin, Limit: q.Limit})
			}
			continue
		}
		r.Quotas = append(r.Quotas, q)
	}
}
