package limiter

import (
	"fmt"
	"math"
	"testing"
)

// Science R25.
func TestSlot(t *testing.T) {
	if got := crc16("123456789"); got != 0x31C3 {
		t.Errorf("CRC16 of 123456789 is %#x, want 0x31C3", got)
	}
	for key, want := range map[string]int{
		"somekey": 11058, "foo{hash_tag}": 2515, "bar{hash_tag}": 2515, "foo": 12182,
		"{user1000}.following": 3443, "{user1000}.followers": 3443, "foo{}{bar}": 8363, "foo{{bar}}zap": 4015,
	} {
		if got := Slot(key); got != want {
			t.Errorf("slot of %s is %d, want %d", key, got, want)
		}
	}
}

// With the service as the tag all keys meet on one node; with a tag for each host
// 6,000 keys of 3,000 hosts lie evenly on 6 nodes, to 2 mean/sqrt ln.
func TestTagsMeetOnOneNode(t *testing.T) {
	loads := func(key func(host int) string) (highest float64) {
		var nodes [6]float64
		for host := range 3000 {
			nodes[Node(Slot(key(host)), 6)] += 2
		}
		for _, n := range nodes {
			highest = max(highest, n)
		}
		return highest / 6000
	}
	if got := loads(func(host int) string { return fmt.Sprintf("{service}:%d", host) }); got != 1 {
		t.Errorf("one tag: the highest node has %v, want all", got)
	}
	if got := loads(func(host int) string { return fmt.Sprintf("{service:%d}", host) }); got > 1.0/6+math.Sqrt(2*math.Log(6)/6/3000) {
		t.Errorf("a tag for each host: the highest node has %v", got)
	}
}
