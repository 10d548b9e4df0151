package reports_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/simulator"
	"github.com/headroom-load/headroom/reports"
	"github.com/headroom-load/headroom/scenarios"
)

// What is refused in second 2, behind a function that runs for a while, and answered in second 3 is told of second 3 by the
// prediction, its table and the report of the same run alike.
func TestFirstRefusal(t *testing.T) {
	sys, err := model.Parse("system.yaml", []byte(`version: 1
name: sizes
limiters:
  - {id: lambda.concurrency, kind: concurrency, limit: 1000}
  - {id: momento.item-size, kind: item_size, largest: 1MB}
operations:
  - name: list
    service_time: 1500ms
    charges: [{limiter: lambda.concurrency, hold: service_time}, {limiter: momento.item-size, amount: {mixture: [{amount: 1kB, share: 1%}, {amount: 2MB, share: 99%}]}}]
`))
	if err != nil {
		t.Fatal(err)
	}
	s, faults := scenarios.ParseFile(fstest.MapFS{"s.yaml": {Data: []byte(`version: 1
name: s
target: {sandbox: premiere}
loads:
  - name: users
    start: 2s
    arrivals: uniform
    profile: [{stage: hold, rate: 10/s, for: 5s}]
    operations: [{name: list, graphql: {query: "query list { list }"}}]
`)}}, "s.yaml", func(string) (string, bool) { return "", false })
	if faults != nil {
		t.Fatal(faults)
	}
	run, err := simulator.Run(s, sys, simulator.Options{ID: "run", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
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
