package limiter

import (
	"testing"
	"time"
)

// A table of 100 RCU/s idle for 300 s has 30,000 units saved up; 400/s then
// last 30,000/(400-100) = 100 s (science R22).
func TestPartitionsBurst(t *testing.T) {
	p := NewPartitions(1, 100, 300*time.Second)
	const idle = 300 * time.Second
	for n := 0; ; n++ {
		at := every(n, 400)
		if !p.Admit(idle+at, 0, 1) {
			if at < 99_900*time.Millisecond || at > 100_100*time.Millisecond {
				t.Errorf("exhausted after %v, want 100s", at)
			}
			break
		}
	}
	// Spent savings come back at the partition's rate: 300 s for all of them.
	if !p.Admit(idle+401*time.Second, 0, 30_000) {
		t.Error("after 300 s of rest the savings are not full")
	}
}

func TestPartitionsDontShare(t *testing.T) {
	p := NewPartitions(3, 3_000, 0)
	if !p.Admit(0, 1, 3_000) || p.Admit(0, 1, 1) {
		t.Fatal("want one second's capacity in a partition, and no more")
	}
	for _, other := range []int{0, 2} {
		if !p.Admit(0, other, 3_000) {
			t.Errorf("partition %d is exhausted by the charges on partition 1", other)
		}
	}
}
