package graphql

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/load"
	"github.com/headroom-load/headroom/scenarios/measure"
)

const clean200 = `{"data":{"listPrograms":null}}`

// config is a load of one operation without variables.
func config(endpoint string) Config {
	return Config{
		Target:    scenarios.GraphQL{Endpoint: endpoint},
		UserAgent: "headroom/test",
		InFlight:  64,
		Load: scenarios.Load{
			Name:    "viewers",
			Timeout: time.Minute,
			Operations: []scenarios.Operation{{
				Name:    "listPrograms",
				GraphQL: &scenarios.GraphQLOperation{Document: "query listPrograms { listPrograms }"},
			}},
		},
	}
}

func driver(t *testing.T, cfg Config) *Driver {
	t.Helper()
	d, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func send(t *testing.T, ctx context.Context, d *Driver, a load.Arrival) measure.Sample {
	t.Helper()
	r, err := d.Prepare(a)
	if err != nil {
		t.Fatal(err)
	}
	var s measure.Sample
	r.Send(ctx, &s)
	return s
}

// serve starts a server and returns a driver for it.
func serve(t *testing.T, h http.HandlerFunc) *Driver {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return driver(t, config(server.URL))
}

func respond(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header()[header[i]] = []string{header[i+1]}
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func TestOutcomes(t *testing.T) {
	typed := func(types ...string) string {
		var list []string
		for _, name := range types {
			list = append(list, `{"message":"m","errorType":"`+name+`"}`)
		}
		return `{"data":{"a":null},"errors":[` + strings.Join(list, ",") + `]}`
	}
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		outcome measure.Outcome
		reason  string
	}{
		{"ok", respond(200, clean200), measure.OK, ""},
		{"201", respond(201, clean200), measure.OK, ""},
		{"errors null", respond(200, `{"errors":null,"data":{}}`), measure.OK, ""},
		{"errors empty", respond(200, `{"data":{},"errors":[]}`), measure.OK, ""},
		{"errors inside data", respond(200, `{"data":{"errors":[{"errorType":"ThrottlingException"}]}}`), measure.OK, ""},

		{"429", respond(429, `{"errors":[{"errorType":"ThrottlingException","message":"Rate exceeded"}]}`), measure.Throttled, "HTTP 429 ThrottlingException"},
		{"429 without a body", respond(429, ""), measure.Throttled, "HTTP 429"},
		{"429 HTML", respond(429, "<html>"), measure.Throttled, "HTTP 429"},
		{"429 by header", respond(429, "{}", "x-amzn-ErrorType", "TooManyRequestsException:http://x"), measure.Throttled, "HTTP 429 TooManyRequestsException"},
		{"400 that throttles", respond(400, "{}", "x-amzn-ErrorType", "ThrottlingException"), measure.Throttled, "HTTP 400 ThrottlingException"},
		{"Lambda", respond(200, typed("Lambda:TooManyRequestsException")), measure.Throttled, "Lambda:TooManyRequestsException"},
		{"DynamoDB", respond(200, typed("DynamoDB:ProvisionedThroughputExceededException")), measure.Throttled, "DynamoDB:ProvisionedThroughputExceededException"},
		{"DynamoDB by message", respond(200, `{"errors":[{"errorType":"DynamoDB:DynamoDbException","message":"Throughput exceeds the current capacity of your table or index. DynamoDB is automatically scaling"}]}`), measure.Throttled, "DynamoDB:DynamoDbException"},
		{"cache", respond(200, typed("LimitExceededError")), measure.Throttled, "LimitExceededError"},
		{"code", respond(200, `{"errors":[{"message":"m","extensions":{"code":"THROTTLED"}}]}`), measure.Throttled, "THROTTLED"},
		{"throttled among failed", respond(200, typed("Lambda:Unhandled", "Unauthorized", "RequestLimitExceeded")), measure.Throttled, "RequestLimitExceeded"},

		{"401", respond(401, `{"errors":[{"errorType":"UnauthorizedException","message":"m"}]}`), measure.Rejected, "HTTP 401 UnauthorizedException"},
		{"403", respond(403, ""), measure.Rejected, "HTTP 403"},
		{"400", respond(400, `{"errors":[{"message":"Syntax","extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}`), measure.Rejected, "HTTP 400 GRAPHQL_PARSE_FAILED"},
		{"404 HTML", respond(404, "<html>"), measure.Rejected, "HTTP 404"},
		{"unauthorized field", respond(200, typed("Lambda:Unhandled", "Unauthorized")), measure.Rejected, "Unauthorized"},
		{"refusal in a 500", respond(500, typed("UnauthorizedException")), measure.Rejected, "HTTP 500 UnauthorizedException"},

		{"failed", respond(200, typed("Lambda:Unhandled")), measure.Failed, "Lambda:Unhandled"},
		{"resolver without access", respond(200, typed("DynamoDB:AccessDeniedException")), measure.Failed, "DynamoDB:AccessDeniedException"},
		{"untyped", respond(200, `{"errors":[{"message":"m"}],"data":{"a":1}}`), measure.Failed, "error without a type"},
		{"bare strings", respond(200, `{"errors":["m",5,null]}`), measure.Failed, "error without a type"},
		{"types that are no strings", respond(200, `{"errors":[{"errorType":5,"extensions":[]},{"errorType":"E"}]}`), measure.Failed, "error without a type"},
		{"errors as object", respond(200, `{"errors":{"message":"m"}}`), measure.Failed, "error without a type"},
		{"odd type", respond(200, typed("Ünhandled <b>\\u0000 "+strings.Repeat("x", 100))), measure.Failed, "_nhandled__b___" + strings.Repeat("x", 48)},
		{"502 HTML", respond(502, "<html>"), measure.Failed, "HTTP 502"},
		{"500 clean", respond(500, clean200), measure.Failed, "HTTP 500"},
		{"294", respond(294, `{"data":{"a":null},"errors":[{"message":"m"}]}`), measure.Failed, "HTTP 294"},

		{"HTML", respond(200, "<!doctype html><title>Sign in</title>"), measure.Unclassified, "not JSON"},
		{"empty", respond(200, ""), measure.Unclassified, "empty body"},
		{"204", respond(204, ""), measure.Unclassified, "empty body"},
		{"JSON", respond(200, `{"status":"ok"}`), measure.Unclassified, "no data and no errors"},
		{"list", respond(200, `[{"data":{}}]`), measure.Unclassified, "no data and no errors"},
		{"no data", respond(200, `{"data":null}`), measure.Unclassified, "data is no object"},
		{"broken JSON", respond(200, `{"data":{"a":1}`), measure.Unclassified, "not JSON"},
		{"broken JSON with errors", respond(200, `{"errors":[{"errorType":"ThrottlingException"}],`), measure.Unclassified, "not JSON"},
		{"redirect", respond(302, "", "Location", "/elsewhere"), measure.Unclassified, "HTTP 302"},
		{"brotli", respond(200, "\x0b\x02\x80", "Content-Encoding", "br"), measure.Unclassified, "not JSON"},
		{"no gzip", respond(200, clean200, "Content-Encoding", "gzip"), measure.Unclassified, "not JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := serve(t, c.handler)
			for range 2 { // the connection must be fit for a second one
				s := send(t, t.Context(), d, load.Arrival{})
				if s.Outcome != c.outcome || s.Reason != c.reason {
					t.Errorf("got %v %q, want %v %q", s.Outcome, s.Reason, c.outcome, c.reason)
				}
				if s.Tokens != measure.NoTokens {
					t.Errorf("%d tokens without a header", s.Tokens)
				}
			}
			if n := d.client.Stats().Opened; n != 1 {
				t.Errorf("opened %d connections for two requests in turn, want 1", n)
			}
		})
	}
}

