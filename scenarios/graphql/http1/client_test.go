package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func client(t testing.TB, cfg Config) *Client {
	t.Helper()
	if cfg.MaxConns == 0 {
		cfg.MaxConns = 8
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// ask makes one exchange.
func ask(ctx context.Context, c *Client, r *Request, timeout time.Duration) (Answer, string, error) {
	var (
		a    Answer
		body []byte
	)
	err := c.Do(ctx, r, timeout, &a, func(p []byte) { body = append(body, p...) })
	return a, string(body), err
}

func failure(t *testing.T, err error, want Failure) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Failure != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// serve answers each request as answer says, until that says no more; then it
// closes the connection.
func serve(t testing.TB, answer func(c *net.TCPConn, r *http.Request, n int) (more bool)) (*url.URL, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests := new(atomic.Int64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				in := bufio.NewReader(c)
				for {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					if !answer(c.(*net.TCPConn), r, int(requests.Add(1))) {
						return
					}
				}
			}()
		}
	}()
	return mustURL(t, "http://"+l.Addr().String()+"/graphql"), requests
}

const small = "HTTP/1.1 200 OK\r\nX-Token: 3\r\nContent-Length: 2\r\n\r\n{}"

func answering(text string) func(*net.TCPConn, *http.Request, int) bool {
	return func(c *net.TCPConn, _ *http.Request, _ int) bool {
		_, err := io.WriteString(c, text)
		return err == nil
	}
}

func TestExchange(t *testing.T) {
	u, _ := serve(t, answering(small))
	c := client(t, Config{URL: u, Headers: []string{"X-Token"}})
	for range 40 {
		a, body, err := ask(t.Context(), c, post(t, u, "12345"), time.Minute)
		if err != nil || a.Status != 200 || body != "{}" || string(a.Header("x-token")) != "3" || a.BytesIn != 2 || a.BytesOut != 5 {
			t.Fatalf("got %+v, %q, %v", a, body, err)
		}
	}
	s := c.Stats()
	if s.Opened != 1 || s.Open != 1 || s.Reused != 39 || s.Closed+s.Dead+s.Resets != 0 || s.ConnectTime.N != 1 || s.FirstByteTime.N != 3 || s.FirstByteTime.Max <= 0 {
		t.Errorf("got %+v", s)
	}
	c.Close()
	if s := c.Stats(); s.Open != 0 || s.Closed != 1 {
		t.Errorf("closed: got %+v", s)
	}
	_, _, err := ask(t.Context(), c, post(t, u, ""), time.Minute)
	if !errors.Is(err, errClosed) {
		t.Errorf("got %v", err)
	}
}

