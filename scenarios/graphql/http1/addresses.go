package http1

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// lookupEvery is how long addresses are taken to be the name's. Resolvers keep them
	// for as long as their TTL says; asked so often, they are at most that much older.
	lookupEvery = 5 * time.Second
	// lookupPatience is how long a connection waits for a look-up where there are
	// addresses of the one before.
	lookupPatience = 250 * time.Millisecond
)

// directory knows the addresses of a server's name, and which of them are to be
// reached. Connections are spread over those evenly.
type directory struct {
	host, port string
	lookup     func(ctx context.Context, network, host string) ([]netip.Addr, error)
	connect    func(ctx context.Context, network, address string) (net.Conn, error)

	mu        sync.Mutex
	addresses []address
	found     time.Time // when they were looked up
	looking   *lookup
	next      int                 // counts the connections
	quickest  time.Duration       // connection so far; 0: there was none
	seen      map[string]*Address // by their texts, since Addresses was called
}

// lookup is a lookup under way, for which those wait who have no address.
type lookup struct {
	done chan struct{}
	err  error
}

// address is one of the server's.
type address struct {
	text string
	six  bool // of IPv6
	bad  bool // connections were made to another one instead: it is tried last
}

// Address is what became of the attempts to connect to one address in some time.
type Address struct {
	Text   string // "192.0.2.1:443"
	Opened int64
	// Failed has those that failed, or that another address overtook: those are
	// ConnectTimeout.
	Failed map[Failure]int64
}

// Addresses returns what became of the attempts since the call before, of a server
// that has a name.
func (d *directory) Addresses() []Address {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []Address
	for _, a := range d.seen {
		all = append(all, *a)
	}
	clear(d.seen)
	slices.SortFunc(all, func(a, b Address) int { return cmp.Compare(a.Text, b.Text) })
	return all
}

// Unresolved reports whether the server has a name of which no address is known.
func (d *directory) Unresolved() bool {
	if _, named := d.literal(); !named {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.addresses) == 0
}

// literal returns the address of a server that has no name.
func (d *directory) literal() (ip netip.Addr, named bool) {
	ip, err := netip.ParseAddr(d.host)
	return ip, err != nil
}

// resolve returns the server's addresses in the order in which they are to be
// tried: each call begins with another of the good ones. A lookup that fails
// leaves those of the last one.
func (d *directory) resolve(ctx context.Context) ([]string, error) {
	if ip, named := d.literal(); !named {
		return []string{net.JoinHostPort(ip.String(), d.port)}, nil
	}
	d.mu.Lock()
	known, l := len(d.addresses) > 0, d.looking
	switch {
	case l == nil && (!known || time.Since(d.found) >= lookupEvery):
		l = &lookup{done: make(chan struct{})}
		d.looking = l
		go d.look(l)
	case known:
		l = nil // whoever began it waits
	}
	d.mu.Unlock()
	if l != nil {
		var enough <-chan time.Time
		if known {
			patience := time.NewTimer(lookupPatience)
			defer patience.Stop()
			enough = patience.C
		}
		select {
		case <-l.done:
			if l.err != nil {
				return nil, &Error{DNSLookup, l.err}
			}
		case <-enough:
		case <-ctx.Done():
			return nil, &Error{DNSLookup, ctx.Err()}
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.order(), nil
}

// look looks the name up. Then it tries the addresses that weren't to be reached,
// so that no request has to.
func (d *directory) look(l *lookup) {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	ips, err := d.lookup(ctx, "ip", d.host)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.looking, d.found = nil, time.Now()
	if len(ips) > 0 {
		last := d.addresses
		d.addresses = nil
		for _, ip := range ips {
			a := address{text: net.JoinHostPort(ip.Unmap().String(), d.port), six: ip.Unmap().Is6()}
			if i := slices.IndexFunc(last, func(one address) bool { return one.text == a.text }); i >= 0 {
				a = last[i]
			}
			d.addresses = append(d.addresses, a)
			if a.bad {
				go d.probe(a.text)
			}
		}
	}
	if len(d.addresses) == 0 {
		l.err = err
		if err == nil {
			l.err = errors.New("the name has no address")
		}
	}
	close(l.done)
}

// probe connects to an address to see whether it is good again.
func (d *directory) probe(text string) {
	ctx, cancel := context.WithTimeout(context.Background(), d.delay())
	defer cancel()
	if c, err := d.connect(ctx, "tcp", text); err == nil {
		c.Close()
		d.mu.Lock()
		defer d.mu.Unlock()
		d.mark(text, false)
	}
}

// mark notes whether an address is bad. d.mu is held.
func (d *directory) mark(text string, bad bool) {
	for i := range d.addresses {
		if d.addresses[i].text == text {
			d.addresses[i].bad = bad
		}
	}
}

// order returns the addresses: the good ones first, each time beginning with
// another. Those of IPv6 come after those of IPv4, which is to be had nearly
// everywhere or else fails at once, where IPv6 may only seem to be there.
// d.mu is held.
func (d *directory) order() []string {
	var ranks [3][]string
	for _, a := range d.addresses {
		ranks[a.rank()] = append(ranks[a.rank()], a.text)
	}
	for i, list := range ranks {
		if len(list) > 0 {
			n := d.next % len(list)
			ranks[i] = slices.Concat(list[n:], list[:n])
		}
	}
	d.next++
	return slices.Concat(ranks[:]...)
}

func (a *address) rank() int {
	switch {
	case a.bad:
		return 2
	case a.six:
		return 1
	}
	return 0
}

// count counts an attempt to connect: one that failed with err, if any.
// d.mu is held.
func (d *directory) count(text string, err error) {
	if d.addresses == nil {
		return // the server has no name
	}
	if d.seen == nil {
		d.seen = map[string]*Address{}
	}
	a := d.seen[text]
	if a == nil {
		a = &Address{Text: text, Failed: map[Failure]int64{}}
		d.seen[text] = a
	}
	switch f := FailureOf(err); {
	case err == nil:
		a.Opened++
	case f == TimedOut:
		a.Failed[ConnectTimeout]++
	default:
		a.Failed[f]++
	}
}
