package capacity_test

import (
	"runtime"
	"testing"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// A long run's memory is free once it is assessed: reports are made of the assessment.
func TestAssessmentHoldsNoRun(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	run := &capacity.Run{Manifest: capacity.Manifest{Kind: capacity.Measured, State: capacity.Complete, Quotas: cached(1).quotas}}
	begin := heap()
	for s := range int64(50_000) {
		run.Rows.Add(&measure.Row{Second: int(s), Load: "l", Operation: "o", Measured: true, Planned: s, Sent: s, OK: s, TokensN: s, TokensNSent: s, TokensSent: 2 * s, TokensDone: 2 * s, BytesIn: s * s})
	}
	before := heap()
	a := capacity.Assess(run)
	run.Rows = measure.Rows{}
	if left := heap() - begin; before-begin < 500_000 || left > (before-begin)/4 {
		t.Errorf("of %d bytes %d are left", before-begin, left)
	}
	runtime.KeepAlive(a)
}
