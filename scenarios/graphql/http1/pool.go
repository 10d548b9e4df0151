package http1

import (
	"context"
	"slices"
	"time"
)

// maxWatches is how many contexts are watched although no exchange uses them.
const maxWatches = 4

// A watch closes the connections whose exchanges belong to a context when that
// is done. The exchanges of a load share one context, and so one watch.
type watch struct {
	done  <-chan struct{}
	stop  func() bool
	users int // exchanges
	fired bool
}

// waiter waits for a connection.
type waiter struct {
	given chan *conn // room for one; nil: it may open one; closed: the client is
	watch *watch
}

// take returns a connection for an exchange: the one used last, or a new one
// where none is idle or only a fresh one will do.
func (c *Client) take(ctx context.Context, now, deadline time.Time, fresh bool) (*conn, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errClosed
	}
	w, err := c.watch(ctx)
	if err != nil {
		c.mu.Unlock()
		return nil, err
	}
	for len(c.free) > 0 {
		cn := c.free[len(c.free)-1]
		c.free = c.free[:len(c.free)-1]
		cn.watch = w
		c.mu.Unlock()
		stale := c.idle > 0 && now.Sub(cn.last) > c.idle
		if !fresh && !stale && cn.alive(deadline) {
			return cn, nil
		}
		c.mu.Lock()
		if !fresh && !stale {
			c.stats.Dead++
		}
		c.forget(cn)
		c.freeSlot()
		c.mu.Unlock()
		cn.hangUp()
		c.mu.Lock()
		if fresh {
			break
		}
	}
	if c.slots < c.max {
		c.slots++
		c.mu.Unlock()
		return c.connect(ctx, deadline, w)
	}
	q := &waiter{make(chan *conn, 1), w}
	c.waiting = append(c.waiting, q)
	c.mu.Unlock()
	return c.wait(ctx, deadline, q)
}

// wait waits for a connection that another exchange leaves.
func (c *Client) wait(ctx context.Context, deadline time.Time, q *waiter) (*conn, error) {
	late := time.NewTimer(time.Until(deadline))
	defer late.Stop()
	var err error
	select {
	case cn, ok := <-q.given:
		switch {
		case !ok:
			return nil, errClosed
		case cn == nil:
			return c.connect(ctx, deadline, q.watch)
		}
		return cn, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-late.C:
		err = context.DeadlineExceeded
	}
	c.mu.Lock()
	if i := slices.Index(c.waiting, q); i >= 0 {
		c.waiting = slices.Delete(c.waiting, i, i+1)
		q.watch.leave()
		c.mu.Unlock()
		return nil, err
	}
	defer c.mu.Unlock()
	switch cn, ok := <-q.given; { // what came at the same moment
	case cn != nil:
		if !c.keep(cn, true) {
			cn.Conn.Close()
		}
	case ok:
		q.watch.leave()
		c.freeSlot()
	}
	return nil, err
}

// connect opens a connection in a slot that was taken for it.
func (c *Client) connect(ctx context.Context, deadline time.Time, w *watch) (*conn, error) {
	cn, timing, err := c.dial.open(ctx, deadline)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && (c.closed || w != nil && w.fired) {
		cn.Conn.Close()
		err = errClosed
	}
	if err != nil {
		c.freeSlot()
		w.leave()
		return nil, err
	}
	cn.watch = w
	c.add(cn, timing)
	return cn, nil
}

// reserve takes a slot while fewer than n are taken.
func (c *Client) reserve(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.slots >= n {
		return false
	}
	c.slots++
	return true
}

// openIdle opens a connection that is used later, in a slot that was taken.
func (c *Client) openIdle(ctx context.Context) error {
	deadline := time.Now().Add(dialTimeout)
	cn, err := c.connect(ctx, deadline, nil)
	if err != nil {
		return explain(ctx, deadline, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cn.last = time.Now()
	if !c.keep(cn, true) {
		cn.Conn.Close()
		return errClosed
	}
	return nil
}

func (c *Client) add(cn *conn, t timing) {
	cn.at = len(c.open)
	c.open = append(c.open, cn)
	c.stats.Opened++
	c.stats.ConnectTime.Add(t.connect)
	if cn.tls != nil {
		c.stats.Handshakes++
		c.stats.HandshakeTime.Add(t.handshake)
		if t.resumed {
			c.stats.Resumed++
		}
	}
}

// forget takes a connection off the list. Its slot stays taken.
func (c *Client) forget(cn *conn) {
	last := len(c.open) - 1
	c.open[cn.at] = c.open[last]
	c.open[cn.at].at = cn.at
	c.open[last] = nil
	c.open = c.open[:last]
	c.stats.Closed++
}

// freeSlot gives a slot to whoever has waited longest.
func (c *Client) freeSlot() {
	if len(c.waiting) > 0 {
		c.nextWaiter().given <- nil
		return
	}
	c.slots--
}

func (c *Client) nextWaiter() *waiter {
	q := c.waiting[0]
	c.waiting = slices.Delete(c.waiting, 0, 1)
	return q
}

// put takes a connection back after an exchange that ended with err, and keeps
// it where it can be used again.
func (c *Client) put(cn *conn, reusable bool, err error) {
	c.mu.Lock()
	if cn.used > 1 {
		c.stats.Reused++
	}
	if cn.firstByte > 0 {
		c.stats.FirstByteTime.Add(cn.firstByte)
	}
	if err != nil && FailureOf(err) == Reset {
		c.stats.Resets++
	}
	kept := c.keep(cn, reusable)
	c.mu.Unlock()
	switch {
	case kept:
	case err != nil:
		cn.Conn.Close() // nobody waits for a goodbye
	default:
		cn.hangUp()
	}
}

// keep gives a connection to whoever waits for one or lets it be idle. Where it
// isn't to be kept, all that is left to do is to close it.
func (c *Client) keep(cn *conn, reusable bool) bool {
	w := cn.watch
	cn.watch = nil
	w.leave()
	if reusable && !c.closed && (w == nil || !w.fired) {
		if len(c.waiting) > 0 {
			q := c.nextWaiter()
			cn.watch = q.watch
			q.given <- cn
		} else {
			c.free = append(c.free, cn)
		}
		return true
	}
	c.forget(cn)
	c.freeSlot()
	return false
}

// watch returns the watch of a context, which has one more user then. Without a
// way to end it is nil.
func (c *Client) watch(ctx context.Context) (*watch, error) {
	done := ctx.Done()
	if done == nil {
		return nil, nil
	}
	for _, w := range c.watches {
		if w.done == done {
			w.users++
			return w, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(c.watches) >= maxWatches {
		c.watches = slices.DeleteFunc(c.watches, func(w *watch) bool {
			if w.users == 0 {
				w.stop()
			}
			return w.users == 0
		})
	}
	w := &watch{done: done, users: 1}
	w.stop = context.AfterFunc(ctx, func() { c.fire(w) })
	c.watches = append(c.watches, w)
	return w, nil
}

func (w *watch) leave() {
	if w != nil {
		w.users--
	}
}

// fire closes the connections of exchanges whose context is done.
func (c *Client) fire(w *watch) {
	c.mu.Lock()
	w.fired = true
	c.watches = slices.DeleteFunc(c.watches, func(one *watch) bool { return one == w })
	var ending []*conn
	for _, cn := range c.open {
		if cn.watch == w {
			ending = append(ending, cn)
		}
	}
	c.mu.Unlock()
	for _, cn := range ending {
		cn.Conn.Close()
	}
}