// TestEnds: a connection that isn't fit for another request is not used for
// one.
func TestEnds(t *testing.T) {
	for name, text := range map[string]string{
		"close":     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.0":  "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"more":      small + "HTTP/1.1 200 OK",
		"101":       "HTTP/1.1 101 Switching\r\n\r\n",
		"undecoded": "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}",
	} {
		t.Run(name, func(t *testing.T) {
			u, _ := serve(t, answering(text))
			c := client(t, Config{URL: u})
			for range 3 {
				if _, _, err := ask(t.Context(), c, post(t, u, ""), time.Minute); err != nil {
					t.Fatal(err)
				}
			}
			if s := c.Stats(); s.Opened != 3 || s.Closed != 3 {
				t.Errorf("got %+v", s)
			}
		})
	}
	u, _ := serve(t, answering(small))
	c := client(t, Config{URL: u})
	h, _ := NewHead("POST", u, http.Header{"Connection": {"close"}})
	r := h.Request(nil)
	for range 2 {
		if _, _, err := ask(t.Context(), c, &r, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Stats(); s.Opened != 2 {
		t.Errorf("asked to close: %+v", s)
	}
}

// TestDeadConnection: a connection that the server closed while nothing was
// under way costs nobody an exchange.
func TestDeadConnection(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		u, requests := serve(t, func(c *net.TCPConn, _ *http.Request, n int) bool {
			io.WriteString(c, small)
			return n > 1
		})
		c := client(t, Config{URL: u})
		one, two := post(t, u, "one"), post(t, u, "two")
		if _, _, err := ask(t.Context(), c, one, time.Minute); err != nil {
			t.Fatal(err)
		}
		awaitEnd(t, c)
		if _, _, err := ask(t.Context(), c, two, time.Minute); err != nil {
			t.Fatal(err)
		}
		if s := c.Stats(); s.Dead != 1 || s.Opened != 2 || s.Open != 1 || requests.Load() != 2 {
			t.Errorf("got %+v, %d requests", s, requests.Load())
		}
	})
	t.Run("TLS", func(t *testing.T) {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "{}") }))
		defer server.Close()
		u := mustURL(t, server.URL)
		c := client(t, Config{URL: u, TLS: trusting(server)})
		for range 3 { // session tickets are nothing to worry about
			if _, _, err := ask(t.Context(), c, post(t, u, ""), time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		if s := c.Stats(); s.Opened != 1 || s.Dead != 0 {
			t.Errorf("got %+v", s)
		}
		server.CloseClientConnections()
		awaitEnd(t, c)
		if _, _, err := ask(t.Context(), c, post(t, u, ""), time.Minute); err != nil {
			t.Fatal(err)
		}
		if s := c.Stats(); s.Opened != 1 || s.Dead != 1 || s.Open != 1 {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("too old", func(t *testing.T) {
		u, _ := serve(t, answering(small))
		c := client(t, Config{URL: u, IdleTimeout: time.Minute})
		for range 2 {
			if _, _, err := ask(t.Context(), c, post(t, u, ""), time.Minute); err != nil {
				t.Fatal(err)
			}
			c.free[0].last = c.free[0].last.Add(-2 * time.Minute)
		}
		if s := c.Stats(); s.Opened != 2 || s.Dead != 0 || s.Open != 1 {
			t.Errorf("got %+v", s)
		}
	})
}

// awaitEnd waits until the idle connection has been told of its end.
func awaitEnd(t *testing.T, c *Client) {
	t.Helper()
	cn := c.free[0]
	err := cn.raw.Read(func(fd uintptr) bool {
		var b [64]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK)
		return n >= 0 && err == nil || err != syscall.EAGAIN
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNothingIsSentTwice: once a byte is out, an exchange that breaks has
// failed, however harmless another try may look.
func TestNothingIsSentTwice(t *testing.T) {
	u, requests := serve(t, func(c *net.TCPConn, _ *http.Request, n int) bool {
		if n == 1 {
			io.WriteString(c, small)
		}
		return n == 1
	})
	c := client(t, Config{URL: u})
	r := post(t, u, "x")
	if _, _, err := ask(t.Context(), c, r, time.Minute); err != nil {
		t.Fatal(err)
	}
	_, _, err := ask(t.Context(), c, r, time.Minute)
	failure(t, err, Closed)
	if requests.Load() != 2 {
		t.Errorf("the server saw %d requests, want 2", requests.Load())
	}
}

// TestWriteThatNeverBegan: a kept connection that refuses the first byte is
// replaced, once.
func TestWriteThatNeverBegan(t *testing.T) {
	u, requests := serve(t, answering(small))
	c := client(t, Config{URL: u, MaxConns: 2})
	r := post(t, u, "x")
	if _, _, err := ask(t.Context(), c, r, time.Minute); err != nil {
		t.Fatal(err)
	}
	c.free[0].Conn.(*net.TCPConn).CloseWrite() // the server still seems to be there
	awaitEnd(t, c)
	// Reading says that it is over, so let reading not be asked.
	c.free[0].raw = nil
	if _, _, err := ask(t.Context(), c, r, time.Minute); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); s.Opened != 2 || s.Open != 1 || requests.Load() != 2 {
		t.Errorf("got %+v, %d requests", s, requests.Load())
	}
}

func TestEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.ReadFull(c, make([]byte, 1000))
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
		c.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, c) // until the client has gone
		c.Close()
	}()
	u := mustURL(t, "http://"+l.Addr().String())
	c := client(t, Config{URL: u})
	size := 32 << 20
	a, _, err := ask(t.Context(), c, post(t, u, strings.Repeat("x", size)), time.Minute)
	if err != nil || a.Status != 413 || a.BytesOut != int64(size) {
		t.Errorf("got %d, %d bytes out, %v", a.Status, a.BytesOut, err)
	}
}

