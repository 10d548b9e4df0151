package http1

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// network is an imitated one, in virtual time: a name, and after how long each of its
// addresses answers.
type network struct {
	mu        sync.Mutex
	names     []string
	fails     error         // of looking up
	slow      time.Duration // looking up
	lookups   int
	answers   map[string]time.Duration // an address that isn't there is silent
	refuses   map[string]error
	tried     []string
	opened    map[string]int
	attempts  []context.Context
	most      int // attempts at once
	abandoned int // connections that were closed again
}

// link is a connection of a network.
type link struct {
	net.Conn
	network *network
}

func (l link) Close() error {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	l.network.abandoned++
	return l.Conn.Close()
}

func (n *network) lookup(ctx context.Context, family, host string) (ips []netip.Addr, _ error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lookups++; family != "ip" || host != "api.example" {
		return nil, fmt.Errorf("looked up %s %s", family, host)
	}
	if n.slow > 0 {
		slow := n.slow
		n.mu.Unlock()
		select {
		case <-time.After(slow):
		case <-ctx.Done():
		}
		n.mu.Lock()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	for _, text := range n.names {
		ips = append(ips, netip.MustParseAddr(text))
	}
	return ips, n.fails
}

func (n *network) connect(ctx context.Context, _, text string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(text)
	n.mu.Lock()
	n.tried = append(n.tried, host)
	n.attempts = append(n.attempts, ctx)
	n.most = max(n.most, n.going())
	after, there := n.answers[host]
	refused := n.refuses[host]
	n.mu.Unlock()
	var answer <-chan time.Time
	if there || refused != nil {
		answer = time.After(after)
	}
	select {
	case <-answer:
	case <-ctx.Done():
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case refused != nil:
		return nil, refused
	}
	n.opened[host]++
	here, _ := net.Pipe()
	return link{here, n}, nil
}

// going is how many attempts go on.
func (n *network) going() int {
	n.attempts = slices.DeleteFunc(n.attempts, func(of context.Context) bool { return of.Err() != nil })
	return len(n.attempts)
}

// over runs a test over a network.
func over(t *testing.T, names string, body func(t *testing.T, n *network, d *Dialer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &network{names: strings.Fields(names), answers: map[string]time.Duration{}, refuses: map[string]error{}, opened: map[string]int{}}
		c := client(t, Config{URL: mustURL(t, "http://api.example:81/")})
		c.dial.lookup, c.dial.connect = n.lookup, n.connect
		body(t, n, &c.dial)
		synctest.Wait()
	})
}