// TestCounts is the promise of exact counts: errors in a 200 and throttles of
// 10,000 requests, sent by many at once, come out as exactly what was injected.
func TestCounts(t *testing.T) {
	var n, tokens atomic.Int64
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		i := n.Add(1) - 1
		switch {
		case i%100 < 2:
			respond(429, `{"errors":[{"errorType":"ThrottlingException"}]}`)(w, r)
		case i%100 < 4:
			respond(200, `{"data":null,"errors":[{"errorType":"Lambda:Unhandled"}]}`, "x-amzn-appsync-TokensConsumed", "3")(w, r)
			tokens.Add(3)
		case i%100 < 5:
			respond(200, `{"errors":[{"message":"no type"}],"data":{"a":1}}`)(w, r)
		default:
			respond(200, clean200, "x-amzn-appsync-TokensConsumed", "1")(w, r)
			tokens.Add(1)
		}
	})
	var counts [len(measure.Outcomes)]atomic.Int64
	var counted atomic.Int64
	var workers sync.WaitGroup
	for w := range 20 {
		workers.Go(func() {
			for i := range 500 {
				s := send(t, t.Context(), d, load.Arrival{N: int64(w*500 + i)})
				counts[s.Outcome].Add(1)
				if s.Tokens != measure.NoTokens {
					counted.Add(s.Tokens)
				}
			}
		})
	}
	workers.Wait()
	got := map[string]int64{}
	for i := range counts {
		if v := counts[i].Load(); v > 0 {
			got[measure.Outcome(i).String()] = v
		}
	}
	if diff := cmp.Diff(map[string]int64{"ok": 9500, "failed": 300, "throttled": 200}, got); diff != "" {
		t.Error(diff)
	}
	if counted.Load() != tokens.Load() {
		t.Errorf("%d tokens counted, %d charged", counted.Load(), tokens.Load())
	}
	if s := d.client.Stats(); s.Opened > 64 {
		t.Errorf("opened %d connections, the limit is 64", s.Opened)
	}
}

