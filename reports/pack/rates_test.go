package pack

import (
	"testing"

	"github.com/headroom-load/headroom/capacity"
)

// Loads of Kafka send records, and are not said to send requests.
func TestRatesOfWhatIsSent(t *testing.T) {
	load := func(kind string) capacity.Load {
		return capacity.Load{Planned: 1000, Stages: []capacity.Stage{{To: 100, For: 10}}, Operations: []capacity.Operation{{Kind: kind}}}
	}
	for want, loads := range map[string][]capacity.Load{
		"peak 500 requests/s expected; the rehearsal sent 1,000 requests over 10.0 s, 100 requests/s on average": {load("graphql")},
		"peak 500 records/s expected; the rehearsal sent 1,000 records over 10.0 s, 100 records/s on average":    {load("kafka")},
		"peak 500/s expected; the rehearsal sent 2,000 requests and records over 10.0 s, 200/s on average":       {load("graphql"), load("kafka")},
	} {
		if got := rates(&capacity.Run{Manifest: capacity.Manifest{Loads: loads}}, 500); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