func TestTimeout(t *testing.T) {
	for name, before := range map[string]string{"no answer": "", "cut": "HTTP/1.1 200 OK\r\nX-Token: 3\r\nContent-Length: 5\r\n\r\n{"} {
		t.Run(name, func(t *testing.T) {
			u, _ := serve(t, func(c *net.TCPConn, r *http.Request, n int) bool {
				if n == 1 {
					io.WriteString(c, small)
					return true
				}
				io.WriteString(c, before)
				io.Copy(io.Discard, c)
				return false
			})
			c := client(t, Config{URL: u, Headers: []string{"X-Token"}})
			r := post(t, u, "")
			if _, _, err := ask(t.Context(), c, r, 150*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			// The connection's deadline is still that of the first exchange.
			armed := c.free[0].armed
			began := time.Now()
			a, _, err := ask(t.Context(), c, r, 300*time.Millisecond)
			failure(t, err, TimedOut)
			if took := time.Since(began); took < 300*time.Millisecond || began.Add(300*time.Millisecond).Before(armed) {
				t.Errorf("timed out after %v", took)
			}
			if want := before != ""; (a.Status == 200) != want || (string(a.Header("X-Token")) == "3") != want {
				t.Errorf("got %d, token %q", a.Status, a.Header("X-Token"))
			}
			if s := c.Stats(); s.Open != 0 {
				t.Errorf("got %+v", s)
			}
		})
	}
	t.Run("shorter than before", func(t *testing.T) {
		u, _ := serve(t, func(c *net.TCPConn, r *http.Request, n int) bool {
			if n == 1 {
				io.WriteString(c, small)
			}
			return n == 1 || func() bool { io.Copy(io.Discard, c); return false }()
		})
		c := client(t, Config{URL: u})
		r := post(t, u, "")
		if _, _, err := ask(t.Context(), c, r, time.Hour); err != nil {
			t.Fatal(err)
		}
		_, _, err := ask(t.Context(), c, r, 50*time.Millisecond)
		failure(t, err, TimedOut)
	})
	t.Run("a request that isn't read", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		u := mustURL(t, "http://"+l.Addr().String())
		a, _, err := ask(t.Context(), client(t, Config{URL: u}), post(t, u, strings.Repeat("x", 32<<20)), 100*time.Millisecond)
		failure(t, err, TimedOut)
		if a.BytesOut <= 0 || a.BytesOut >= 32<<20 {
			t.Errorf("%d bytes out", a.BytesOut)
		}
	})
}

