package http1

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// nameServer is a DNS server on loopback with one name, which has A records of a TTL
// of 60 s.
type nameServer struct {
	net.PacketConn
	mu        sync.Mutex
	addresses []string
	asked     int // for A
}

func names(t *testing.T, addresses ...string) *nameServer {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{PacketConn: c, addresses: addresses}
	t.Cleanup(func() { c.Close() })
	go s.serve()
	return s
}

// serve answers queries (RFC 1035, section 4.1): the question again, and an A record
// for each address, or none for another type.
func (s *nameServer) serve() {
	query := make([]byte, 512)
	for {
		n, from, err := s.ReadFrom(query)
		if err != nil {
			return
		}
		end := 12
		for query[end] != 0 {
			end += int(query[end]) + 1
		}
		kind := binary.BigEndian.Uint16(query[end+1 : n])
		s.mu.Lock()
		var addresses []string
		if kind == 1 {
			addresses = s.addresses
			s.asked++
		}
		s.mu.Unlock()
		answer := slices.Concat(query[:2], []byte{0x81, 0x80, 0, 1, 0, byte(len(addresses)), 0, 0, 0, 0}, query[12:end+5])
		for _, a := range addresses {
			ip := netip.MustParseAddr(a).As4()
			answer = append(append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4), ip[:]...)
		}
		s.WriteTo(answer, from)
	}
}

func (s *nameServer) set(addresses ...string) (asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addresses = addresses
	return s.asked
}

// listen listens at an address. A backlog of -1 is full: the kernel drops what would
// open a connection, as a firewall does.
func listen(t *testing.T, ip string, port, backlog int) (actual int) {
	t.Helper()
	full := backlog < 0
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { syscall.Close(fd) })
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Port: port, Addr: netip.MustParseAddr(ip).As4()})
	}
	if err == nil {
		err = syscall.Listen(fd, max(backlog, 0))
	}
	if err != nil {
		t.Skipf("%s: %v", ip, err)
	}
	name, _ := syscall.Getsockname(fd)
	actual = name.(*syscall.SockaddrInet4).Port
	for full {
		c, err := net.DialTimeout("tcp", fmt.Sprintf("%s:%d", ip, actual), 200*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { c.Close() })
	}
	return actual
}

// TestNames opens connections over the kernel, by a DNS server on loopback: of four
// addresses one drops every packet and one refuses, until the name has other ones.
func TestNames(t *testing.T) {
	port := listen(t, "127.0.0.2", 0, 1000)
	listen(t, "127.0.0.3", port, 1000)
	listen(t, "127.0.0.4", port, -1)
	listen(t, "127.0.0.6", port, 1000)
	dns := names(t, "127.0.0.4", "127.0.0.5", "127.0.0.2", "127.0.0.3") // nobody listens at .5
	c := client(t, Config{URL: &url.URL{Scheme: "http", Host: fmt.Sprintf("api.headroom.test:%d", port)}, MaxConns: 1000})
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", dns.LocalAddr().String())
	}}
	c.dial.lookup = resolver.LookupNetIP
	opened := func(n int) map[string]int {
		t.Helper()
		at := map[string]int{}
		for range n {
			cn, _, err := c.dial.open(t.Context(), time.Now().Add(time.Minute))
			if err != nil {
				t.Fatal(err)
			}
			host, _, _ := net.SplitHostPort(cn.Conn.RemoteAddr().String())
			at[host]++
			cn.Conn.Close()
		}
		return at
	}
	first := opened(4)
	if first["127.0.0.2"]+first["127.0.0.3"] != 4 {
		t.Errorf("opened %v", first)
	}
	failed := map[string]Failure{}
	for _, a := range c.dial.Addresses() {
		host, _, _ := net.SplitHostPort(a.Text)
		for f := range a.Failed {
			failed[host] = f
		}
	}
	if failed["127.0.0.4"] != ConnectTimeout || failed["127.0.0.5"] != Refused || len(failed) != 2 {
		t.Errorf("failed: %v", failed)
	}
	age := func() { // what was looked up is too old
		c.dial.mu.Lock()
		defer c.dial.mu.Unlock()
		c.dial.found = c.dial.found.Add(-lookupEvery)
	}
	for asked := range 3 {
		// Evenly, but for what a machine that stands still for 250 ms takes for dead.
		if got := opened(100); got["127.0.0.2"] < 25 || got["127.0.0.3"] < 25 || len(got) != 2 {
			t.Errorf("opened %v", got)
		}
		for _, a := range c.dial.Addresses() {
			if host, _, _ := net.SplitHostPort(a.Text); failed[host] != 0 {
				t.Errorf("tried again: %+v", a)
			}
		}
		if got := dns.set("127.0.0.4", "127.0.0.5", "127.0.0.2", "127.0.0.3"); got < asked+1 {
			t.Errorf("asked %d times, want %d", got, asked+1)
		}
		age()
	}
	dns.set("127.0.0.6", "127.0.0.4")
	if got := opened(10); got["127.0.0.6"] != 10 {
		t.Errorf("opened %v", got)
	}
	dns.Close() // what was found last holds
	age()
	if got := opened(10); got["127.0.0.6"] != 10 {
		t.Errorf("opened %v", got)
	}
}
