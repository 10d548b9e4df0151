// Package http2 is a client for load over HTTP/2, beside package http1 and in
// its terms: an exchange is made by the goroutine that asks for it, its answer is
// read to the end and never kept, and what keeps it from being whole is an
// http1.Failure. The protocol itself is net/http's. To a server without TLS it is
// spoken at once (RFC 9113, section 3.3), and one with TLS that doesn't agree on
// it gets no request.
//
// Many exchanges share a connection, as many as the server allows (100 are taken
// for allowed until it has said so). Another one is opened when all are full, one
// at a time. No request is ever sent twice.
package http2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headroom-load/headroom/scenarios/graphql/http1"
)

// bufferSize is how much of an answer is read at a time.
const bufferSize = 16 << 10

// handshakeTimeout bounds agreeing on TLS.
const handshakeTimeout = 10 * time.Second

// Client makes exchanges with one server. It is safe for concurrent use.
type Client struct {
	max       int
	idle      time.Duration
	wanted    []string
	scheme    string
	address   string
	dialer    *http1.Dialer
	transport *http.Transport

	mu      sync.Mutex
	conns   []*conn
	opening *opening
	room    chan struct{} // closed and replaced when an exchange ends
	closed  bool
	stats   http1.Stats
}

// conn is a connection.
type conn struct {
	*http.ClientConn
	used bool
	busy int       // exchanges
	last time.Time // when busy fell to 0
}

// opening is a connection being opened, for which all who need one wait.
type opening struct {
	done chan struct{}
	err  error
}

// errClosed is what exchanges of a closed client get.
var errClosed = errors.New("the client is closed")

// New makes a client. Nothing is connected yet. Of MaxConns few are used.
func New(cfg http1.Config) (*Client, error) {
	if cfg.MaxConns < 1 {
		return nil, errors.New("a client needs a connection at least")
	}
	dialer, err := http1.NewDialer(cfg)
	if err != nil {
		return nil, err
	}
	c := &Client{max: cfg.MaxConns, idle: cfg.IdleTimeout, scheme: cfg.URL.Scheme, dialer: dialer, room: make(chan struct{})}
	for _, name := range cfg.Headers {
		c.wanted = append(c.wanted, strings.ToLower(name))
	}
	port := cfg.URL.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[c.scheme]
	}
	c.address = net.JoinHostPort(cfg.URL.Hostname(), port)
	c.transport = &http.Transport{DisableCompression: true, Protocols: new(http.Protocols)}
	timed := func(ctx context.Context) (net.Conn, error) {
		began := time.Now()
		conn, err := dialer.Dial(ctx)
		if err == nil {
			c.mu.Lock()
			c.stats.ConnectTime.Add(time.Since(began))
			c.mu.Unlock()
		}
		return conn, err
	}
	c.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return timed(ctx) }
	c.transport.Protocols.SetUnencryptedHTTP2(true)
	if secure := dialer.Secure(); secure != nil {
		secure.NextProtos = []string{"h2"}
		c.transport.Protocols.SetUnencryptedHTTP2(false)
		c.transport.Protocols.SetHTTP2(true)
		c.transport.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := timed(ctx)
			if err != nil {
				return nil, err
			}
			return c.secure(ctx, conn, secure)
		}
	}
	return c, nil
}

// secure agrees on TLS and HTTP/2.
func (c *Client) secure(ctx context.Context, under net.Conn, cfg *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	began := time.Now()
	over := tls.Client(under, cfg)
	err := over.HandshakeContext(ctx)
	if state := over.ConnectionState(); err == nil && state.NegotiatedProtocol == "h2" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.stats.Handshakes++
		c.stats.HandshakeTime.Add(time.Since(began))
		if state.DidResume {
			c.stats.Resumed++
		}
		return over, nil
	}
	under.Close()
	if err == nil {
		err = errors.New("the server speaks no HTTP/2")
	}
	if http1.FailureOf(err) != http1.BadCertificate {
		err = &http1.Error{Failure: http1.Handshake, Err: err}
	}
	return nil, err
}

