package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
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
			t.Parallel()
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
			if _, _, err := ask(t.Context(), c, r, time.Second); err != nil {
				t.Fatal(err)
			}
			// The connection's deadline is still that of the first exchange.
			armed := c.free[0].armed
			began := time.Now()
			const timeout = time.Second + time.Millisecond
			a, _, err := ask(t.Context(), c, r, timeout)
			failure(t, err, TimedOut)
			if took := time.Since(began); took < timeout || began.Add(timeout).Before(armed) {
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
		var out int64
		for timeout := 100 * time.Millisecond; out == 0 && timeout < time.Minute; timeout *= 10 { // a machine that is busy has sent nothing of it yet
			a, _, err := ask(t.Context(), client(t, Config{URL: u}), post(t, u, strings.Repeat("x", 32<<20)), timeout)
			failure(t, err, TimedOut)
			out = a.BytesOut
		}
		if out <= 0 || out >= 32<<20 {
			t.Errorf("%d bytes out", out)
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