func TestCancel(t *testing.T) {
	arrived := make(chan struct{}, 100)
	u, _ := serve(t, func(c *net.TCPConn, r *http.Request, n int) bool {
		if r.URL.Path == "/fast" {
			return answering(small)(c, r, n)
		}
		arrived <- struct{}{}
		io.Copy(io.Discard, c)
		return false
	})
	c := client(t, Config{URL: u, MaxConns: 10})
	ctx, cancel := context.WithCancel(t.Context())
	var exchanges sync.WaitGroup
	for range 12 { // two of them wait for a connection
		exchanges.Go(func() {
			_, _, err := ask(ctx, c, post(t, u, ""), time.Hour)
			failure(t, err, Cancelled)
		})
	}
	for range 10 {
		<-arrived
	}
	cancel()
	exchanges.Wait()
	_, _, err := ask(ctx, c, post(t, u, ""), time.Hour)
	failure(t, err, Cancelled)
	if s := c.Stats(); s.Open != 0 || len(c.watches) != 0 || c.slots != 0 {
		t.Errorf("got %+v, %d watches, %d slots", s, len(c.watches), c.slots)
	}
	// Many contexts, one after another, leave no trace.
	fast := post(t, u.JoinPath("../fast"), "")
	for range 20 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, _, err := ask(ctx, c, fast, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.watches) > maxWatches {
		t.Errorf("%d watches", len(c.watches))
	}
}

func TestLimit(t *testing.T) {
	var now, most atomic.Int64
	u, _ := serve(t, func(c *net.TCPConn, r *http.Request, n int) bool {
		most.Store(max(most.Load(), now.Add(1)))
		defer now.Add(-1)
		if n%50 == 0 {
			return false // some fail
		}
		return answering(small)(c, r, n)
	})
	c := client(t, Config{URL: u, MaxConns: 3})
	var exchanges sync.WaitGroup
	for range 20 {
		exchanges.Go(func() {
			for range 50 {
				if _, _, err := ask(t.Context(), c, post(t, u, ""), time.Minute); err != nil {
					failure(t, err, Closed)
				}
			}
		})
	}
	exchanges.Wait()
	if most.Load() > 3 || len(c.open) > 3 || c.slots != len(c.open) || len(c.free) != len(c.open) {
		t.Errorf("%d at once; %d open, %d idle, %d slots", most.Load(), len(c.open), len(c.free), c.slots)
	}
	if s := c.Stats(); s.Opened-s.Closed != s.Open || s.Opened > 24 {
		t.Errorf("got %+v", s)
	}
}

func TestFailures(t *testing.T) {
	linger := func(c *net.TCPConn, r *http.Request, n int) bool { c.SetLinger(0); return false }
	for _, c := range []struct {
		name   string
		answer func(c *net.TCPConn, r *http.Request, n int) bool
		want   Failure
	}{
		{"reset", linger, Reset},
		{"closed", func(*net.TCPConn, *http.Request, int) bool { return false }, Closed},
		{"cut", func(c *net.TCPConn, r *http.Request, n int) bool {
			io.WriteString(c, small[:len(small)-1])
			return false
		}, Cut},
		{"malformed", answering("SSH-2.0\r\n"), Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			u, _ := serve(t, c.answer)
			cl := client(t, Config{URL: u})
			_, _, err := ask(t.Context(), cl, post(t, u, "x"), time.Minute)
			failure(t, err, c.want)
			if s := cl.Stats(); s.Open != 0 || (s.Resets == 1) != (c.want == Reset) {
				t.Errorf("got %+v", s)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		server := httptest.NewServer(nil)
		server.Close()
		c := client(t, Config{URL: mustURL(t, server.URL)})
		a, _, err := ask(t.Context(), c, post(t, mustURL(t, server.URL), "x"), time.Minute)
		failure(t, err, Refused)
		if a.BytesOut != 0 || c.slots != 0 {
			t.Errorf("%d bytes out, %d slots", a.BytesOut, c.slots)
		}
	})
	for want, err := range map[Failure]error{NoPort: syscall.EADDRNOTAVAIL, NoFile: syscall.EMFILE, NoBuffer: syscall.ENOBUFS, Unreachable: syscall.EHOSTUNREACH, Broken: errors.New("new")} {
		c := client(t, Config{URL: mustURL(t, "http://192.0.2.1/")})
		c.dial.connect = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: err}
		}
		_, _, err := ask(t.Context(), c, post(t, mustURL(t, "http://192.0.2.1/"), "x"), time.Minute)
		failure(t, err, want)
	}
}