// opens opens a connection, which is to take so long and to try these addresses.
func (n *network) opens(t *testing.T, d *Dialer, takes time.Duration, tries string) {
	t.Helper()
	n.mu.Lock()
	n.tried = nil
	n.mu.Unlock()
	began := time.Now()
	_, at, err := d.open(t.Context(), began.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if took := time.Since(began); took != takes || strings.Join(n.tried, " ") != tries {
		t.Errorf("%v by %v, want %v by %s", took, n.tried, takes, tries)
	}
	if at.connect != takes {
		t.Errorf("%v counted, want %v", at.connect, takes)
	}
}

func told(d *Dialer) string {
	var all []string
	for _, a := range d.Addresses() {
		one := fmt.Sprintf("%s %d", a.Text, a.Opened)
		for _, f := range slices.Sorted(maps.Keys(a.Failed)) {
			one += fmt.Sprintf(", %d %s", a.Failed[f], f)
		}
		all = append(all, one)
	}
	return strings.Join(all, "; ")
}

// pass lets time pass, and all that happens in it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

const ms = time.Millisecond

// TestDeadAddress: a silent address costs the first connection 250 ms, a refusing one
// nothing, and both cost no other connection anything, whatever is looked up again.
// Once they answer they are used again.
func TestDeadAddress(t *testing.T) {
	for _, c := range []struct {
		refused error
		first   time.Duration
		why     string
	}{{nil, 251 * ms, "connection timed out"}, {syscall.ECONNREFUSED, 2 * ms, "connection refused"}} {
		over(t, "192.0.2.1 192.0.2.2 192.0.2.3", func(t *testing.T, n *network, d *Dialer) {
			n.answers["192.0.2.2"], n.answers["192.0.2.3"] = ms, ms
			if c.refused != nil {
				n.refuses["192.0.2.1"], n.answers["192.0.2.1"] = c.refused, ms
			}
			n.opens(t, d, c.first, "192.0.2.1 192.0.2.2")
			for range 10 * 60 {
				pass(100 * ms)
				n.mu.Lock()
				n.tried = nil
				n.mu.Unlock()
				began := time.Now()
				if _, _, err := d.open(t.Context(), began.Add(time.Minute)); err != nil || time.Since(began) != ms {
					t.Fatalf("%v after %v", err, time.Since(began))
				}
			}
			synctest.Wait()
			// 601 connections, and the probes of 12 look-ups that gave none.
			if n.opened["192.0.2.1"] != 0 || n.opened["192.0.2.2"] != 301 || n.opened["192.0.2.3"] != 300 || n.lookups != 13 {
				t.Errorf("got %v, %d look-ups", n.opened, n.lookups)
			}
			if got, want := told(d), "192.0.2.1:81 0, 1 "+c.why+"; 192.0.2.2:81 301; 192.0.2.3:81 300"; got != want {
				t.Errorf("told %s, want %s", got, want)
			}

			n.refuses, n.answers["192.0.2.1"] = nil, ms
			pass(lookupEvery)
			if _, _, err := d.open(t.Context(), time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
			pass(lookupEvery / 2) // the probe has found that it answers
			clear(n.opened)
			for range 300 {
				n.opens(t, d, ms, n.next(d))
			}
			if !maps.Equal(n.opened, map[string]int{"192.0.2.1": 100, "192.0.2.2": 100, "192.0.2.3": 100}) {
				t.Errorf("not spread: %v", n.opened)
			}
		})
	}
}

// next is the address that a connection begins with.
func (n *network) next(d *Dialer) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	host, _, _ := net.SplitHostPort(d.order()[0])
	d.next--
	return host
}

// TestAllDead: no connection has more than two attempts at once, each address is
// tried, and which is to blame isn't known.
func TestAllDead(t *testing.T) {
	over(t, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4", func(t *testing.T, n *network, d *Dialer) {
		for begins := range 4 {
			began := time.Now()
			_, _, err := d.open(t.Context(), began.Add(time.Minute))
			failure(t, err, ConnectTimeout)
			if took := time.Since(began); took != dialTimeout || n.most != 2 {
				t.Errorf("given up after %v, with %d attempts at once", took, n.most)
			}
			if n.tried[4*begins] != n.names[begins] || len(n.tried) != 4*begins+4 {
				t.Errorf("tried %v", n.tried)
			}
		}
		if got := told(d); got != "192.0.2.1:81 0, 4 connection timed out; 192.0.2.2:81 0, 4 connection timed out; 192.0.2.3:81 0, 4 connection timed out; 192.0.2.4:81 0, 4 connection timed out" {
			t.Errorf("told %s", got)
		}
		n.refuses = map[string]error{}
		for _, name := range n.names {
			n.refuses[name] = syscall.ECONNREFUSED
		}
		began := time.Now()
		_, _, err := d.open(t.Context(), began.Add(time.Minute))
		if FailureOf(err) != Refused {
			t.Errorf("got %v", err)
		}
		if time.Since(began) != 0 {
			t.Errorf("refused after %v", time.Since(began))
		}
		// A request that is given less time has timed out as any other.
		c := &Client{max: 1, dial: Dialer{directory: directory{host: "api.example", port: "81", lookup: n.lookup, connect: n.connect}}}
		clear(n.refuses)
		_, _, err = ask(t.Context(), c, post(t, mustURL(t, "http://api.example:81/"), ""), time.Second)
		failure(t, err, TimedOut)
	})
}

// TestOneAnswersLate: of addresses that are all silent but the last, that is found.
func TestOneAnswersLate(t *testing.T) {
	over(t, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4", func(t *testing.T, n *network, d *Dialer) {
		n.answers["192.0.2.4"] = 20 * ms
		n.opens(t, d, 770*ms, "192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4")
		n.opens(t, d, 20*ms, "192.0.2.4")
		synctest.Wait()
		if n.most != 2 || n.going() != 0 {
			t.Errorf("%d attempts at once, %d go on", n.most, n.going())
		}
	})
}

// TestFarAway: where a connection takes longer than 250 ms anyway, no address is
// overtaken, and after the first connection none is tried beside another.
func TestFarAway(t *testing.T) {
	over(t, "192.0.2.1 192.0.2.2", func(t *testing.T, n *network, d *Dialer) {
		n.answers["192.0.2.1"], n.answers["192.0.2.2"] = 300*ms, 300*ms
		n.opens(t, d, 300*ms, "192.0.2.1 192.0.2.2")
		n.opens(t, d, 300*ms, "192.0.2.2")
		n.opens(t, d, 300*ms, "192.0.2.1")
		if got := told(d); got != "192.0.2.1:81 2; 192.0.2.2:81 1" {
			t.Errorf("told %s", got)
		}
		n.answers["192.0.2.2"] = time.Minute // more than twice as long
		n.opens(t, d, 900*ms, "192.0.2.2 192.0.2.1")
		n.opens(t, d, 300*ms, "192.0.2.1")
	})
}

