package http2

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/headroom-load/headroom/scenarios/graphql/http1"
)

// take returns a connection with room for an exchange, whose place is taken.
func (c *Client) take(ctx context.Context) (*conn, error) {
	for {
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, errClosed
		}
		if cn := c.reserve(time.Now()); cn != nil {
			c.mu.Unlock()
			return cn, nil
		}
		room, o := c.room, c.opening
		mine := o == nil && len(c.conns) < c.max
		if mine {
			o = &opening{done: make(chan struct{})}
			c.opening = o
		}
		c.mu.Unlock()
		if mine {
			go c.open(o)
		}
		var opened chan struct{}
		if o != nil {
			opened = o.done
		}
		select {
		case <-room:
		case <-opened:
			if o.err != nil {
				return nil, o.err
			}
		case <-ctx.Done():
			if c.dialer.Unresolved() {
				return nil, &http1.Error{Failure: http1.DNSLookup, Err: ctx.Err()}
			}
			return nil, ctx.Err()
		}
	}
}

// reserve takes a place on a connection that has one, or returns nil. c.mu is
// held.
func (c *Client) reserve(now time.Time) *conn {
	c.prune(now)
	for _, cn := range c.conns {
		if cn.Available() > 0 && cn.Reserve() == nil {
			if cn.used {
				c.stats.Reused++
			}
			cn.used = true
			cn.busy++
			return cn
		}
	}
	return nil
}

// prune lets go of connections that the server has ended, or that were idle for
// too long. c.mu is held.
func (c *Client) prune(now time.Time) {
	c.conns = slices.DeleteFunc(c.conns, func(cn *conn) bool {
		dead := cn.Err() != nil
		stale := c.idle > 0 && cn.busy == 0 && now.Sub(cn.last) > c.idle
		if dead && cn.busy == 0 {
			c.stats.Dead++
		}
		if dead || stale {
			c.stats.Closed++
			go cn.Close() // it may wait for the network
		}
		return dead || stale
	})
}

// open opens a connection for all who wait for o, whichever of them gives up before:
// connecting and agreeing on TLS have bounds of their own.
func (c *Client) open(o *opening) {
	made, err := c.transport.NewClientConn(context.Background(), c.scheme, c.address)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.stats.Opened++
		if c.closed {
			made.Close()
			c.stats.Closed++
			err = errClosed
		} else {
			c.conns = append(c.conns, &conn{ClientConn: made, last: time.Now()})
		}
	}
	o.err = err
	c.opening = nil
	close(o.done)
}

// put ends an exchange and wakes those who wait for room.
func (c *Client) put(cn *conn, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cn.busy--; cn.busy == 0 {
		cn.last = time.Now()
	}
	var reset streamError
	if errors.As(err, &reset) || err != nil && http1.FailureOf(err) == http1.Reset {
		c.stats.Resets++
	}
	close(c.room)
	c.room = make(chan struct{})
}

// Warm opens connections until n exchanges find room at once (on MaxConns at
// most), perSecond of them a second. It returns when there is room or one has
// failed.
func (c *Client) Warm(ctx context.Context, n int, perSecond float64) error {
	if !(perSecond > 0) {
		return errors.New("connections are opened at a rate above 0")
	}
	pace := time.NewTicker(time.Duration(float64(time.Second) / perSecond))
	defer pace.Stop()
	for {
		c.mu.Lock()
		c.prune(time.Now())
		places := 0
		for _, cn := range c.conns {
			places += cn.Available()
		}
		o := c.opening
		mine := o == nil
		enough := c.closed || places >= n || len(c.conns) >= c.max
		if mine && !enough {
			o = &opening{done: make(chan struct{})}
			c.opening = o
		}
		c.mu.Unlock()
		if enough {
			return nil
		}
		if mine {
			go c.open(o)
		}
		select {
		case <-o.done:
			if o.err != nil {
				return explain(ctx, ctx, o.err)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
