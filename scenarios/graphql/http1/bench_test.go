package http1

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// nullServer in the environment makes the test binary the benchmarks' server.
const nullServer = "HEADROOM_NULL_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(nullServer) != "" {
		beNullServer()
		return
	}
	os.Exit(m.Run())
}

// beNullServer answers every request with 1 KB until its stdin ends.
func beNullServer() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Println(l.Addr())
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Token: 3\r\nContent-Length: 1024\r\n\r\n%s", strings.Repeat("x", 1024))
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for in := bufio.NewReader(c); ; {
					r, err := http.ReadRequest(in)
					if err != nil {
						return
					}
					io.Copy(io.Discard, r.Body)
					c.Write(answer)
				}
			}()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
}

func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkClosedLoop compares the CPU time of an exchange over 64 connections
// with that of net/http's client and of vegeta, with a server in a process of
// its own. Only ratios of one run mean anything.
func BenchmarkClosedLoop(b *testing.B) {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), nullServer+"=1")
	stdin, err := server.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { stdin.Close(); server.Wait() })
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	u := mustURL(b, "http://"+strings.TrimSpace(address)+"/graphql")
	header := http.Header{"Content-Type": {"application/json"}}
	body := strings.Repeat("x", 200)

	for _, c := range []struct {
		name string
		run  func(b *testing.B, u *url.URL, header http.Header, body string)
	}{{"http1", benchHTTP1}, {"net-http", benchNetHTTP}, {"vegeta", benchVegeta}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			before := cpuTime(b)
			c.run(b, u, header, body)
			b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N)/1e3, "cpu-us/op")
		})
	}
}

// workers runs b.N times f by 64 goroutines.
func workers(b *testing.B, worker func() (exchange func() error)) {
	var n atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			exchange := worker()
			for n.Add(1) <= int64(b.N) {
				if err := exchange(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
}

func benchHTTP1(b *testing.B, u *url.URL, header http.Header, body string) {
	c := client(b, Config{URL: u, MaxConns: 64, Headers: []string{"X-Token"}})
	h, err := NewHead("POST", u, header)
	if err != nil {
		b.Fatal(err)
	}
	r := h.Request([]byte(body))
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	workers(b, func() func() error {
		a := new(Answer)
		sink := func([]byte) {}
		return func() error { return c.Do(ctx, &r, 30*time.Second, a, sink) }
	})
}

func benchNetHTTP(b *testing.B, u *url.URL, header http.Header, body string) {
	transport := &http.Transport{MaxConnsPerHost: 64, MaxIdleConnsPerHost: 64, DisableCompression: true}
	defer transport.CloseIdleConnections()
	workers(b, func() func() error {
		return func() error {
			r := &http.Request{Method: "POST", URL: u, Header: header, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body))}
			a, err := transport.RoundTrip(r)
			if err != nil {
				return err
			}
			defer a.Body.Close()
			_, err = io.Copy(io.Discard, a.Body)
			return err
		}
	})
}

func benchVegeta(b *testing.B, u *url.URL, header http.Header, body string) {
	a := vegeta.NewAttacker(vegeta.Workers(64), vegeta.MaxWorkers(64))
	target := vegeta.NewStaticTargeter(vegeta.Target{Method: "POST", URL: u.String(), Body: []byte(body), Header: header})
	var n int
	for r := range a.Attack(target, vegeta.Rate{}, time.Hour, "") {
		if n++; r.Error != "" {
			b.Fatal(r.Error)
		}
		if n == b.N {
			a.Stop()
		}
	}
}