// Request is a request that may be sent any number of times, by many at once.
type Request struct {
	method string
	url    *url.URL
	host   string
	header http.Header
	body   []byte
}

// NewRequest makes a request. A Host in the header replaces the URL's; what HTTP/2
// has no use for (Connection, Transfer-Encoding and the like) is left out of it.
func NewRequest(method string, u *url.URL, header http.Header, body []byte) (Request, error) {
	r := Request{method: method, url: u, host: header.Get("Host"), header: header.Clone(), body: body}
	for _, name := range []string{"Host", "Connection", "Proxy-Connection", "Keep-Alive", "Upgrade", "Te", "Trailer", "Transfer-Encoding", "Content-Length"} {
		r.header.Del(name)
	}
	if u.Host == "" {
		return Request{}, fmt.Errorf("the URL has no host")
	}
	return r, nil
}

// outgoing is a request's body, of which it counts what was taken.
type outgoing struct {
	bytes.Reader
	taken atomic.Int64
}

func (o *outgoing) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	o.taken.Add(int64(n))
	return n, err
}

func (o *outgoing) Close() error { return nil }

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// Do sends a request and reads its answer to the end, as http1's Client does.
func (c *Client) Do(ctx context.Context, r *Request, timeout time.Duration, a *http1.Answer, sink func(piece []byte)) error {
	a.Reset(c.wanted)
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cn, err := c.take(limited)
	if err == nil {
		err = c.exchange(limited, cn, r, a, sink)
		c.put(cn, err)
	}
	return explain(ctx, limited, err)
}

func (c *Client) exchange(ctx context.Context, cn *conn, r *Request, a *http1.Answer, sink func(piece []byte)) error {
	var out outgoing
	out.Reset(r.body)
	// A connection sends nothing again, as a Transport may. Without GetBody that
	// wouldn't either.
	req := (&http.Request{
		Method: r.method, URL: r.url, Host: r.host, Header: r.header, Body: &out, ContentLength: int64(len(r.body)),
	}).WithContext(ctx)
	sent := time.Now()
	res, err := cn.RoundTrip(req)
	a.BytesOut = out.taken.Load()
	if err != nil {
		return err
	}
	defer res.Body.Close()
	c.mu.Lock()
	c.stats.FirstByteTime.Add(time.Since(sent))
	c.mu.Unlock()
	buffer := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buffer)
	var ended error
	return a.Receive(res.StatusCode, res.Header, func() ([]byte, error) {
		if ended != nil {
			return nil, ended
		}
		var n int
		n, ended = res.Body.Read(buffer[:])
		if n > 0 {
			return buffer[:n], nil
		}
		return nil, ended
	}, sink)
}

// streamError is net/http's error of a stream that was reset, by its fields.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return fmt.Sprintf("stream reset with code %d", e.Code) }

// explain says why an exchange failed.
func explain(ctx, limited context.Context, err error) error {
	var (
		known *http1.Error
		reset streamError
	)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return &http1.Error{Failure: http1.FailureOf(ctx.Err()), Err: err}
	case limited.Err() != nil && !http1.FailureOf(err).Own():
		return &http1.Error{Failure: http1.TimedOut, Err: err}
	case errors.As(err, &known):
		return known
	case errors.As(err, &reset):
		return &http1.Error{Failure: http1.Reset, Err: err}
	}
	return &http1.Error{Failure: http1.FailureOf(err), Err: err}
}

// Stats returns what the connections have done since the call before. The first
// byte's time is here that of every answer's head.
func (c *Client) Stats() http1.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prune(time.Now())
	s := c.stats
	c.stats = http1.Stats{}
	s.Open = int64(len(c.conns))
	s.Addresses = c.dialer.Addresses()
	return s
}

// Close closes the connections, and with them what is still under way.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	conns := c.conns
	c.conns = nil
	c.stats.Closed += int64(len(conns))
	close(c.room)
	c.room = make(chan struct{})
	c.mu.Unlock()
	for _, cn := range conns {
		cn.Close()
	}
}
