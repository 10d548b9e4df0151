package kafka

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/headroom-load/headroom/scenarios"
)

// Connections a second and broker, where nobody says how many it takes: the fewest
// that Amazon MSK lets any size of broker have with IAM (Amazon MSK, quotas), and a
// modest number elsewhere, where brokers have no such limit of their own.
const (
	newIAMConnections = 4
	newConnections    = 25
)

// connections opens the connections of all of this program's clients of a cluster,
// those to one broker apart from each other in time, and counts them.
type connections struct {
	mu     sync.Mutex
	limit  float64              // new ones a second and broker; 0: nobody said
	next   map[string]time.Time // when the next one to an address is due
	any    time.Time            // when the next one to whichever broker is due
	names  map[string]int32     // of brokers, as these give them: HOST:PORT
	leads  map[string]string    // where an address leads to, as the network gives it
	counts map[string]*count    // by where they lead to
}

// count is how many connections lead to one place.
type count struct {
	open   int         // now
	recent []time.Time // when those of the last second were opened
	most   int         // that were opened in any second
}

func newConnectionBook() connections {
	return connections{next: map[string]time.Time{}, names: map[string]int32{}, leads: map[string]string{}, counts: map[string]*count{}}
}

// gap returns how far connections to one broker are apart, so that no second has
// more than the limit, which is n of them: the one that is n after another comes n
// gaps later, and these are longer than a second. c.mu is held.
func (c *connections) gap(target scenarios.Kafka) time.Duration {
	limit := c.limit
	if limit == 0 {
		if limit = newConnections; target.SASL.Mechanism == scenarios.MSKIAM {
			limit = newIAMConnections
		}
	}
	return time.Duration(1.2 / limit * float64(time.Second))
}

// due returns when a connection to an address may be opened, and takes that turn. An
// address to find the cluster by may be any broker's, under another name than its own.
func (c *connections) due(target scenarios.Kafka, address string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := time.Now()
	after := func(t time.Time) {
		if t.After(at) {
			at = t
		}
	}
	after(c.any)
	if _, own := c.names[address]; own || !slices.Contains(target.Brokers, address) {
		after(c.next[address])
		c.next[address] = at.Add(c.gap(target))
		return at
	}
	for _, t := range c.next {
		after(t)
	}
	c.any = at.Add(c.gap(target))
	return at
}

// dial opens a connection by open when it is its turn.
func (c *connections) dial(ctx context.Context, target scenarios.Kafka, address string, open func() (net.Conn, error)) (net.Conn, error) {
	if wait := time.Until(c.due(target, address)); wait > 0 {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	conn, err := open()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	leads := conn.RemoteAddr().String()
	c.leads[address] = leads
	n := c.counts[leads]
	if n == nil {
		n = new(count)
		c.counts[leads] = n
	}
	now := time.Now()
	n.open++
	n.recent = append(n.recent, now)
	for now.Sub(n.recent[0]) >= time.Second {
		n.recent = n.recent[1:]
	}
	n.most = max(n.most, len(n.recent))
	return &counted{Conn: conn, closed: sync.OnceFunc(func() {
		c.mu.Lock()
		n.open--
		c.mu.Unlock()
	})}, nil
}

// met notes by which address of its own a broker goes.
func (c *connections) met(address string, broker int32) {
	c.mu.Lock()
	c.names[address] = broker
	c.mu.Unlock()
}

// of returns by brokers how many connections are open, and how many were opened in
// any second at most.
func (c *connections) of() (open, most map[int32]int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	open, most = map[int32]int{}, map[int32]int{}
	for name, id := range c.names {
		if n := c.counts[c.leads[name]]; n != nil {
			open[id], most[id] = n.open, n.most
		}
	}
	return open, most
}

// counted is a connection that counts until it is closed, and that knows whether it
// was ended by the broker, or by what lies between: a client closes one for reasons
// of its own, too, as when it wasn't used for long.
type counted struct {
	net.Conn
	closed func()
	ended  atomic.Bool
}

// Read implements net.Conn.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.saw(err)
	return n, err
}

// Write implements net.Conn.
func (c *counted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.saw(err)
	return n, err
}

// saw notes an error that isn't the client's own end of waiting.
func (c *counted) saw(err error) {
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.ended.Store(true)
	}
}

// Close implements net.Conn.
func (c *counted) Close() error {
	c.closed()
	return c.Conn.Close()
}