// raw starts a server below HTTP: it reads one request after another and lets
// answer write to the connection; the connection is closed when that says so.
func raw(t *testing.T, answer func(c *net.TCPConn, n int) (more bool)) (url string, requests *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests = new(atomic.Int64)
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
					if !answer(c.(*net.TCPConn), int(requests.Add(1))) {
						return
					}
				}
			}()
		}
	}()
	return "http://" + l.Addr().String(), requests
}

func TestBrokenExchanges(t *testing.T) {
	write := func(c *net.TCPConn, text string) bool {
		io.WriteString(c, text)
		return false
	}
	for _, c := range []struct {
		name    string
		answer  func(c *net.TCPConn, n int) bool
		outcome measure.Outcome
		reason  string
	}{
		{"closed without an answer", func(c *net.TCPConn, n int) bool { return false }, measure.Failed, "connection closed"},
		{"cut", func(c *net.TCPConn, n int) bool {
			return write(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"+clean200)
		}, measure.Failed, "body cut"},
		{"cut between chunks", func(c *net.TCPConn, n int) bool {
			return write(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1e\r\n"+clean200+"\r\n")
		}, measure.Failed, "body cut"},
		{"cut without a length", func(c *net.TCPConn, n int) bool {
			return write(c, "HTTP/1.0 200 OK\r\n\r\n"+clean200[:10])
		}, measure.Unclassified, "not JSON"},
		{"reset", func(c *net.TCPConn, n int) bool {
			c.SetLinger(0)
			return false
		}, measure.Failed, "connection reset"},
		{"no HTTP", func(c *net.TCPConn, n int) bool { return write(c, "SSH-2.0-OpenSSH\r\n\r\n") }, measure.Failed, "malformed HTTP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, requests := raw(t, c.answer)
			s := send(t, t.Context(), driver(t, config(url)), load.Arrival{})
			if s.Outcome != c.outcome || s.Reason != c.reason {
				t.Errorf("got %v %q, want %v %q", s.Outcome, s.Reason, c.outcome, c.reason)
			}
			if requests.Load() != 1 {
				t.Errorf("the server saw %d requests, want 1", requests.Load())
			}
		})
	}
	t.Run("reset in the body", func(t *testing.T) {
		url, _ := raw(t, func(c *net.TCPConn, n int) bool {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\nx-amzn-appsync-TokensConsumed: 7\r\n\r\n"+clean200)
			c.SetLinger(0)
			return false
		})
		s := send(t, t.Context(), driver(t, config(url)), load.Arrival{})
		// A reset may overtake the headers.
		if s.Outcome != measure.Failed || s.Reason != "connection reset" {
			t.Errorf("got %v %q", s.Outcome, s.Reason)
		}
	})
	t.Run("refused", func(t *testing.T) {
		server := httptest.NewServer(nil)
		server.Close()
		s := send(t, t.Context(), driver(t, config(server.URL)), load.Arrival{})
		if s.Outcome != measure.Failed || s.Reason != "connection refused" || s.BytesOut != 0 {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("http on an https port", func(t *testing.T) {
		server := httptest.NewServer(respond(200, clean200))
		defer server.Close()
		s := send(t, t.Context(), driver(t, config("https"+strings.TrimPrefix(server.URL, "http"))), load.Arrival{})
		if s.Outcome != measure.Failed || s.Reason != "TLS handshake" {
			t.Errorf("got %v %q", s.Outcome, s.Reason)
		}
	})
}

func TestExchangeErrors(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Err: err}
	}
	for _, c := range []struct {
		err     error
		outcome measure.Outcome
		reason  string
	}{
		{dial(syscall.EADDRNOTAVAIL), measure.GeneratorError, "no free port"},
		{dial(syscall.EMFILE), measure.GeneratorError, "too many open files"},
		{dial(syscall.ENFILE), measure.GeneratorError, "too many open files"},
		{dial(&net.DNSError{Err: "no such host", IsNotFound: true}), measure.GeneratorError, "DNS lookup"},
		{dial(syscall.ECONNREFUSED), measure.Failed, "connection refused"},
		{dial(syscall.EHOSTUNREACH), measure.Failed, "host unreachable"},
		{dial(syscall.ETIMEDOUT), measure.Failed, "connection timed out"},
		{errors.New("something new"), measure.Failed, "connection broken"},
	} {
		if outcome, reason := exchangeError(c.err); outcome != c.outcome || reason != c.reason {
			t.Errorf("%v: got %v %q, want %v %q", c.err, outcome, reason, c.outcome, c.reason)
		}
	}
}

func TestTimeout(t *testing.T) {
	hold := func(r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then does the server notice that the client has gone
		<-r.Context().Done()
	}
	for _, c := range []struct {
		name, reason string
		tokens       int64
		handler      http.HandlerFunc
	}{
		{"never answers", "no answer", measure.NoTokens, func(w http.ResponseWriter, r *http.Request) { hold(r) }},
		{"never ends", "answer incomplete", 7, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("x-amzn-appsync-TokensConsumed", "7")
			io.WriteString(w, `{"data":`)
			w.(http.Flusher).Flush()
			hold(r)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(c.handler)
			t.Cleanup(server.Close)
			cfg := config(server.URL)
			var d *Driver
			var began time.Time
			var s measure.Sample
			for cfg.Load.Timeout = 100 * time.Millisecond; s.Reason != c.reason && cfg.Load.Timeout < time.Minute; cfg.Load.Timeout *= 10 { // a machine that is busy hasn't the beginning of an answer yet
				d, began = driver(t, cfg), time.Now()
				s = send(t, t.Context(), d, load.Arrival{})
			}
			cfg.Load.Timeout /= 10 // of the last try
			if s.Outcome != measure.TimedOut || s.Reason != c.reason || s.Tokens != c.tokens {
				t.Errorf("got %v %q, %d tokens", s.Outcome, s.Reason, s.Tokens)
			}
			if took := time.Since(began); took < cfg.Load.Timeout {
				t.Errorf("timed out after %v", took)
			}

			cfg.Load.Timeout = time.Hour
			d = driver(t, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(50*time.Millisecond, cancel)
			if s := send(t, ctx, d, load.Arrival{}); s.Outcome != measure.Unfinished {
				t.Errorf("after it was given up: %v %q", s.Outcome, s.Reason)
			}
		})
	}
}

// TestNothingIsSentTwice: net/http would send a request again on a new
// connection when a kept one ends before the answer, if a header says it may.
func TestNothingIsSentTwice(t *testing.T) {
	for _, header := range []string{"X-Nothing", "Idempotency-Key", "x-idempotency-key"} {
		t.Run(header, func(t *testing.T) {
			url, requests := raw(t, func(c *net.TCPConn, n int) bool {
				if n == 1 {
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(clean200), clean200)
				}
				return n == 1
			})
			cfg := config(url)
			cfg.Target.Headers = []scenarios.Header{{Name: header, Value: "1"}}
			d := driver(t, cfg)
			if s := send(t, t.Context(), d, load.Arrival{}); s.Outcome != measure.OK {
				t.Fatalf("first: %v %q", s.Outcome, s.Reason)
			}
			if s := send(t, t.Context(), d, load.Arrival{}); s.Outcome != measure.Failed || s.Reason != "connection closed" {
				t.Errorf("second: %v %q", s.Outcome, s.Reason)
			}
			if requests.Load() != 2 {
				t.Errorf("the server saw %d requests, want 2", requests.Load())
			}
		})
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 {
			t.Errorf("got %s", r.Proto)
		}
		if r.Header.Get("End") != "" {
			w.Header().Set("Connection", "close")
		}
		io.WriteString(w, clean200)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it notes the handshake that fails
	server.StartTLS()
	defer server.Close()
	cfg := config(server.URL)

	s := send(t, t.Context(), driver(t, cfg), load.Arrival{})
	if s.Outcome != measure.Failed || s.Reason != "TLS certificate" {
		t.Errorf("with an unknown authority: %v %q", s.Outcome, s.Reason)
	}

	cfg.Target.Headers = []scenarios.Header{{Name: "End", Value: "1"}}
	cfg.TLS = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	d := driver(t, cfg)
	for range 3 {
		if s := send(t, t.Context(), d, load.Arrival{}); s.Outcome != measure.OK {
			t.Fatalf("%v %q", s.Outcome, s.Reason)
		}
	}
	got := watched(d)
	for key, want := range map[string]float64{
		"open-connections Last": 0, "opened-connections Sum": 3, "closed-connections Sum": 3, "dead-connections Sum": 0,
		"reused-connections Sum": 0, "connection-resets Sum": 0, "resumed-tls Sum": 2, "tls-handshake-time SampleCount": 3, "connect-time SampleCount": 3,
		"unreadable-tokens Sum": 0, "time-to-first-byte SampleCount": 0,
	} {
		if v, ok := got[key]; !ok || v != want {
			t.Errorf("%s: got %v (%v), want %v", key, v, ok, want)
		}
	}
	if sum, most := got["tls-handshake-time Sum"], got["tls-handshake-time Maximum"]; most <= 0 || sum < most || sum > 3*most {
		t.Errorf("three handshakes took %v s, at most %v s", sum, most)
	}
	if v, ok := got["time-to-first-byte Maximum"]; ok {
		t.Errorf("no first byte was timed, but one took %v s", v)
	}
	if again := watched(d); again["opened-connections Sum"] != 0 || again["tls-handshake-time SampleCount"] != 0 {
		t.Errorf("what was seen is seen again: %v", again)
	}
}

// watched returns what Watch tells, by metric and statistic.
func watched(d *Driver) map[string]float64 {
	seen := map[string]float64{}
	series, _ := d.Watch(time.Unix(1, 0), time.Second)
	for _, s := range series {
		seen[s.Metric+" "+s.Statistic] = s.Points.Slice()[0].Value
	}
	return seen
}

// Addresses of a target that has a name are told apart.
func TestWatchAddresses(t *testing.T) {
	for _, two := range []bool{false, true} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, clean200) }))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP1(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		defer server.Close()
		cfg := config(strings.Replace(server.URL, "127.0.0.1", "localhost", 1))
		cfg.Target.HTTP2 = two
		d := driver(t, cfg)
		if s := send(t, t.Context(), d, load.Arrival{}); s.Outcome != measure.OK {
			t.Fatalf("%v %q", s.Outcome, s.Reason)
		}
		series, _ := d.Watch(time.Unix(1, 0), time.Second)
		opened := 0.
		for _, s := range series {
			if s.Metric == measure.HTTPAddressOpened && s.Labels["address"] == strings.TrimPrefix(server.URL, "http://") {
				opened += s.Points.Slice()[0].Value
			}
		}
		if opened != 1 {
			t.Errorf("HTTP/2 %v: %v connections to the address, want 1", two, opened)
		}
		if again, _ := d.Watch(time.Unix(2, 0), time.Second); slices.ContainsFunc(again, func(s measure.Series) bool { return s.Labels["address"] != "" }) {
			t.Error("what was seen is seen again")
		}
	}
}

