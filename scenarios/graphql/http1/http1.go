// Package http1 is a client for load: HTTP/1.1 to one server, each exchange
// made by the goroutine that asks for it. A request is bytes that were laid out
// beforehand and go out in one write; its answer is parsed where it is read and
// never kept. That costs about a third of what net/http's client does, whose
// two more goroutines for each connection pass every request and answer on.
//
// Connections are used last in, first out, and a new one is opened only when
// all open ones wait for the server. They are spread over the addresses of the
// server's name that are to be reached (RFC 8305). No request is ever sent twice, no redirect
// followed, no cookie kept, and no encoding asked for. Whatever keeps an
// exchange from having a whole answer has a name, a Failure.
package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"
)

// sampleEvery is how many exchanges of a connection are made for each of which
// the first byte is timed.
const sampleEvery = 16

// Config says what a client connects to.
type Config struct {
	URL *url.URL // http or https; its path doesn't matter
	// MaxConns is how many connections may be open at once. Exchanges beyond
	// that wait for one.
	MaxConns int
	// IdleTimeout closes a connection that was last used so long ago rather than
	// use it again; 0 is never.
	IdleTimeout time.Duration
	// Headers are the names of those that Answer.Header can be asked for.
	Headers []string
	// TLS adds to the client's settings for https: roots, versions, certificates.
	TLS *tls.Config
	// Proxy is an http proxy, which is asked for a tunnel to the server (CONNECT)
	// whether or not that has TLS. nil is none.
	Proxy *url.URL
}

// Client makes exchanges with one server. It is safe for concurrent use.
type Client struct {
	max    int
	idle   time.Duration
	wanted []string
	dial   Dialer

	mu      sync.Mutex
	open    []*conn   // all of them
	free    []*conn   // of them, those without an exchange; the last was used last
	slots   int       // connections that are open or being opened
	waiting []*waiter // for a connection
	watches []*watch
	closed  bool
	stats   Stats
}

// Stats is what a client's connections have done in some time.
type Stats struct {
	Opened, Closed int64 // TCP connections that came about, and that ended
	Open           int64 // now
	Reused         int64 // exchanges over a connection that had one before
	Dead           int64 // idle connections that the server had closed
	Handshakes     int64 // TLS handshakes
	Resumed        int64 // of them, those that resumed a session
	Resets         int64 // exchanges that ended with a reset
	ConnectTime    Timing
	HandshakeTime  Timing
	// FirstByteTime is from the first byte of the request to the first byte of the
	// answer, of every 16th exchange over each connection.
	FirstByteTime Timing
	// Addresses are those of the server's name that connections were tried to, in the
	// order of their texts.
	Addresses []Address
}

// Timing sums up times.
type Timing struct {
	N          int64
	Total, Max time.Duration
}

// Add counts one more time.
func (t *Timing) Add(d time.Duration) {
	t.N++
	t.Total += d
	t.Max = max(t.Max, d)
}

// errClosed is what exchanges of a closed client get.
var errClosed = errors.New("the client is closed")

// New makes a client. Nothing is connected yet.
func New(cfg Config) (*Client, error) {
	c := &Client{max: cfg.MaxConns, idle: cfg.IdleTimeout}
	if c.max < 1 {
		return nil, errors.New("a client needs a connection at least")
	}
	for _, name := range cfg.Headers {
		c.wanted = append(c.wanted, strings.ToLower(name))
	}
	if err := c.dial.init(cfg); err != nil {
		return nil, err
	}
	return c, nil
}

// Do sends a request and reads its answer to the end, in the caller's
// goroutine. The body goes to sink piece by piece, decoded where it came as
// gzip; a piece is the sink's only while it is called. The timeout counts from
// the call, so that looking up, connecting and waiting for one of MaxConns
// connections are part of it.
//
// An error is an *Error: there is no whole answer. What of it did come is in a.
// Soon after ctx is done its exchanges end with Cancelled.
//
// Where a kept connection turns out to be dead before a byte of the request was
// written, Do takes a new one. After that first byte nothing is tried again.
func (c *Client) Do(ctx context.Context, r *Request, timeout time.Duration, a *Answer, sink func(piece []byte)) error {
	now := time.Now()
	deadline := now.Add(timeout)
	a.Reset(c.wanted)
	for fresh := false; ; fresh = true {
		cn, err := c.take(ctx, now, deadline, fresh)
		if err != nil {
			return explain(ctx, deadline, err)
		}
		kept := cn.used > 0
		reusable, err := cn.exchange(r, now, deadline, a, sink)
		if err == nil {
			c.put(cn, reusable, nil)
			return nil
		}
		c.put(cn, false, err)
		if kept && !fresh && cn.wrote == 0 && ctx.Err() == nil && time.Now().Before(deadline) {
			continue
		}
		return explain(ctx, deadline, err)
	}
}

// explain says why an exchange failed.
func explain(ctx context.Context, deadline time.Time, err error) error {
	if ended := ctx.Err(); ended != nil {
		return &Error{FailureOf(ended), err}
	}
	if !time.Now().Before(deadline) && !FailureOf(err).Own() {
		return &Error{TimedOut, err}
	}
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	return &Error{FailureOf(err), err}
}

// Warm opens connections until n are open (MaxConns at most), perSecond of them
// a second, so that the requests to come find them. It returns when all are
// open or one has failed.
func (c *Client) Warm(ctx context.Context, n int, perSecond float64) error {
	if !(perSecond > 0) {
		return errors.New("connections are opened at a rate above 0")
	}
	n = min(n, c.max)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var dials sync.WaitGroup
	pace := time.NewTimer(0)
	defer pace.Stop()
	for began, i := time.Now(), 1; c.reserve(n); i++ {
		select {
		case <-pace.C:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			c.mu.Lock()
			c.freeSlot()
			c.mu.Unlock()
			break
		}
		dials.Go(func() {
			if err := c.openIdle(ctx); err != nil {
				stop(err)
			}
		})
		pace.Reset(time.Until(began.Add(time.Duration(float64(i) / perSecond * float64(time.Second)))))
	}
	dials.Wait()
	return context.Cause(ctx)
}

// Stats returns what the connections have done since the call before.
func (c *Client) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	c.stats = Stats{}
	s.Open = int64(len(c.open))
	s.Addresses = c.dial.Addresses()
	return s
}

// Close closes the connections: the idle ones now, and each other one when its
// exchange ends.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	idle := c.free
	c.free = nil
	for _, cn := range idle {
		c.forget(cn)
	}
	for _, w := range c.waiting {
		close(w.given)
	}
	c.waiting = nil
	for _, w := range c.watches {
		w.stop()
	}
	c.watches = nil
	c.mu.Unlock()
	for _, cn := range idle {
		cn.hangUp()
	}
}