func TestAddresses(t *testing.T) {
	var lookups int
	var answer []string
	var fails error
	u := mustURL(t, "http://api.example:81/")
	synctest.Test(t, func(t *testing.T) {
		c := client(t, Config{URL: u})
		d := &c.dial
		d.lookup = func(_ context.Context, network, host string) ([]netip.Addr, error) {
			if lookups++; network != "ip" || host != "api.example" {
				t.Errorf("looked up %s %s", network, host)
			}
			var ips []netip.Addr
			for _, text := range answer {
				ips = append(ips, netip.MustParseAddr(text))
			}
			return ips, fails
		}
		var tried []string
		d.connect = func(_ context.Context, _, address string) (net.Conn, error) {
			if tried = append(tried, address); strings.HasPrefix(address, "192.0.2.2") {
				return nil, syscall.ECONNREFUSED
			}
			here, _ := net.Pipe()
			return here, nil
		}
		open := func(want string) {
			t.Helper()
			tried = nil
			if _, _, err := d.open(t.Context(), time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(tried, " "); got != want {
				t.Errorf("tried %s, want %s", got, want)
			}
		}
		fails = &net.DNSError{Err: "no such host", IsNotFound: true}
		_, _, err := ask(t.Context(), c, post(t, u, ""), time.Minute)
		failure(t, err, DNSLookup)

		answer, fails = []string{"2001:db8::4", "192.0.2.1", "192.0.2.2", "192.0.2.3"}, nil
		open("192.0.2.1:81")
		open("192.0.2.2:81 192.0.2.3:81")
		for range 2 { // the bad one is not tried from now on
			open("192.0.2.1:81")
			open("192.0.2.3:81")
		}
		if lookups != 2 {
			t.Errorf("%d lookups, want 2", lookups)
		}
		time.Sleep(lookupEvery)
		answer, fails = nil, errors.New("dead")
		open("192.0.2.1:81")
		time.Sleep(lookupEvery)
		answer, fails = []string{"2001:db8::4", "192.0.2.2"}, nil
		open("192.0.2.2:81 [2001:db8::4]:81")
		open("[2001:db8::4]:81")
		time.Sleep(lookupEvery)
		answer, fails = []string{"192.0.2.9"}, nil
		open("192.0.2.9:81")
		if lookups != 5 {
			t.Errorf("%d lookups, want 5", lookups)
		}
		answer = []string{"192.0.2.2"}
		time.Sleep(lookupEvery)
		if _, _, err := d.open(t.Context(), time.Now().Add(time.Minute)); FailureOf(err) != Refused {
			t.Errorf("got %v", err)
		}
	})
}

// TestConnectTimeout: addresses share the time, and a server that can't be
// reached at all is told apart from one that doesn't answer.
func TestConnectTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := mustURL(t, "http://api.example/")
		c := client(t, Config{URL: u})
		c.dial.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}, nil
		}
		var tried int
		c.dial.connect = func(ctx context.Context, _, _ string) (net.Conn, error) {
			tried++
			<-ctx.Done()
			return nil, ctx.Err()
		}
		for timeout, want := range map[time.Duration]Failure{time.Minute: ConnectTimeout, time.Second: TimedOut} {
			tried = 0
			began := time.Now()
			_, _, err := ask(t.Context(), c, post(t, u, ""), timeout)
			failure(t, err, want)
			if took := time.Since(began); took != min(timeout, dialTimeout) || tried != 2 {
				t.Errorf("%d addresses in %v", tried, took)
			}
		}
	})
}