// Connections that the server resets, and tokens that can't be read, are counted.
func TestWatch(t *testing.T) {
	url, _ := raw(t, func(c *net.TCPConn, n int) bool {
		if n == 2 {
			c.SetLinger(0)
			return false
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Amzn-Appsync-Tokensconsumed: many\r\nContent-Length: %d\r\n\r\n%s", len(clean200), clean200)
		return true
	})
	d := driver(t, config(url))
	for n := range 4 {
		want := measure.OK
		if n == 1 {
			want = measure.Failed
		}
		if s := send(t, t.Context(), d, load.Arrival{}); s.Outcome != want {
			t.Fatalf("%d: %v %q", n, s.Outcome, s.Reason)
		}
	}
	got := watched(d)
	for key, want := range map[string]float64{
		"open-connections Last": 1, "opened-connections Sum": 2, "closed-connections Sum": 1,
		"reused-connections Sum": 2, "connection-resets Sum": 1, "unreadable-tokens Sum": 3,
	} {
		if got[key] != want {
			t.Errorf("%s: got %v, want %v", key, got[key], want)
		}
	}
	if _, secure := got["resumed-tls Sum"]; secure {
		t.Error("a plain connection tells of TLS")
	}
}

func zipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func TestGzip(t *testing.T) {
	failing := zipped(`{"data":null,"errors":[{"errorType":"Lambda:Unhandled"}]}`)
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if v := r.Header.Values("Accept-Encoding"); v != nil {
			t.Errorf("asked for %q", v)
		}
		respond(200, failing, "Content-Encoding", "gzip")(w, r)
	})
	s := send(t, t.Context(), d, load.Arrival{})
	if s.Outcome != measure.Failed || s.Reason != "Lambda:Unhandled" || s.BytesIn != int64(len(failing)) {
		t.Errorf("got %+v, want %d bytes in", s, len(failing))
	}
	// Cut on the wire, which is not the same as broken when it was made.
	url, _ := raw(t, func(c *net.TCPConn, n int) bool {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", len(failing), failing[:30])
		return false
	})
	if s := send(t, t.Context(), driver(t, config(url)), load.Arrival{}); s.Outcome != measure.Failed || s.Reason != "body cut" {
		t.Errorf("cut: %v %q", s.Outcome, s.Reason)
	}
}

