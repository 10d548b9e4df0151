package http1

import (
	"context"
	"errors"
	"net"
	"time"
)

const (
	// An address has twice as long as the quickest connection took, within these bounds,
	// until the next one is tried beside it (RFC 8305, sections 5 and 8: 250 ms are
	// recommended, and 2 s the most).
	shortestDelay = 250 * time.Millisecond
	longestDelay  = 2 * time.Second
	// mostAttempts of a connection go on at once, so that those to a target that is
	// down take no more files than that each.
	mostAttempts = 2
)

// attempt is an attempt to connect to one address.
type attempt struct {
	address string
	giveUp  context.CancelFunc
	given   bool // up, since others waited for their turn
	ended   bool
	conn    net.Conn // this and err are known when it has ended
	err     error
}

var errOvertaken = &Error{ConnectTimeout, errors.New("no answer while others were tried")}

// failure is why the attempt came to nothing; nil where it didn't, or goes on.
func (a *attempt) failure() error {
	switch {
	case !a.ended || a.err == nil:
		return nil
	case a.given:
		return errOvertaken
	}
	return a.err
}

// race connects to one of the addresses: to the first, unless it fails or is silent
// for a while. Then the next one is tried beside it, and so on, and the first that
// answers is taken.
func (d *directory) race(ctx context.Context, addresses []string) (net.Conn, error) {
	ctx, end := context.WithCancel(ctx)
	results := make(chan *attempt, len(addresses))
	var begun []*attempt
	defer func() {
		end()
		go closeLate(results, running(begun))
	}()
	began, delay := time.Now(), d.delay()
	turn := time.NewTimer(0)
	defer turn.Stop()
	for {
		select {
		case <-turn.C:
			if going := running(begun); len(going) == mostAttempts {
				going[0].given = true
				going[0].giveUp()
			}
			one, giveUp := context.WithCancel(ctx)
			a := &attempt{address: addresses[0], giveUp: giveUp}
			begun, addresses = append(begun, a), addresses[1:]
			go func() {
				defer giveUp()
				a.conn, a.err = d.connect(one, "tcp", a.address)
				results <- a
			}()
			if len(addresses) > 0 {
				turn.Reset(delay)
			}
		case a := <-results:
			a.ended = true
			if a.err == nil {
				d.won(begun, a, time.Since(began))
				return a.conn, nil
			}
			if ctx.Err() != nil || FailureOf(a.err).Own() { // no other address helps
				addresses = nil
				turn.Stop()
			}
			switch {
			case len(addresses) > 0 && !a.given:
				turn.Reset(0)
			case len(addresses) == 0 && len(running(begun)) == 0:
				return nil, d.lost(begun)
			}
		}
	}
}

func running(begun []*attempt) (going []*attempt) {
	for _, a := range begun {
		if !a.ended {
			going = append(going, a)
		}
	}
	return going
}

// closeLate closes connections that came about when another one was taken.
func closeLate(results <-chan *attempt, going []*attempt) {
	for range going {
		if a := <-results; a.err == nil {
			a.conn.Close()
		}
	}
}

// delay is how long an address is waited for alone.
func (d *directory) delay() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return min(max(shortestDelay, 2*d.quickest), longestDelay)
}

// won notes what became of the attempts of which one gave a connection: which
// addresses failed, or were overtaken by one that was tried after them.
func (d *directory) won(begun []*attempt, winner *attempt, took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if begun[0] == winner && (d.quickest == 0 || took < d.quickest) {
		d.quickest = took
	}
	before := true
	for _, a := range begun {
		err := a.failure()
		switch {
		case a == winner:
			before, err = false, nil
		case err == nil && !before:
			continue
		case err == nil:
			err = errOvertaken
		}
		d.count(a.address, err)
		d.mark(a.address, err != nil)
	}
}

// lost notes that all attempts failed, which tells no address from another, and
// returns why: for want of something of this machine, or else as the first did,
// unless that says only that there is no way to it.
func (d *directory) lost(begun []*attempt) (why error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range begun {
		err := a.failure()
		if FailureOf(err) != Cancelled {
			d.count(a.address, err)
		}
		if why == nil || FailureOf(why) == Unreachable || FailureOf(err).Own() {
			why = err
		}
	}
	return why
}
