package http1

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"
)

// dialTimeout bounds looking up, connecting and agreeing on TLS together.
const dialTimeout = 10 * time.Second

// Dialer opens connections to one server.
type Dialer struct {
	tls    *tls.Config // nil: plain
	tunnel []byte      // the request that the proxy is sent, nil without one
	directory
}

// timing is what opening a connection took.
type timing struct {
	connect, handshake time.Duration
	resumed            bool
}

// NewDialer returns what opens connections to the server of cfg for a client of
// another protocol. Looking up, choosing an address and the way through the proxy
// are the same; TLS is left to the caller.
func NewDialer(cfg Config) (*Dialer, error) {
	d := new(Dialer)
	return d, d.init(cfg)
}

// Secure returns the settings of TLS, nil for http.
func (d *Dialer) Secure() *tls.Config { return d.tls }

// Dial opens a connection as far as TLS, if any. One that takes longer than it may
// is a ConnectTimeout.
func (d *Dialer) Dial(parent context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(parent, dialTimeout)
	defer cancel()
	cn, err := d.reach(ctx, new(timing))
	switch {
	case err != nil && ctx.Err() != nil && parent.Err() == nil:
		return nil, late(err)
	case err != nil:
		return nil, err
	}
	return cn.Conn, cn.Conn.SetDeadline(time.Time{})
}

// late says of an attempt to connect that its time was up. Where this machine kept
// it from being made, it stays that.
func late(err error) error {
	if FailureOf(err).Own() {
		return err
	}
	return &Error{ConnectTimeout, err}
}

func (d *Dialer) init(cfg Config) error {
	if cfg.URL.Scheme != "http" && cfg.URL.Scheme != "https" {
		return fmt.Errorf("scheme %q is neither http nor https", cfg.URL.Scheme)
	}
	d.connect = (&net.Dialer{KeepAlive: -1}).DialContext // exchanges have their timeout
	d.lookup = net.DefaultResolver.LookupNetIP
	d.host, d.port = endpoint(cfg.URL)
	if cfg.URL.Scheme == "https" {
		d.tls = &tls.Config{MinVersion: tls.VersionTLS12}
		if cfg.TLS != nil {
			d.tls = cfg.TLS.Clone()
		}
		d.tls.NextProtos = []string{"http/1.1"}
		if d.tls.ServerName == "" {
			d.tls.ServerName = d.host
		}
		if d.tls.ClientSessionCache == nil {
			d.tls.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		}
	}
	if p := cfg.Proxy; p != nil {
		if p.Scheme != "http" {
			return fmt.Errorf("a proxy by %q is not supported: give an http one", p.Scheme)
		}
		d.tunnel = tunnel(p, net.JoinHostPort(d.host, d.port))
		d.host, d.port = endpoint(p)
	}
	return nil
}

// endpoint returns where a URL's server listens.
func endpoint(u *url.URL) (host, port string) {
	host, port = u.Hostname(), u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return host, port
}

// open opens a connection.
func (d *Dialer) open(ctx context.Context, deadline time.Time) (*conn, timing, error) {
	var t timing
	limit := time.Now().Add(dialTimeout)
	if deadline.Before(limit) {
		limit = deadline
	}
	limited, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	cn, err := d.attempt(limited, &t)
	if err != nil && !time.Now().Before(limit) && ctx.Err() == nil {
		err = late(err)
	}
	return cn, t, err
}

// reach opens a connection as far as TLS, if any.
func (d *Dialer) reach(ctx context.Context, t *timing) (*conn, error) {
	addresses, err := d.resolve(ctx)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	c, err := d.race(ctx, addresses)
	if err != nil {
		return nil, err
	}
	t.connect = time.Since(began)
	cn := new(conn)
	cn.init(c)
	cn.stream = &cn.socket
	if cn.deadline, _ = ctx.Deadline(); cn.arm() != nil {
		c.Close()
		return nil, net.ErrClosed
	}
	if d.tunnel == nil {
		return cn, nil
	}
	stop := context.AfterFunc(ctx, func() { c.Close() })
	defer stop()
	if err := cn.askProxy(d.tunnel); err != nil {
		c.Close()
		return nil, err
	}
	return cn, nil
}

func (d *Dialer) attempt(ctx context.Context, t *timing) (*conn, error) {
	cn, err := d.reach(ctx, t)
	if err != nil || d.tls == nil {
		return cn, err
	}
	stop := context.AfterFunc(ctx, func() { cn.Conn.Close() })
	defer stop()
	began := time.Now()
	cn.tls = tls.Client(&cn.socket, d.tls)
	cn.stream = cn.tls
	if err := cn.tls.Handshake(); err != nil {
		cn.Conn.Close()
		if f := FailureOf(err); f == Closed || f == Cut || f == Broken {
			err = &Error{Handshake, err}
		}
		return nil, err
	}
	t.handshake, t.resumed = time.Since(began), cn.tls.ConnectionState().DidResume
	return cn, nil
}

// tunnel returns the request for a tunnel through a proxy.
func tunnel(proxy *url.URL, server string) []byte {
	var auth string
	if u := proxy.User; u != nil {
		password, _ := u.Password()
		auth = "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(u.Username()+":"+password)) + "\r\n"
	}
	return fmt.Appendf(nil, "CONNECT %s HTTP/1.1\r\nHost: %[1]s\r\n%s\r\n", server, auth)
}

// askProxy makes the connection a tunnel.
func (cn *conn) askProxy(request []byte) error {
	if err := cn.send(request); err != nil {
		return err
	}
	// One byte at a time: what follows the head is the server's.
	var a Answer
	if err := a.readHead(&stream{src: singly{&cn.socket}, buf: make([]byte, 512)}, true); err != nil {
		return err
	}
	if a.Status < 200 || a.Status > 299 {
		return &Error{ProxyRefused, fmt.Errorf("HTTP %d", a.Status)}
	}
	return nil
}

// singly reads one byte at a time.
type singly struct{ io.Reader }

func (r singly) Read(p []byte) (int, error) { return r.Reader.Read(p[:1]) }
