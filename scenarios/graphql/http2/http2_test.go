package http2

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/andybalholm/brotli"

	"github.com/headroom-load/headroom/scenarios/graphql/http1"
)

// serve starts a server of HTTP/2, with TLS or without, and returns a client of it.
func serve(t *testing.T, secure bool, change func(*http1.Config, *http.Server), h http.HandlerFunc) (*Client, *httptest.Server, *atomic.Int64) {
	t.Helper()
	var accepted atomic.Int64
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			accepted.Add(1)
		}
	}
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	cfg := http1.Config{MaxConns: 10, Headers: []string{"X-Token"}}
	s.EnableHTTP2 = true
	if change != nil {
		change(&cfg, s.Config)
	}
	if secure {
		s.Config.Protocols = nil
		s.StartTLS()
		cfg.TLS = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	var err error
	if cfg.URL, err = url.Parse(s.URL + "/graphql"); err != nil {
		t.Fatal(err)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, s, &accepted
}

func post(t *testing.T, at, body string) *Request {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRequest("POST", u, http.Header{"Content-Type": {"application/json"}, "Connection": {"close"}, "Host": {"api.example"}}, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func ask(ctx context.Context, c *Client, r *Request, timeout time.Duration) (*http1.Answer, string, error) {
	a, body := new(http1.Answer), strings.Builder{}
	err := c.Do(ctx, r, timeout, a, func(p []byte) { body.Write(p) })
	return a, body.String(), err
}

func failure(t *testing.T, err error, want http1.Failure) {
	t.Helper()
	if err == nil || http1.FailureOf(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

func TestExchange(t *testing.T) {
	for _, secure := range []bool{false, true} {
		c, s, accepted := serve(t, secure, nil, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if r.ProtoMajor != 2 || r.Host != "api.example" || r.Header.Get("Content-Type") != "application/json" || r.URL.Path != "/graphql" {
				t.Errorf("%s %s of %s, %v", r.Proto, r.URL, r.Host, r.Header)
			}
			if v := r.Header.Values("Accept-Encoding"); v != nil {
				t.Errorf("asked for %q", v)
			}
			w.Header().Set("X-Token", "3")
			w.WriteHeader(201)
			w.Write(bytes.ToUpper(body))
		})
		r := post(t, s.URL+"/graphql", "abc")
		for range 20 {
			a, body, err := ask(t.Context(), c, r, time.Minute)
			if err != nil || a.Status != 201 || body != "ABC" || string(a.Header("x-token")) != "3" || a.BytesIn != 3 || a.BytesOut != 3 || a.Undecoded {
				t.Fatalf("got %+v, %q, %v", a, body, err)
			}
		}
		got := c.Stats()
		if got.Opened != 1 || got.Open != 1 || got.Reused != 19 || got.Closed+got.Dead+got.Resets != 0 || got.ConnectTime.N != 1 || got.FirstByteTime.N != 20 || accepted.Load() != 1 {
			t.Errorf("got %+v", got)
		}
		if n := got.Handshakes; (n == 1) != secure || got.HandshakeTime.N != n {
			t.Errorf("TLS %v: got %+v", secure, got)
		}
		c.Close()
		if got := c.Stats(); got.Open != 0 || got.Closed != 1 || got.Opened != 0 {
			t.Errorf("closed: got %+v", got)
		}
		_, _, err := ask(t.Context(), c, r, time.Minute)
		failure(t, err, http1.Broken)
	}
}

// TestEncodings: an answer is decoded as over HTTP/1.1, and counted as it came.
func TestEncodings(t *testing.T) {
	const text = `{"data":{"a":1}}`
	var zipped, brotlied bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, text)
	z.Close()
	b := brotli.NewWriter(&brotlied)
	io.WriteString(b, text)
	b.Close()
	for encoding, want := range map[string]struct {
		sent, body string
		undecoded  bool
	}{"gzip": {zipped.String(), text, false}, "br": {brotlied.String(), text, false}, "zstd": {text, "", true}, "": {text, text, false}} {
		c, s, _ := serve(t, false, nil, func(w http.ResponseWriter, r *http.Request) {
			if encoding != "" {
				w.Header().Set("Content-Encoding", encoding)
			}
			io.WriteString(w, want.sent)
		})
		a, body, err := ask(t.Context(), c, post(t, s.URL, ""), time.Minute)
		if err != nil || body != want.body || a.Undecoded != want.undecoded || a.BytesIn != int64(len(want.sent)) || a.Header("X-Token") != nil {
			t.Errorf("%s: got %+v, %q, %v", encoding, a, body, err)
		}
	}
}

// TestShares: connections are opened one at a time and only where all are full,
// and beyond MaxConns exchanges wait for one another.
func TestShares(t *testing.T) {
	release := make(chan struct{})
	var inside atomic.Int64
	c, s, accepted := serve(t, false, func(c *http1.Config, s *http.Server) {
		c.MaxConns = 3
		s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 100}
	}, func(w http.ResponseWriter, r *http.Request) {
		inside.Add(1)
		<-release
	})
	var all sync.WaitGroup
	var ok atomic.Int64
	for range 400 {
		all.Go(func() {
			if _, _, err := ask(t.Context(), c, post(t, s.URL, ""), time.Minute); err == nil {
				ok.Add(1)
			}
		})
	}
	for inside.Load() < 300 {
		runtime.Gosched()
	}
	if n := accepted.Load(); n != 3 {
		t.Errorf("%d connections for 300 exchanges, of 100 each", n)
	}
	close(release)
	all.Wait()
	if ok.Load() != 400 {
		t.Errorf("%d of 400 were answered", ok.Load())
	}
}

func TestWarm(t *testing.T) {
	c, s, accepted := serve(t, true, nil, func(w http.ResponseWriter, r *http.Request) {})
	if err := c.Warm(t.Context(), 50, 1000); err != nil || accepted.Load() != 1 {
		t.Errorf("%v, %d connections", err, accepted.Load())
	}
	if _, _, err := ask(t.Context(), c, post(t, s.URL, ""), time.Minute); err != nil || accepted.Load() != 1 {
		t.Errorf("%v, %d connections", err, accepted.Load())
	}
	if err := c.Warm(t.Context(), 1, 0); err == nil {
		t.Error("warms at no rate")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Warm(ended, 10_000, 1); err == nil {
		t.Error("goes on after its end")
	}
}

func TestFailures(t *testing.T) {
	held := make(chan struct{})
	defer close(held)
	hold := func(w http.ResponseWriter, r *http.Request) { <-held }
	for name, c := range map[string]struct {
		handle http.HandlerFunc
		want   http1.Failure
	}{
		"reset": {func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }, http1.Reset},
		"reset within": {func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, http1.Reset},
		"cut": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			io.WriteString(w, "{")
		}, http1.Cut},
		"nothing answered": {hold, http1.TimedOut},
	} {
		cl, s, _ := serve(t, false, nil, c.handle)
		timeout := time.Minute
		if c.want == http1.TimedOut {
			timeout = time.Millisecond
		}
		_, _, err := ask(t.Context(), cl, post(t, s.URL, ""), timeout)
		if failure(t, err, c.want); t.Failed() {
			t.Fatal(name)
		}
		if n := cl.Stats().Resets; (n == 1) != (c.want == http1.Reset) {
			t.Errorf("%s: %d resets", name, n)
		}
	}

	c, s, _ := serve(t, false, nil, hold)
	ctx, cancel := context.WithCancel(t.Context())
	go cancel()
	_, _, err := ask(ctx, c, post(t, s.URL, ""), time.Minute)
	failure(t, err, http1.Cancelled)

	gone, s, _ := serve(t, false, nil, hold)
	s.Listener.Close() // before there is a connection, which might outlive it
	_, _, err = ask(t.Context(), gone, post(t, s.URL, ""), time.Minute)
	failure(t, err, http1.Refused)

	// A server that speaks HTTP/1.1 alone, or that isn't trusted, gets no request.
	for want, two := range map[http1.Failure]bool{http1.Handshake: false, http1.BadCertificate: true} {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came") }))
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.EnableHTTP2 = two
		s.StartTLS()
		defer s.Close()
		cfg := http1.Config{MaxConns: 1}
		if cfg.URL, _ = url.Parse(s.URL); !two {
			cfg.TLS = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
		}
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, _, err = ask(t.Context(), c, post(t, s.URL, ""), time.Minute)
			failure(t, err, want)
		}
	}
	u, _ := url.Parse("http://name.invalid/")
	none, err := New(http1.Config{URL: u, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = ask(t.Context(), none, post(t, u.String(), ""), time.Minute)
	failure(t, err, http1.DNSLookup)
}

// unwilling is a server that takes no request: of each it says, by RST_STREAM or
// by GOAWAY, that it did nothing with it and that it may be sent again.
func unwilling(t *testing.T, goAway bool) (at string, requests *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests = new(atomic.Int64)
	serve := func(conn net.Conn) {
		defer conn.Close()
		const headers, reset, settings, away, refused = 1, 3, 4, 7, 7
		frame := func(kind byte, stream, rest []byte) {
			conn.Write(slices.Concat([]byte{0, 0, byte(len(rest)), kind, 0}, stream, rest))
		}
		zero := make([]byte, 4)
		frame(settings, zero, nil)
		if _, err := io.CopyN(io.Discard, conn, int64(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))); err != nil {
			return
		}
		for head := make([]byte, 9); ; {
			if _, err := io.ReadFull(conn, head); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, conn, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
				return
			}
			if head[3] != headers {
				continue
			}
			requests.Add(1)
			if goAway {
				frame(away, zero, make([]byte, 8)) // the last stream that was looked at is 0
			} else {
				frame(reset, head[5:], []byte{0, 0, 0, refused})
			}
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	return "http://" + l.Addr().String(), requests
}

// invited sends a request as net/http does by itself, and returns once it has sent it
// again.
func invited(t *testing.T, goAway bool) {
	t.Helper()
	at, requests := unwilling(t, goAway) // its own: what it sends at last comes late
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", at, strings.NewReader("{}")) // sets GetBody
	if err != nil {
		t.Fatal(err)
	}
	go transport.RoundTrip(req)
	for requests.Load() < 2 {
		runtime.Gosched()
	}
}

// Nothing is sent twice: what was refused is counted and not hidden, even where the
// protocol would allow another try, which net/http by itself makes.
func TestNothingIsSentTwice(t *testing.T) {
	for _, goAway := range []bool{false, true} {
		invited(t, goAway)
		at, requests := unwilling(t, goAway)
		u, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		c, err := New(http1.Config{URL: u, MaxConns: 10})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		for _, body := range []string{"{}", ""} {
			requests.Store(0)
			if _, _, err := ask(t.Context(), c, post(t, at, body), 5*time.Second); err == nil || requests.Load() != 1 {
				t.Errorf("GOAWAY %v, body %q: %d requests, %v", goAway, body, requests.Load(), err)
			}
		}
	}
}

// TestSilentNameServer: that nobody says where the server is is this machine's fault,
// however little time a request has.
func TestSilentNameServer(t *testing.T) {
	was := net.DefaultResolver
	defer func() { net.DefaultResolver = was }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	u, _ := url.Parse("http://api.headroom.test/")
	c, err := New(http1.Config{URL: u, MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _, err = ask(t.Context(), c, post(t, u.String(), ""), 10*time.Millisecond)
	failure(t, err, http1.DNSLookup)
}

// TestOpeningIsShared: a connection that is being opened isn't lost for those who wait
// for it when the one who began gives up.
func TestOpeningIsShared(t *testing.T) {
	_, s, _ := serve(t, true, nil, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	begun, goOn := make(chan struct{}), make(chan struct{})
	go func() { // passes bytes on, once it may
		for first := true; ; first = false {
			here, err := l.Accept()
			if err != nil {
				return
			}
			if first {
				close(begun)
			}
			<-goOn
			there, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			go func() { io.Copy(there, here); there.Close() }()
			go func() { io.Copy(here, there); here.Close() }()
		}
	}()
	u, _ := url.Parse("https://" + l.Addr().String())
	c, err := New(http1.Config{URL: u, MaxConns: 10, TLS: &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	waits := make(chan error, 1)
	go func() {
		<-begun
		_, _, err := ask(t.Context(), c, post(t, u.String(), ""), time.Minute)
		waits <- err
	}()
	_, _, err = ask(t.Context(), c, post(t, u.String(), ""), 100*time.Millisecond)
	failure(t, err, http1.TimedOut)
	close(goOn)
	if err := <-waits; err != nil {
		t.Errorf("the other request failed: %v", err)
	}
	if n := c.Stats().Opened; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

func TestProxy(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		there, err := net.Dial("tcp", r.RequestURI)
		if r.Method != "CONNECT" || err != nil {
			t.Errorf("%s %s: %v", r.Method, r.RequestURI, err)
			return
		}
		here, read, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { io.Copy(there, read); there.Close() }()
		io.Copy(here, there)
		here.Close()
	}))
	defer proxy.Close()
	for _, secure := range []bool{false, true} {
		c, s, _ := serve(t, secure, func(c *http1.Config, _ *http.Server) {
			c.Proxy, _ = url.Parse(proxy.URL)
		}, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "behind "+r.Proto) })
		if _, body, err := ask(t.Context(), c, post(t, s.URL, ""), time.Minute); err != nil || body != "behind HTTP/2.0" {
			t.Errorf("TLS %v: %q, %v", secure, body, err)
		}
	}
}

func TestLargeAnswerIsNotKept(t *testing.T) {
	const size = 10 << 20
	piece := bytes.Repeat([]byte("x"), 64<<10)
	c, s, _ := serve(t, false, nil, func(w http.ResponseWriter, r *http.Request) {
		for range size / len(piece) {
			w.Write(piece)
		}
	})
	r := post(t, s.URL, "")
	var a http1.Answer
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
	if n := after.TotalAlloc - before.TotalAlloc; n > size/2 {
		t.Errorf("%d bytes allocated for an answer of %d, client and server together", n, size)
	}
}

func TestNewRefuses(t *testing.T) {
	for want, cfg := range map[string]http1.Config{
		"a client needs a connection at least":                   {URL: &url.URL{Scheme: "http", Host: "a"}},
		`a proxy by "socks5" is not supported: give an http one`: {URL: &url.URL{Scheme: "http", Host: "a"}, MaxConns: 1, Proxy: &url.URL{Scheme: "socks5", Host: "b"}},
	} {
		if _, err := New(cfg); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
