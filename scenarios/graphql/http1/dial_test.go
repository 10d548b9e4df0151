package http1

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

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

	// With TLS 1.3 a server says that it wants a certificate when the client has shaken
	// hands already.
	strict := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request came") }))
	strict.Config.ErrorLog = log.New(io.Discard, "", 0)
	strict.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	strict.StartTLS()
	defer strict.Close()
	_, _, err = ask(t.Context(), client(t, Config{URL: mustURL(t, strict.URL), TLS: trusting(strict)}), post(t, mustURL(t, strict.URL), ""), time.Minute)
	failure(t, err, Handshake)

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
