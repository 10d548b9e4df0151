package kafka

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// A broker that leaves requests unanswered for a second or longer is an event, at
// the instant since when; what it asked to wait isn't, and neither is a time
// without requests.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMeter(NewAccounts())
		one, other := kgo.BrokerMetadata{NodeID: 1}, kgo.BrokerMetadata{NodeID: 2}
		start := time.Now()
		pass := func(d time.Duration) {
			t.Helper()
			time.Sleep(d) // virtual
			if _, notices := (&Driver{meter: m}).Watch(start, time.Second); len(notices) > 0 {
				t.Errorf("after %v: %v", time.Since(start), notices)
			}
		}
		answered := func(by kgo.BrokerMetadata, after time.Duration) {
			m.OnBrokerE2E(by, produceKey, kgo.BrokerE2E{ReadWait: after / 2, TimeToRead: after / 2})
		}
		answered(one, 900*time.Millisecond)
		pass(20 * time.Second)
		answered(one, 10*time.Millisecond)

		m.OnBrokerThrottle(one, 5*time.Second, true)
		pass(5900 * time.Millisecond)
		answered(one, 5900*time.Millisecond) // written before it was asked to wait
		pass(0)

		since := time.Now()
		time.Sleep(3 * time.Second)
		for i := range time.Duration(5) { // which were in flight together
			answered(one, 2500*time.Millisecond+i*20*time.Millisecond)
			answered(other, 20*time.Millisecond)
			time.Sleep(20 * time.Millisecond)
		}
		_, notices := (&Driver{meter: m}).Watch(start, time.Second)
		if len(notices) != 1 || notices[0].Kind != "broker" || notices[0].Text != "broker 1: no answer for 2.50 s" || !notices[0].At.Equal(since.Add(500*time.Millisecond)) || notices[0].For != 2500*time.Millisecond {
			t.Errorf("%v, want one, of 0.5 s after %v", notices, since)
		}
		pass(time.Minute)
	})
}