// Over HTTP/2 the driver decides the same, tokens and encodings included.
func TestHTTP2(t *testing.T) {
	answers := []struct {
		handle  http.HandlerFunc
		outcome measure.Outcome
		reason  string
		tokens  int64
	}{
		{respond(200, clean200, tokenHeader, "200"), measure.OK, "", 200},
		{respond(200, zipped(`{"data":null,"errors":[{"errorType":"Lambda:Unhandled"}]}`), "Content-Encoding", "gzip"), measure.Failed, "Lambda:Unhandled", measure.NoTokens},
		{respond(429, "", tokenHeader, "many"), measure.Throttled, "HTTP 429", measure.NoTokens},
		{func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, measure.Failed, "connection reset", measure.NoTokens},
	}
	n := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.ProtoMajor != 2 || r.Header.Get("X-Api-Key") != "key" || !bytes.HasPrefix(body, []byte(`{"query":`)) {
			t.Errorf("%s %v %s", r.Proto, r.Header, body)
		}
		n++
		answers[n-1].handle(w, r)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	defer server.Close()
	cfg := config(server.URL + "/graphql")
	cfg.Target.HTTP2, cfg.Target.Auth.APIKey = true, "key"
	d := driver(t, cfg)
	if err := d.Warm(t.Context(), 10, 100); err != nil {
		t.Fatal(err)
	}
	for i, want := range answers {
		if s := send(t, t.Context(), d, load.Arrival{}); s.Outcome != want.outcome || s.Reason != want.reason || s.Tokens != want.tokens || s.BytesOut == 0 {
			t.Errorf("%d: got %+v, want %+v", i, s, want)
		}
	}
	if got := watched(d); got["opened-connections Sum"] != 1 || got["reused-connections Sum"] != 3 || got["connection-resets Sum"] != 1 || got["unreadable-tokens Sum"] != 1 {
		t.Errorf("got %v", got)
	}
}

