package graphql

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-load/headroom/scenarios/graphql/http1"
	"github.com/headroom-load/headroom/scenarios/graphql/http2"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// idleTimeout closes connections before the 60 s at which AWS load balancers do
// by default, so that no request meets a closing one.
const idleTimeout = 50 * time.Second

// Watch implements load.Watcher: it returns what the driver's connections did
// since the call before.
func (d *Driver) Watch(at time.Time, period time.Duration) (all []measure.Series, _ []load.Notice) {
	s := d.client.Stats()
	labelled := func(labels map[string]string, metric, statistic, unit string, v float64) {
		all = append(all, measure.Series{
			Source: measure.HTTPClient, Metric: metric, Labels: labels, Statistic: statistic, Unit: unit, Period: period,
			Points: measure.PointsOf(measure.Point{At: at, Value: v}),
		})
	}
	add := func(metric, statistic, unit string, v float64) {
		labelled(map[string]string{}, metric, statistic, unit, v)
	}
	sum := func(metric string, n int64) { add(metric, "Sum", "count", float64(n)) }
	times := func(metric string, t http1.Timing) {
		add(metric, "SampleCount", "count", float64(t.N))
		add(metric, "Sum", "seconds", t.Total.Seconds())
		if t.N > 0 {
			add(metric, "Maximum", "seconds", t.Max.Seconds())
		}
	}
	add(measure.HTTPOpen, "Last", "count", float64(s.Open))
	sum(measure.HTTPOpened, s.Opened)
	sum(measure.HTTPClosed, s.Closed)
	sum(measure.HTTPDead, s.Dead)
	sum(measure.HTTPReused, s.Reused)
	sum(measure.HTTPResets, s.Resets)
	sum(measure.HTTPUnreadable, d.unreadable.Swap(0))
	times(measure.HTTPConnectTime, s.ConnectTime)
	times(measure.HTTPFirstByteTime, s.FirstByteTime)
	if d.secure {
		sum(measure.HTTPResumed, s.Resumed)
		times(measure.HTTPHandshakeTime, s.HandshakeTime)
	}
	for _, a := range s.Addresses {
		if a.Opened > 0 {
			labelled(map[string]string{"address": a.Text}, measure.HTTPAddressOpened, "Sum", "count", float64(a.Opened))
		}
		for f, n := range a.Failed {
			labelled(map[string]string{"address": a.Text, "reason": f.String()}, measure.HTTPAddressFailed, "Sum", "count", float64(n))
		}
	}
	return all, nil
}

// client is what carries the requests of a driver: HTTP/1.1, or HTTP/2 where the
// target asks for it. One of the two is nil.
type client struct {
	one *http1.Client
	two *http2.Client
	connections
}

// connections is what a client of either version does besides exchanges.
type connections interface {
	Warm(ctx context.Context, n int, perSecond float64) error
	Stats() http1.Stats
	Close()
}

// newClient makes the client of a driver. Loopback hosts are never reached by a
// proxy of the environment.
func newClient(cfg Config, endpoint *url.URL) (client, error) {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: endpoint})
	if err != nil {
		return client{}, err
	}
	settings := http1.Config{
		URL:         endpoint,
		MaxConns:    cfg.InFlight,
		IdleTimeout: idleTimeout,
		Headers:     []string{tokenHeader, errorTypeHeader},
		TLS:         cfg.TLS,
		Proxy:       proxy,
	}
	if cfg.Target.HTTP2 {
		two, err := http2.New(settings)
		return client{two: two, connections: two}, err
	}
	one, err := http1.New(settings)
	return client{one: one, connections: one}, err
}

// request makes what is sent of a target and a body. head is the target's, for
// HTTP/1.1.
func (d *Driver) request(t *vegeta.Target, h *http1.Head, body []byte) (load.Request, error) {
	if d.client.two == nil {
		return &request{d, h.Request(body)}, nil
	}
	u, err := url.Parse(t.URL)
	if err != nil {
		return nil, err
	}
	r, err := http2.NewRequest(t.Method, u, t.Header, body)
	return &request2{d, r}, err
}

// head lays out the head of a target's requests.
func head(t *vegeta.Target) (http1.Head, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return http1.Head{}, err
	}
	return http1.NewHead(t.Method, u, t.Header)
}

// exchange is what one exchange works with.
type exchange struct {
	answer  http1.Answer
	scanner scanner
	feed    func(piece []byte)
}

var exchanges = sync.Pool{New: func() any {
	x := new(exchange)
	x.feed = x.scanner.feed
	return x
}}

// tokens reads the token header of an answer.
func (d *Driver) tokens(a *http1.Answer) int64 {
	value := a.Header(tokenHeader)
	if value == nil {
		return measure.NoTokens
	}
	n, ok := parseTokens(string(value))
	if !ok {
		d.unreadable.Add(1)
		return measure.NoTokens
	}
	return n
}
