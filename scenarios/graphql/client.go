package graphql

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"

	"github.com/headroom-load/headroom/scenarios/measure"
)

const (
	// pieceSize is how much of a body is read at a time.
	pieceSize = 16 << 10
	// idleTimeout closes connections before the 60 s at which AWS load
	// balancers do by default, so that no request meets a closing one.
	idleTimeout = 50 * time.Second
	// maxHeader bounds the bytes of an answer's headers.
	maxHeader = 256 << 10
)

// Stats is what a driver's connections have done since it was made.
type Stats struct {
	Opened     int64 // TCP connections
	Closed     int64
	Handshakes int64 // TLS handshakes
	Resumed    int64 // of them, those that resumed a session
	// UnreadableTokens counts token headers that hold no whole number. Such an
	// answer's tokens are not measured.
	UnreadableTokens int64
}

// client makes HTTP exchanges for vegeta's targets: one request, one answer. It
// follows no redirect, keeps no cookie, and never sends a request twice.
type client struct {
	transport *http.Transport
	counters  struct{ opened, closed, handshakes, resumed, unreadable atomic.Int64 }
}

// newClient makes a client that opens up to limit connections and keeps them.
// One is opened only when all others are waiting for the server.
func newClient(limit int) *client {
	c := &client{}
	dialer := &net.Dialer{}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	c.transport = &http.Transport{
		// Loopback hosts are never reached by a proxy.
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			c.counters.opened.Add(1)
			return &countedConn{Conn: conn, closed: &c.counters.closed}, nil
		},
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			ClientSessionCache: tls.NewLRUClientSessionCache(0),
			VerifyConnection: func(state tls.ConnectionState) error {
				c.counters.handshakes.Add(1)
				if state.DidResume {
					c.counters.resumed.Add(1)
				}
				return nil
			},
		},
		Protocols:              protocols,
		DisableCompression:     true, // nothing is asked for that the scenario doesn't ask for
		MaxConnsPerHost:        limit,
		MaxIdleConnsPerHost:    limit,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
	return c
}

func (c *client) close() { c.transport.CloseIdleConnections() }

func (c *client) stats() Stats {
	n := &c.counters
	return Stats{n.opened.Load(), n.closed.Load(), n.handshakes.Load(), n.resumed.Load(), n.unreadable.Load()}
}

// tokens reads the token header of an answer.
func (c *client) tokens(h http.Header) int64 {
	values := h[tokenHeader]
	if len(values) == 0 {
		return measure.NoTokens
	}
	n, ok := parseTokens(values[0])
	if !ok {
		c.counters.unreadable.Add(1)
		return measure.NoTokens
	}
	return n
}

// request makes the HTTP request of a target, all but its body.
func (c *client) request(t *vegeta.Target, u *url.URL) *http.Request {
	return &http.Request{
		Method:        t.Method,
		URL:           u,
		Header:        t.Header,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		ContentLength: int64(len(t.Body)),
	}
}

// exchange is what one exchange works with and finds out.
type exchange struct {
	result  vegeta.Result // Code, BytesIn and BytesOut
	scanner scanner
	piece   [pieceSize]byte
	unzip   *gzip.Reader // made when first needed
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// do sends the request and reads its answer to the end, through the scanner.
// The headers are those of the answer, nil where it didn't come that far; the
// error says why the exchange isn't whole.
func (c *client) do(ctx context.Context, prepared *http.Request, body []byte, x *exchange) (http.Header, error) {
	x.result = vegeta.Result{}
	x.scanner.reset()
	var sent atomic.Int64
	r := prepared.WithContext(ctx)
	r.Body = &payload{rest: body, sent: &sent}
	if !idempotent(r.Header) {
		// The transport uses it only after a kept connection turned out to be
		// dead before a byte was written.
		r.GetBody = func() (io.ReadCloser, error) {
			sent.Store(0)
			return &payload{rest: body, sent: &sent}, nil
		}
	}
	answer, err := c.transport.RoundTrip(r)
	if err != nil {
		x.result.BytesOut = uint64(sent.Load())
		return nil, err
	}
	defer answer.Body.Close()
	x.result.Code = uint16(answer.StatusCode)
	err = x.read(answer)
	x.result.BytesOut = uint64(sent.Load())
	return answer.Header, err
}

// idempotent reports whether a header declares that the request may be sent
// again, at which the transport would.
func idempotent(h http.Header) bool {
	return h["Idempotency-Key"] != nil || h["X-Idempotency-Key"] != nil
}

// read reads the answer's body to its end.
func (x *exchange) read(answer *http.Response) error {
	wire := &wireReader{body: answer.Body}
	defer func() { x.result.BytesIn = wire.n }()
	switch answer.Header.Get("Content-Encoding") {
	case "", "identity":
		return x.scan(wire)
	case "gzip", "x-gzip":
		if x.unzip == nil {
			x.unzip = new(gzip.Reader)
		}
		err := x.unzip.Reset(wire)
		if err == nil {
			err = x.scan(x.unzip)
		}
		if err == nil || wire.err != nil {
			return wire.err
		}
		x.scanner.feed([]byte{0}) // the answer came whole but is no JSON
	default:
		x.scanner.feed([]byte{0})
	}
	// To its end, so that the connection can be used again.
	for {
		if _, err := wire.Read(x.piece[:]); err != nil {
			return wire.err
		}
	}
}

func (x *exchange) scan(r io.Reader) error {
	for {
		n, err := r.Read(x.piece[:])
		x.scanner.feed(x.piece[:n])
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// wireReader counts the bytes of a body and notes why it ended, unless with its
// end.
type wireReader struct {
	body io.Reader
	n    uint64
	err  error
}

func (r *wireReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.n += uint64(n)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// payload is a body that counts what has been taken of it. The transport may
// still read it while the answer is being read.
type payload struct {
	rest []byte
	sent *atomic.Int64
}

func (p *payload) Read(b []byte) (int, error) {
	n := copy(b, p.rest)
	if n == 0 {
		return 0, io.EOF
	}
	p.rest = p.rest[n:]
	p.sent.Add(int64(n))
	return n, nil
}

func (p *payload) Close() error { return nil }

type countedConn struct {
	net.Conn
	closed *atomic.Int64
	once   sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.closed.Add(1) })
	return c.Conn.Close()
}