func TestLargeAnswerIsNotKept(t *testing.T) {
	const size = 10 << 20
	piece := bytes.Repeat([]byte("x"), 64<<10)
	d := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(size+len(`{"data":{"a":""}}`)))
		io.WriteString(w, `{"data":{"a":"`)
		for range size / len(piece) {
			w.Write(piece)
		}
		io.WriteString(w, `"}}`)
	})
	send(t, t.Context(), d, load.Arrival{}) // opens the connection
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	s := send(t, t.Context(), d, load.Arrival{})
	runtime.ReadMemStats(&after)
	if s.Outcome != measure.OK || s.BytesIn != size+17 {
		t.Errorf("got %+v", s)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated for an answer of %d, client and server together", n, size)
	}
}

func TestNewRefuses(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"endpoint is no absolute http or https URL":                                     func(c *Config) { c.Target.Endpoint = "example.com/graphql" },
		`load "viewers" has no timeout`:                                                 func(c *Config) { c.Load.Timeout = 0 },
		`load "viewers" has no in-flight limit`:                                         func(c *Config) { c.InFlight = 0 },
		`operation "listPrograms": 1:9: Expected Name, found <EOF>`:                     func(c *Config) { c.Load.Operations[0].GraphQL.Document = "query { " },
		`operation "listPrograms": document has no operation "x" (it has listPrograms)`: func(c *Config) { c.Load.Operations[0].GraphQL.OperationName = "x" },
		`operation "listPrograms": variables.a: ${row.b} needs rows`:                    func(c *Config) { c.Load.Operations[0].GraphQL.Variables = []byte(`{"a":"${row.b}"}`) },
	} {
		cfg := config("http://127.0.0.1:1/graphql")
		change(&cfg)
		if _, err := New(cfg); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestReasonsAreFew(t *testing.T) {
	var r reasons
	for i := range 10 * maxReasons {
		r.bounded(strconv.Itoa(i))
	}
	if got := r.bounded("0"); got != "0" {
		t.Errorf("a known reason became %q", got)
	}
	if got := r.bounded("new"); got != "other" || len(r.seen) != maxReasons {
		t.Errorf("got %q, %d reasons", got, len(r.seen))
	}
}
