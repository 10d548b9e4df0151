package graphql

import (
	"net/http"
	"net/url"
	"sync"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-load/headroom/scenarios/graphql/http1"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// idleTimeout closes connections before the 60 s at which AWS load balancers do
// by default, so that no request meets a closing one.
const idleTimeout = 50 * time.Second

// Stats is what a driver's connections have done since it was made.
type Stats struct {
	Opened     int64 // TCP connections
	Closed     int64
	Open       int64 // now
	Reused     int64 // requests over a connection that had one before
	Dead       int64 // idle connections that the server had closed
	Handshakes int64 // TLS handshakes
	Resumed    int64 // of them, those that resumed a session
	Resets     int64 // requests that ended with a reset
	// UnreadableTokens counts token headers that hold no whole number. Such an
	// answer's tokens are not measured.
	UnreadableTokens int64
	// ConnectTime and HandshakeTime are of every connection, FirstByteTime (from
	// sending to the answer's first byte) of a sample of requests.
	ConnectTime, HandshakeTime, FirstByteTime http1.Timing
}

// Stats returns what the driver's connections have done until now.
func (d *Driver) Stats() Stats {
	s := d.client.Stats()
	return Stats{
		Opened: s.Opened, Closed: s.Closed, Open: s.Open, Reused: s.Reused, Dead: s.Dead,
		Handshakes: s.Handshakes, Resumed: s.Resumed, Resets: s.Resets, UnreadableTokens: d.unreadable.Load(),
		ConnectTime: s.ConnectTime, HandshakeTime: s.HandshakeTime, FirstByteTime: s.FirstByteTime,
	}
}

// newClient makes the client of a driver. Loopback hosts are never reached by a
// proxy of the environment.
func newClient(cfg Config, endpoint *url.URL) (*http1.Client, error) {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: endpoint})
	if err != nil {
		return nil, err
	}
	return http1.New(http1.Config{
		URL:         endpoint,
		MaxConns:    cfg.InFlight,
		IdleTimeout: idleTimeout,
		Headers:     []string{tokenHeader, errorTypeHeader},
		TLS:         cfg.TLS,
		Proxy:       proxy,
	})
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
