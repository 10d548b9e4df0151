package http1

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"
)

const (
	// dialTimeout bounds looking up, connecting and agreeing on TLS together.
	dialTimeout = 10 * time.Second
	// lookupEvery is how long addresses are taken to be the name's. Those of AWS
	// say 60 s.
	lookupEvery = 30 * time.Second
)

// dialer opens connections to one server.
type dialer struct {
	host, port string
	tls        *tls.Config // nil: plain
	tunnel     []byte      // the request that the proxy at host is sent, nil without one
	lookup     func(ctx context.Context, network, host string) ([]netip.Addr, error)
	connect    func(ctx context.Context, network, address string) (net.Conn, error)

	mu        sync.Mutex
	addresses []address
	found     time.Time // when they were looked up
	next      int       // counts the connections
	looking   *lookup
}

// lookup is a lookup under way, for which all who open a connection wait.
type lookup struct {
	done chan struct{}
	err  error
}

// address is one of the server's.
type address struct {
	text string
	six  bool // of IPv6
	bad  bool // the last attempt failed: the others are tried first
}

// timing is what opening a connection took.
type timing struct {
	connect, handshake time.Duration
	resumed            bool
}

// Dialer returns what opens a connection to the server of cfg for a client of
// another protocol. Looking up, choosing an address and the way through the proxy
// are the same; TLS is left to the caller, with the settings in secure, which are
// nil for http. A connection that takes longer than it may is a ConnectTimeout.
func Dialer(cfg Config) (dial func(context.Context) (net.Conn, error), secure *tls.Config, err error) {
	d := new(dialer)
	if err := d.init(cfg); err != nil {
		return nil, nil, err
	}
	return func(parent context.Context) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(parent, dialTimeout)
		defer cancel()
		cn, err := d.reach(ctx, new(timing))
		switch {
		case err != nil && ctx.Err() != nil && parent.Err() == nil:
			return nil, &Error{ConnectTimeout, err}
		case err != nil:
			return nil, err
		}
		return cn.Conn, cn.Conn.SetDeadline(time.Time{})
	}, d.tls, nil
}

func (d *dialer) init(cfg Config) error {
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
func (d *dialer) open(ctx context.Context, deadline time.Time) (*conn, timing, error) {
	var t timing
	limit := time.Now().Add(dialTimeout)
	if deadline.Before(limit) {
		limit = deadline
	}
	limited, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	cn, err := d.attempt(limited, &t)
	if err != nil && !time.Now().Before(limit) && ctx.Err() == nil {
		err = &Error{ConnectTimeout, err}
	}
	return cn, t, err
}

// reach opens a connection as far as TLS, if any.
func (d *dialer) reach(ctx context.Context, t *timing) (*conn, error) {
	addresses, err := d.resolve(ctx)
	if err != nil {
		return nil, err
	}
	c, err := d.connectAny(ctx, addresses, t)
	if err != nil {
		return nil, err
	}
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

func (d *dialer) attempt(ctx context.Context, t *timing) (*conn, error) {
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

// connectAny connects to the first of the addresses that is to be reached. Each
// gets its share of the time.
func (d *dialer) connectAny(ctx context.Context, addresses []string, t *timing) (net.Conn, error) {
	limit, _ := ctx.Deadline()
	var first error
	for i, text := range addresses {
		began := time.Now()
		share, cancel := context.WithDeadline(ctx, began.Add(limit.Sub(began)/time.Duration(len(addresses)-i)))
		c, err := d.connect(share, "tcp", text)
		cancel()
		if err == nil {
			t.connect = time.Since(began)
			if i > 0 {
				d.note(addresses[:i])
			}
			return c, nil
		}
		if first == nil || FailureOf(first) == Unreachable {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
		switch FailureOf(err) {
		case NoPort, NoFile, NoBuffer: // no other address helps
			return nil, err
		}
	}
	return nil, first
}

// note notes which addresses failed where another one didn't.
func (d *dialer) note(failed []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.addresses {
		for _, text := range failed {
			d.addresses[i].bad = d.addresses[i].bad || d.addresses[i].text == text
		}
	}
}

// resolve returns the server's addresses in the order in which they are to be
// tried: each call begins with another of the good ones. A lookup that fails
// leaves those of the last one.
func (d *dialer) resolve(ctx context.Context) ([]string, error) {
	if ip, err := netip.ParseAddr(d.host); err == nil {
		return []string{net.JoinHostPort(ip.String(), d.port)}, nil
	}
	for {
		d.mu.Lock()
		current := time.Since(d.found) < lookupEvery || d.looking != nil
		if current && len(d.addresses) > 0 {
			list := d.order()
			d.mu.Unlock()
			return list, nil
		}
		l := d.looking
		if l == nil {
			l = &lookup{done: make(chan struct{})}
			d.looking = l
			d.mu.Unlock()
			d.look(ctx, l)
		} else {
			d.mu.Unlock()
		}
		select {
		case <-l.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if l.err != nil {
			return nil, &Error{DNSLookup, l.err}
		}
	}
}

// look looks the name up.
func (d *dialer) look(ctx context.Context, l *lookup) {
	ips, err := d.lookup(ctx, "ip", d.host)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looking = nil
	d.found = time.Now()
	if len(ips) > 0 {
		d.addresses = d.addresses[:0]
		for _, ip := range ips {
			d.addresses = append(d.addresses, address{text: net.JoinHostPort(ip.Unmap().String(), d.port), six: ip.Unmap().Is6()})
		}
	}
	if len(d.addresses) == 0 {
		l.err = err
		if err == nil {
			l.err = errors.New("the name has no address")
		}
	}
	close(l.done)
}

// order returns the addresses: the good ones first, each time beginning with
// another. Those of IPv6 come after those of IPv4, which is to be had nearly
// everywhere or else fails at once, where IPv6 may only seem to be there.
func (d *dialer) order() []string {
	var ranks [3][]string
	for _, a := range d.addresses {
		ranks[a.rank()] = append(ranks[a.rank()], a.text)
	}
	for i, list := range ranks {
		if len(list) > 0 {
			n := d.next % len(list)
			ranks[i] = slices.Concat(list[n:], list[:n])
		}
	}
	d.next++
	return slices.Concat(ranks[:]...)
}

func (a *address) rank() int {
	switch {
	case a.bad:
		return 2
	case a.six:
		return 1
	}
	return 0
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
