package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"gonum.org/v1/gonum/stat"

	"github.com/headroom-load/headroom/capacity/record"
)

var arrivalsToo = flag.Bool("arrivals", false, "hold what arrives at a server against the plan; needs a machine that does nothing else")

// arrivals is a server that knows when each request arrived: the kernel stamps
// it, so that when this process gets to read it doesn't matter.
type arrivals struct {
	url string

	mu sync.Mutex
	at []time.Duration // of the system's clock
}

// serveArrivals answers every request, once it isn't held any more.
func serveArrivals(t *testing.T, hold func(at time.Duration)) *arrivals {
	t.Helper()
	stamp := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1) // connections inherit it
		}), err)
	}}
	l, err := stamp.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	s := &arrivals{url: "http://" + l.Addr().String() + "/graphql"}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.answer(c.(*net.TCPConn), hold)
		}
	}()
	return s
}

// answer takes all that is read at once for one request.
func (s *arrivals) answer(c *net.TCPConn, hold func(at time.Duration)) {
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	request, control := make([]byte, 4096), make([]byte, 64)
	for {
		var n, with int
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, with, _, _, failed = syscall.Recvmsg(int(fd), request, control, 0)
			return failed != syscall.EAGAIN
		})
		if err != nil || failed != nil || n == 0 {
			return
		}
		said, err := syscall.ParseSocketControlMessage(control[:with])
		if err != nil || len(said) != 1 {
			return
		}
		at := time.Duration((*syscall.Timespec)(unsafe.Pointer(&said[0].Data[0])).Nano())
		s.mu.Lock()
		s.at = append(s.at, at)
		s.mu.Unlock()
		hold(at)
		if _, err := c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 24\r\n\r\n" + `{"data":{"ping":"pong"}}`)); err != nil {
			return
		}
	}
}

// play runs a load of pings at such a server, which holds the answers of what
// arrives in a part of the time, and returns when each request arrived, counted
// from the first.
func play(t *testing.T, load string, from, until time.Duration) []time.Duration {
	t.Helper()
	var first atomic.Int64
	s := serveArrivals(t, func(at time.Duration) {
		first.CompareAndSwap(0, int64(at))
		if since := at - time.Duration(first.Load()); since >= from && since < until {
			<-time.After(until - since)
		}
	})
	file, out := filepath.Join(t.TempDir(), "pings.yaml"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(file, fmt.Appendf(nil, `version: 1
name: pings
target: {graphql: {endpoint: "%s"}}
loads: [{name: pings, operations: [{name: ping, graphql: {query: "{ ping }"}}], %s}]
`, s.url, load), 0o644); err != nil {
		t.Fatal(err)
	}
	said, err := exec.CommandContext(t.Context(), "headroom", "run", "--quiet", file, "--out", out).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() != exitInvalid && exit.ExitCode() != exitInconclusive) {
		t.Fatalf("%v\n%s", err, said)
	}
	run, err := record.Read(out)
	if err != nil {
		t.Fatal(err)
	}
	var sent int64
	for r := range run.Rows.All() {
		sent += r.Sent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if int64(len(s.at)) != sent || sent == 0 {
		t.Fatalf("%d requests arrived, the record has %d", len(s.at), sent)
	}
	slices.Sort(s.at)
	since := make([]time.Duration, len(s.at))
	for i, at := range s.at {
		since[i] = at - s.at[0]
	}
	return since
}

// counts returns how many arrived in each of so many slots.
func counts(at []time.Duration, slot time.Duration, slots int) []float64 {
	n := make([]float64, slots)
	for _, a := range at {
		if i := int(a / slot); i < slots {
			n[i]++
		}
	}
	return n
}

// What arrives at a server is the plan's: gaps of Poisson arrivals are exponential
// (Kolmogorov-Smirnov, at 1 %; 2,000 of them tell 40 us within which a wake-up sends
// what is due together), uniform ones are even (index of dispersion of 10 ms
// windows), and what a stall held back isn't made up for in a burst: no 100 ms slot
// has more than was planned for it and, by the lateness budget, for the 100 ms
// before. A machine that stalls spoils any of it, so each is tried ten times, and skipped
// where a witness saw that it stalled in most of them.
func TestArrivalsAtTheServer(t *testing.T) {
	if !*arrivalsToo {
		t.Skip("this needs a machine that does nothing else: make arrivals")
	}
	const second = time.Second
	exponential := func(rate float64) func([]time.Duration) (float64, float64) {
		return func(at []time.Duration) (got, most float64) {
			gaps := make([]float64, len(at)-1)
			for i := range gaps {
				gaps[i] = rate * (at[i+1] - at[i]).Seconds()
			}
			slices.Sort(gaps)
			n := float64(len(gaps))
			for i, g := range gaps {
				below := -math.Expm1(-g)
				got = max(got, below-float64(i)/n, float64(i+1)/n-below)
			}
			return got * math.Sqrt(n), 1.63
		}
	}
	even := func(at []time.Duration) (got, most float64) {
		mean, variance := stat.MeanVariance(counts(at, second/100, int(at[len(at)-1]/(second/100))), nil)
		return variance / mean, 0.3
	}
	bounded := func(rate float64) func([]time.Duration) (float64, float64) {
		return func(at []time.Duration) (got, most float64) {
			return slices.Max(counts(at, second/10, int(at[len(at)-1]/(second/10)))), 2*rate/10 + 1
		}
	}
	for _, c := range []struct {
		name, load  string
		from, until time.Duration
		figure      func([]time.Duration) (got, most float64)
	}{
		{"Poisson", "profile: [{stage: steady, rate: 1000/s, for: 2s}]", 0, 0, exponential(1000)},
		{"Poisson, precise", "pacing: precise, profile: [{stage: steady, rate: 1000/s, for: 2s}]", 0, 0, exponential(1000)},
		{"uniform", "arrivals: uniform, profile: [{stage: steady, rate: 1000/s, for: 2s}]", 0, 0, even},
		{"uniform, in groups", "arrivals: uniform, profile: [{stage: steady, rate: 5000/s, for: 2s}]", 0, 0, even},
		{"stall", "arrivals: uniform, profile: [{stage: steady, rate: 1000/s, for: 3s}]", second, second * 3 / 2, bounded(1000)},
		{"stall, few in flight", "arrivals: uniform, in_flight: 20, profile: [{stage: steady, rate: 1000/s, for: 3s}]", second, second * 3 / 2, bounded(1000)},
	} {
		t.Run(c.name, func(t *testing.T) {
			const tries = 10
			busy := 0
			for try := range tries {
				w := newWitness()
				at := play(t, c.load, c.from, c.until)
				if w.end() {
					busy++
				}
				got, most := c.figure(at)
				t.Logf("try %d: %.3f, at most %g; held up for %s", try+1, got, most, w)
				if got <= most {
					return
				}
			}
			if busy > tries/2 {
				t.Skipf("this machine was busy in %d of %d tries", busy, tries)
			}
			t.FailNow()
		})
	}
}