// TestWarm opens connections over an imitated network in virtual time.
func TestWarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := mustURL(t, "http://192.0.2.1/")
		c := client(t, Config{URL: u, MaxConns: 100})
		var dials atomic.Int64
		began := time.Now()
		c.dial.connect = func(ctx context.Context, _, _ string) (net.Conn, error) {
			n := dials.Add(1)
			if want := time.Duration(n-1) * 10 * time.Millisecond; time.Since(began) != want {
				t.Errorf("connection %d opened after %v, want %v", n, time.Since(began), want)
			}
			time.Sleep(300 * time.Millisecond)
			here, there := net.Pipe()
			go func() {
				for in := bufio.NewReader(there); ; {
					if _, err := http.ReadRequest(in); err != nil {
						there.Close()
						return
					}
					io.WriteString(there, small)
				}
			}()
			return here, nil
		}
		if err := c.Warm(t.Context(), 50, 100); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 49*10*time.Millisecond+300*time.Millisecond {
			t.Errorf("took %v", took)
		}
		if err := c.Warm(t.Context(), 50, 100); err != nil {
			t.Errorf("again: %v", err)
		}
		if s := c.Stats(); s.Opened != 50 || s.Open != 50 {
			t.Errorf("got %+v", s)
		}
		for range 60 {
			if _, body, err := ask(t.Context(), c, post(t, u, ""), time.Minute); err != nil || body != "{}" {
				t.Fatal(body, err)
			}
		}
		if s := c.Stats(); s.Opened != 0 || s.Open != 50 || s.Reused != 59 {
			t.Errorf("got %+v", s)
		}

		began = time.Now().Add(-time.Duration(dials.Load()) * 10 * time.Millisecond)
		ctx, cancel := context.WithTimeout(t.Context(), 105*time.Millisecond)
		defer cancel()
		err := c.Warm(ctx, 1000, 100)
		if !errors.Is(err, context.DeadlineExceeded) || c.slots != len(c.open) || c.slots > 100 {
			t.Errorf("got %v, %d slots, %d open", err, c.slots, len(c.open))
		}
		c.dial.connect = func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
		failure(t, c.Warm(t.Context(), 1000, 100), Refused)
		if c.slots != len(c.open) {
			t.Errorf("%d slots, %d open", c.slots, len(c.open))
		}
		c.Close()
	})
	if err := client(t, Config{URL: mustURL(t, "http://a/")}).Warm(t.Context(), 1, 0); err == nil {
		t.Error("warms at no rate")
	}
}

func trusting(server *httptest.Server) *tls.Config {
	return &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.NegotiatedProtocol != "http/1.1" {
			t.Errorf("speaks %q", r.TLS.NegotiatedProtocol)
		}
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("Connection") == "close" {
			w.Header().Set("Connection", "close")
		}
		w.Write(body)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	u := mustURL(t, server.URL)

	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cfg := trusting(server)
		cfg.MinVersion, cfg.MaxVersion = version, version
		c := client(t, Config{URL: u, TLS: cfg})
		h, _ := NewHead("POST", u, http.Header{"Connection": {"close"}})
		big := strings.Repeat("x", 300<<10)
		for _, r := range []Request{h.Request([]byte("1")), h.Request([]byte("2")), *post(t, u, big), *post(t, u, "4")} {
			want := string(r.text[len(r.text)-r.body:])
			a, body, err := ask(t.Context(), c, &r, time.Minute)
			if err != nil || body != want || a.BytesOut != int64(len(want)) {
				t.Fatalf("%d bytes, %v", len(body), err)
			}
		}
		if s := c.Stats(); s.Opened != 3 || s.Handshakes != 3 || s.Resumed != 2 || s.HandshakeTime.N != 3 || s.Closed != 2 {
			t.Errorf("got %+v", s)
		}
	}
	_, _, err := ask(t.Context(), client(t, Config{URL: u, TLS: &tls.Config{RootCAs: x509.NewCertPool()}}), post(t, u, ""), time.Minute)
	failure(t, err, BadCertificate)

	plain, _ := serve(t, answering(small))
	plain.Scheme = "https"
	_, _, err = ask(t.Context(), client(t, Config{URL: plain}), post(t, plain, ""), time.Minute)
	failure(t, err, Handshake)
}

