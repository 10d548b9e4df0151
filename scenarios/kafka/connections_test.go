package kafka

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/headroom-load/headroom/scenarios"
)

// mostInASecond returns how many instants lie within a second of each other.
func mostInASecond(at []time.Time) (most int) {
	slices.SortFunc(at, time.Time.Compare)
	for i := range at {
		n := 0
		for _, later := range at[i:] {
			if later.Sub(at[i]) < time.Second {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// to is a connection that leads somewhere.
type to struct {
	net.Conn
	address string
}

func (t to) RemoteAddr() net.Addr { return t }
func (t to) Network() string      { return "tcp" }
func (t to) String() string       { return t.address }

// TestConnections: however many clients want a connection at once, none of a broker's
// seconds has more than it takes, brokers don't wait for each other, and what is open
// and was opened is counted.
func TestConnections(t *testing.T) {
	iam := scenarios.Kafka{SASL: scenarios.SASL{Mechanism: scenarios.MSKIAM}}
	for _, tt := range []struct {
		allow  float64
		target scenarios.Kafka
		most   int
	}{{1, iam, 1}, {4, iam, 4}, {7, iam, 7}, {100, iam, 100}, {0, iam, 4}, {0, scenarios.Kafka{}, 25}} {
		synctest.Test(t, func(t *testing.T) {
			a := NewAccounts()
			if tt.allow > 0 {
				a.Allow(tt.allow)
			}
			c := &a.connections
			var mu sync.Mutex
			opened := map[string][]time.Time{}
			var conns []net.Conn
			var clients sync.WaitGroup
			start := time.Now()
			for i := range 60 {
				address := []string{"b-1:9098", "b-2:9098"}[i%2]
				clients.Go(func() {
					conn, err := c.dial(t.Context(), tt.target, address, func() (net.Conn, error) {
						near, far := net.Pipe()
						far.Close()
						near = to{near, address}
						mu.Lock()
						defer mu.Unlock()
						opened[address] = append(opened[address], time.Now())
						return near, nil
					})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					conns = append(conns, conn)
					mu.Unlock()
				})
			}
			clients.Wait()
			for address, at := range opened {
				if len(at) != 30 || mostInASecond(at) > tt.most || mostInASecond(at) < min(tt.most, 30)*8/10 {
					t.Errorf("%v allowed: %d of %d were opened to %s within a second", tt.allow, mostInASecond(at), len(at), address)
				}
			}
			if took, want := time.Since(start), time.Duration(29*1.2/float64(tt.most)*float64(time.Second)); (took - want).Abs() > 10*time.Millisecond {
				t.Errorf("%v allowed: 30 connections to each of two brokers took %v, want %v", tt.allow, took, want)
			}
			c.met("b-2:9098", 2)
			open, most := c.of()
			if len(open) != 1 || open[2] != 30 || most[2] != mostInASecond(opened["b-2:9098"]) {
				t.Errorf("counted %v open, %v opened in a second", open, most)
			}
			for _, conn := range conns {
				conn.Close()
				conn.Close()
			}
			if open, _ := c.of(); open[2] != 0 {
				t.Errorf("%v are open after all were closed", open)
			}
		})
	}
}

// A connection that nobody waits for any more is not opened, and one that was refused
// is not counted.
func TestConnectionsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAccounts()
		a.Allow(1)
		refused := func() (net.Conn, error) { return nil, errors.New("refused") }
		if _, err := a.connections.dial(t.Context(), scenarios.Kafka{}, "b-1:9098", refused); err == nil {
			t.Error("not refused")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := a.connections.dial(ctx, scenarios.Kafka{}, "b-1:9098", refused); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		a.connections.met("b-1:9098", 1)
		if open, most := a.connections.of(); len(open)+len(most) > 0 {
			t.Errorf("%v open, %v opened", open, most)
		}
	})
}