// TestLateConnection: a connection that comes about beside the one that was taken is
// closed.
func TestLateConnection(t *testing.T) {
	over(t, "192.0.2.1 192.0.2.2", func(t *testing.T, n *network, d *Dialer) {
		d.connect = func(_ context.Context, network, text string) (net.Conn, error) {
			return n.connect(context.WithoutCancel(t.Context()), network, text) // it doesn't hear that it is late
		}
		n.answers["192.0.2.1"], n.answers["192.0.2.2"] = 400*ms, ms
		n.opens(t, d, 251*ms, "192.0.2.1 192.0.2.2")
		synctest.Wait()
		n.mu.Lock()
		if n.abandoned != 0 {
			t.Error("the connection is closed")
		}
		n.mu.Unlock()
		pass(time.Second)
		if n.abandoned != 1 || n.opened["192.0.2.1"] != 1 {
			t.Errorf("%d closed of %v", n.abandoned, n.opened)
		}
	})
}

// TestFamilies: IPv6 is what is tried when no address of IPv4 is left.
func TestFamilies(t *testing.T) {
	over(t, "2001:db8::4 192.0.2.1 192.0.2.2", func(t *testing.T, n *network, d *Dialer) {
		n.answers["2001:db8::4"], n.answers["192.0.2.1"], n.refuses["192.0.2.2"] = ms, ms, syscall.ECONNREFUSED
		n.opens(t, d, ms, "192.0.2.1")
		n.opens(t, d, ms, "192.0.2.2 192.0.2.1") // the next of its rank's turn
		n.opens(t, d, ms, "192.0.2.1")
		n.refuses["192.0.2.1"] = syscall.ENETUNREACH
		delete(n.answers, "192.0.2.1")
		n.opens(t, d, ms, "192.0.2.1 2001:db8::4")
		n.opens(t, d, ms, "2001:db8::4")
	})
}

// TestOwnFault: what this machine lacks no other address mends, and it isn't told of
// an address that it is bad.
func TestOwnFault(t *testing.T) {
	over(t, "192.0.2.1 192.0.2.2", func(t *testing.T, n *network, d *Dialer) {
		n.answers["192.0.2.2"], n.refuses["192.0.2.1"] = ms, syscall.EMFILE
		_, _, err := d.open(t.Context(), time.Now().Add(time.Minute))
		if FailureOf(err) != NoFile || len(n.tried) != 1 || d.addresses[0].bad {
			t.Errorf("got %v, tried %v, %+v", err, n.tried, d.addresses)
		}
		// The one that was begun already goes on.
		delete(n.refuses, "192.0.2.1")
		n.answers["192.0.2.1"], n.refuses["192.0.2.2"] = 400*ms, syscall.EMFILE
		d.next = 0
		n.opens(t, d, 400*ms, "192.0.2.1 192.0.2.2")
	})
}

// TestLookup: what was looked up holds for 5 s, and longer where looking up fails or
// takes its time, which is waited for a little at most.
func TestLookup(t *testing.T) {
	over(t, "", func(t *testing.T, n *network, d *Dialer) {
		fails := func(why Failure, took time.Duration) {
			t.Helper()
			began := time.Now()
			_, _, err := d.open(t.Context(), began.Add(time.Minute))
			failure(t, err, why)
			if time.Since(began) != took {
				t.Errorf("after %v, want %v", time.Since(began), took)
			}
		}
		for _, host := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
			n.answers[host] = ms
		}
		fails(DNSLookup, 0) // no address, and no error
		n.fails = &net.DNSError{Err: "no such host", IsNotFound: true}
		fails(DNSLookup, 0)
		n.slow = time.Minute
		fails(DNSLookup, dialTimeout) // this machine's, not the server's
		c := &Client{max: 1, dial: Dialer{directory: directory{host: "api.example", port: "81", lookup: n.lookup, connect: n.connect}}}
		_, _, err := ask(t.Context(), c, post(t, mustURL(t, "http://api.example:81/"), ""), time.Second)
		failure(t, err, DNSLookup)
		pass(time.Minute)

		n.names, n.fails, n.slow, n.lookups = []string{"192.0.2.1"}, nil, 0, 0
		n.opens(t, d, ms, "192.0.2.1")
		n.names = []string{"192.0.2.2"}
		pass(lookupEvery - 2*ms)
		n.opens(t, d, ms, "192.0.2.1")
		n.opens(t, d, ms, "192.0.2.2")
		n.names, n.fails = nil, errors.New("dead")
		pass(lookupEvery)
		n.opens(t, d, ms, "192.0.2.2")
		if n.lookups != 3 {
			t.Errorf("%d lookups, want 3", n.lookups)
		}
		n.names, n.fails, n.slow = []string{"192.0.2.3"}, nil, 2*time.Second
		pass(lookupEvery)
		began := time.Now()
		for range 20 { // the first waits for a while; the others needn't
			if _, _, err := d.open(t.Context(), time.Now().Add(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != lookupPatience+20*ms || n.lookups != 4 {
			t.Errorf("took %v, %d lookups", took, n.lookups)
		}
		pass(2 * time.Second)
		n.opens(t, d, ms, "192.0.2.3")
		pass(time.Minute)
	})
}
