package rehearsal

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// ticks is a Live that tells when it was asked. One reading takes until it is
// given up.
type ticks struct {
	hangs int // the number of that reading
	asked int
}

func (l *ticks) Read(ctx context.Context) ([]measure.Series, error) {
	l.asked++
	if l.asked == l.hangs {
		<-ctx.Done()
		return nil, errors.New("no answer\nnor anything else")
	}
	return []measure.Series{{Source: "live", Metric: "asked", Period: time.Second, Points: measure.PointsOf(measure.Point{At: time.Now().Round(0), Value: float64(l.asked)})}}, nil
}

// readAt returns at which second of the run each reading was taken.
func readAt(run *capacity.Run) (at []float64) {
	for _, s := range run.Series {
		if s.Source == "live" {
			for p := range s.Points.All() {
				at = append(at, p.At.Sub(run.Manifest.Start).Seconds())
			}
		}
	}
	return at
}

// TestLiveIsReadAroundTheLoad: once before the first request, each second, and
// until everything has come to rest after the last answer.
func TestLiveIsReadAroundTheLoad(t *testing.T) {
	c := config(50, 20*time.Second, backend{20 * time.Millisecond})
	c.Live = new(ticks)
	run := rehearse(t, c, nil)
	at := readAt(run)
	end := run.Manifest.End.Sub(run.Manifest.Start).Seconds()
	if len(at) < 21 || at[0] > 0 || at[1] <= 0 || at[len(at)-1] < end+1 || at[len(at)-1] > end+2 {
		t.Errorf("%d readings at %v, the run ended at %v", len(at), at, end)
	}
	c.Settle = 30 * time.Second
	c.Live = new(ticks)
	at = readAt(rehearse(t, c, nil))
	if last := at[len(at)-1]; last < end+30 || last > end+31 {
		t.Errorf("the last reading is at %v s, the run ended at %v and settles for 30 s", last, end)
	}
}

// TestLiveThatHangs: the seconds without an answer have no point, the fault is
// told once, and the load goes on as planned.
func TestLiveThatHangs(t *testing.T) {
	c := config(50, 20*time.Second, backend{20 * time.Millisecond})
	c.Live = &ticks{hangs: 8}
	run := rehearse(t, c, nil)
	if s := sums(t, run); s.OK != s.Planned {
		t.Errorf("%+v", s)
	}
	at := readAt(run)
	hole := 0.0
	for i := 1; i < len(at); i++ {
		hole = max(hole, at[i]-at[i-1])
	}
	if hole < 5 || hole > 7 {
		t.Errorf("the longest time without a reading is %v s", hole)
	}
	var texts []string
	for _, e := range run.Events {
		if e.Kind == capacity.BrokerFault {
			texts = append(texts, e.Text)
		}
	}
	if len(texts) != 2 || texts[0] != "no answer" {
		t.Errorf("faults %q", texts)
	}
}

// TestLiveOfAnInterruptedRun is read once more, without waiting for more.
func TestLiveOfAnInterruptedRun(t *testing.T) {
	c := config(50, time.Hour, backend{200 * time.Millisecond})
	c.Settle, c.Live = time.Hour, new(ticks)
	run := rehearse(t, c, func(cancel context.CancelFunc, _ func()) {
		time.Sleep(10 * time.Second)
		cancel()
	})
	at := readAt(run)
	if end, last := run.Manifest.End.Sub(run.Manifest.Start).Seconds(), at[len(at)-1]; last < end+1 || last > end+2 {
		t.Errorf("the last reading is at %v s, the run ended at %v", last, end)
	}
}
