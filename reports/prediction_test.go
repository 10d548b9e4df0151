package reports_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/capacity/simulator/simulatortest"
	"github.com/headroom-load/headroom/reports"
)

// What is refused in second 2, behind a function that runs for a while, and answered in second 3 is told of second 3 by the
// prediction, its table and the report of the same run alike.
func TestFirstRefusal(t *testing.T) {
	sys := simulatortest.System(t, `limiters:
  - {id: lambda.concurrency, kind: concurrency, limit: 1000}
  - {id: momento.item-size, kind: item_size, largest: 1MB}
operations:
  - name: list
    service_time: 1500ms
    charges: [{limiter: lambda.concurrency, hold: service_time}, {limiter: momento.item-size, amount: {mixture: [{amount: 1kB, share: 1%}, {amount: 2MB, share: 99%}]}}]
`)
	s := simulatortest.Scenario(t, `loads:
  - name: users
    start: 2s
    arrivals: uniform
    profile: [{stage: hold, rate: 10/s, for: 5s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`)
	run := simulatortest.Run(t, s, sys, simulator.Options{Seed: 1})
	a := capacity.Assess(run)
	if told := strings.Join(a.LimitedBy.Evidence, "; "); !strings.Contains(told, "throttled: 48 of 50 (96.0 %), first in second 3,") {
		t.Fatalf("the report says %s", told)
	}
	var text bytes.Buffer
	if err := reports.Prediction(run, a).Text(&text, reports.Options{}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "first by momento.item-size in second 3") {
		t.Errorf("the prediction says %s", text.String())
	}
	for _, q := range a.Quotas {
		n, first := capacity.Refusals(run, q.ID)
		if q.ID == "momento.item-size" && (n != 48 || first != 3) || q.ID != "momento.item-size" && (n != 0 || first != -1) {
			t.Errorf("%s: %g refused, first in second %d", q.ID, n, first)
		}
	}
}
