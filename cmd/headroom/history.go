package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/observe"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// How far back the service's own metrics are asked for the highest rate that was
// seen, and how long that may take: it is a look before the run, not a part of it.
const (
	historyDays = 14
	historyTime = 20 * time.Second
)

// history returns the rates that are known of a target: the highest of earlier
// records in the folder that the run's own record goes to, and the highest minute
// of its requests in the last 14 days, where a source can tell. What can't be read
// is an event.
func history(ctx context.Context, target, dir string, source observe.Source, want []measure.Series) (seen []plan.Seen, events []capacity.Event) {
	if s, ok := recorded(target, dir); ok {
		seen = append(seen, s)
	}
	var requests []measure.Series
	for _, w := range want {
		if w.Role == capacity.RoleRequests && w.Quota == capacity.RequestTokens {
			requests = append(requests, w)
		}
	}
	if source == nil || len(requests) == 0 {
		return seen, nil
	}
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	now := time.Now().UTC().Truncate(time.Minute)
	series, err := source.Read(ctx, requests, now.AddDate(0, 0, -historyDays), now)
	if err != nil {
		events = append(events, capacity.Event{Kind: "source-error", Text: "history of requests: " + err.Error()})
	}
	var highest float64
	for _, s := range series {
		for p := range s.Points.All() {
			highest = max(highest, p.Value/s.Period.Seconds())
		}
	}
	if highest > 0 {
		seen = append(seen, plan.Seen{Rate: highest, Where: "the last 14 days by CloudWatch, as a minute's mean"})
	}
	return seen, events
}

// recorded returns the highest planned rate of the records beside dir that went
// to the same target.
func recorded(target, dir string) (highest plan.Seen, ok bool) {
	entries, err := os.ReadDir(filepath.Dir(dir))
	if err != nil {
		return highest, false
	}
	for _, e := range entries {
		m, err := record.Manifest(filepath.Join(filepath.Dir(dir), e.Name()))
		if err != nil || m.Kind != capacity.Measured || m.Target != target || e.Name() == filepath.Base(dir) {
			continue
		}
		var peak float64
		for _, l := range m.Loads {
			load := 0.0
			for _, s := range l.Stages {
				load = max(load, s.PeakRate())
			}
			peak += load
		}
		if peak > highest.Rate {
			highest, ok = plan.Seen{Rate: peak, Where: "the record " + e.Name()}, true
		}
	}
	return highest, ok
}
