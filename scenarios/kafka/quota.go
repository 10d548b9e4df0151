package kafka

import (
	"slices"
	"sync"
	"time"
)

// Accounts follows what each broker counts of this program: its bytes against the
// byte rate quota of its client id, and its connections. All clients of one cluster
// share them.
type Accounts struct {
	mu          sync.Mutex
	brokers     map[int32]*account
	connections connections
}

// NewAccounts returns accounts of nothing.
func NewAccounts() *Accounts {
	return &Accounts{brokers: map[int32]*account{}, connections: newConnectionBook()}
}

// Allow says how many new connections a second each broker takes, at least 0.01.
// It is called before the first is opened.
func (a *Accounts) Allow(perSecond float64) { a.connections.limit = max(perSecond, 0.01) }

// count adds the bytes of a produce request that a broker answered at an instant.
func (a *Accounts) count(broker int32, at time.Time, bytes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.brokers[broker]
	if b == nil {
		b = new(account)
		a.brokers[broker] = b
	}
	b.count(at, float64(bytes))
}

// quota returns which quota, in bytes a second, a broker has that asks at an
// instant to wait for so long, supposing that nobody else uses it; 0 where the
// broker has answered no produce request of late.
func (a *Accounts) quota(broker int32, at time.Time, wait time.Duration) float64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.brokers[broker]
	if b == nil {
		return 0
	}
	return b.quota(at, wait)
}

// account holds the samples from which a broker reckons a client's rate O, the
// sum of their bytes over the length W of their window. Where O is above the
// quota T it asks to wait for (O - T) / T * W, so that
//
//	T = O * W / (W + wait)
//
// A sample lasts a second or longer, until the next request; it counts until
// eleven seconds after its last request. The window begins with the oldest, and
// is filled up to ten seconds and what has passed of the present one (Kafka,
// SampledStat, Rate and ClientQuotaManager of version 4; quota.window.num 11,
// quota.window.size.seconds 1).
type account struct{ samples []quotaSample }

type quotaSample struct {
	first, last time.Time
	bytes       float64
}

const (
	quotaSamples = 11
	quotaSize    = time.Second
)

func (a *account) count(at time.Time, bytes float64) {
	a.expire(at)
	if n := len(a.samples); n == 0 || at.Sub(a.samples[n-1].first) >= quotaSize {
		a.samples = append(a.samples, quotaSample{first: at})
	}
	s := &a.samples[len(a.samples)-1]
	s.last = at
	s.bytes += bytes
}

func (a *account) expire(at time.Time) {
	a.samples = slices.DeleteFunc(a.samples, func(s quotaSample) bool { return at.Sub(s.last) >= quotaSamples*quotaSize })
}

func (a *account) quota(at time.Time, wait time.Duration) float64 {
	a.expire(at)
	if len(a.samples) == 0 {
		return 0
	}
	var bytes float64
	for _, s := range a.samples {
		bytes += s.bytes
	}
	window := at.Sub(a.samples[0].first)
	window = max(window, (quotaSamples-1)*quotaSize+window%quotaSize)
	return bytes / (window + wait).Seconds()
}