func TestProxy(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "behind") }))
	defer server.Close()
	u := mustURL(t, server.URL)
	status := make(chan int, 1)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "CONNECT" || r.RequestURI != u.Host || r.Header.Get("Proxy-Authorization") != "Basic dTpw" {
			t.Errorf("asked %s %s by %s", r.Method, r.RequestURI, r.Header.Get("Proxy-Authorization"))
		}
		code := <-status
		w.WriteHeader(code)
		if code != 200 {
			return
		}
		there, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Error(err)
			return
		}
		here, read, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() { io.Copy(there, read); there.Close() }()
		io.Copy(here, there)
		here.Close()
	}))
	defer proxy.Close()
	through := mustURL(t, proxy.URL)
	through.User = url.UserPassword("u", "p")
	c := client(t, Config{URL: u, TLS: trusting(server), Proxy: through})
	status <- 407
	_, _, err := ask(t.Context(), c, post(t, u, ""), time.Minute)
	failure(t, err, ProxyRefused)
	status <- 200
	for range 2 {
		if _, body, err := ask(t.Context(), c, post(t, u, ""), time.Minute); err != nil || body != "behind" {
			t.Fatalf("%q, %v", body, err)
		}
	}
	if s := c.Stats(); s.Opened != 1 || s.Reused != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestNewRefuses(t *testing.T) {
	for want, cfg := range map[string]Config{
		"a client needs a connection at least":                   {URL: mustURL(t, "http://a/")},
		`scheme "ftp" is neither http nor https`:                 {URL: mustURL(t, "ftp://a/"), MaxConns: 1},
		`a proxy by "socks5" is not supported: give an http one`: {URL: mustURL(t, "http://a/"), MaxConns: 1, Proxy: mustURL(t, "socks5://b")},
	} {
		if _, err := New(cfg); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Token: 3\r\nContent-Length: 1024\r\n\r\n%s", strings.Repeat("x", 1024))
	request := post(t, mustURL(t, "http://127.0.0.1/"), strings.Repeat("x", 200))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // its goroutine counts too
		c, err := l.Accept()
		if err != nil {
			return
		}
		for in := make([]byte, len(request.text)); ; {
			if _, err := io.ReadFull(c, in); err != nil {
				return
			}
			c.Write(answer)
		}
	}()
	c := client(t, Config{URL: mustURL(t, "http://"+l.Addr().String()), Headers: []string{"X-Token"}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var a Answer
	n := 0
	sink := func(p []byte) { n += len(p) }
	if got := testing.AllocsPerRun(1000, func() {
		n = 0
		if err := c.Do(ctx, request, time.Minute, &a, sink); err != nil || n != 1024 || string(a.Header("X-Token")) != "3" {
			t.Error(err, n)
		}
	}); got != 0 {
		t.Errorf("%v allocations for an exchange, want 0", got)
	}
}

func TestLargeAnswerIsNotKept(t *testing.T) {
	const size = 10 << 20
	piece := fmt.Appendf(nil, "%x\r\n%s\r\n", 64<<10, strings.Repeat("x", 64<<10))
	u, _ := serve(t, func(c *net.TCPConn, r *http.Request, n int) bool {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		for range size / (64 << 10) {
			c.Write(piece)
		}
		io.WriteString(c, "0\r\n\r\n")
		return true
	})
	c := client(t, Config{URL: u})
	r := post(t, u, "")
	var a Answer
	n := 0
	sink := func(p []byte) { n += len(p) }
	var before, after runtime.MemStats
	for range 2 { // the first one opens the connection
		n = 0
		runtime.ReadMemStats(&before)
		if err := c.Do(t.Context(), r, time.Minute, &a, sink); err != nil || n != size || a.BytesIn != size {
			t.Fatal(n, a.BytesIn, err)
		}
		runtime.ReadMemStats(&after)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for an answer of %d, client and server together", n, size)
	}
}
