package main

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/observe"
	"github.com/headroom-load/headroom/capacity/plan"
	"github.com/headroom-load/headroom/capacity/record"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// How far back the service's own metrics are asked for the highest rate that was
// seen, and how long that may take: it is a look before the run, not a part of it.
const (
	historyDays = 14
	historyTime = 20 * time.Second
)

// history returns what is known of a target: the highest rate of earlier records in
// the folder that the run's own record goes to, and the highest minute of its requests,
// and of the bytes that are charged to a quota, in the last 14 days, where a source can
// tell. What can't be read is an event.
func history(ctx context.Context, target, dir string, source observe.Source, want []measure.Series) (seen []plan.Seen, events []capacity.Event) {
	if s, ok := recorded(target, dir); ok {
		seen = append(seen, s)
	}
	var asked []measure.Series
	for _, w := range want {
		if w.Role == capacity.RoleRequests && w.Quota == capacity.RequestTokens || w.Role == capacity.RoleUsage && w.Unit == unit.Bytes && w.Statistic == "Sum" {
			asked = append(asked, w)
		}
	}
	if source == nil || len(asked) == 0 {
		return seen, nil
	}
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	now := time.Now().UTC().Truncate(time.Minute)
	series, err := source.Read(ctx, asked, now.AddDate(0, 0, -historyDays), now)
	if err != nil {
		events = append(events, capacity.Event{Kind: "source-error", Text: "history of requests and bytes: " + err.Error()})
	}
	highest := make(map[string]float64) // by quota; "" of requests
	for _, s := range series {
		of := s.Quota
		if s.Role == capacity.RoleRequests {
			of = ""
		}
		for p := range s.Points.All() {
			highest[of] = max(highest[of], p.Value/s.Period.Seconds())
		}
	}
	for _, of := range slices.Sorted(maps.Keys(highest)) {
		if highest[of] > 0 {
			seen = append(seen, plan.Seen{Rate: highest[of], Quota: of, Where: "the last 14 days by CloudWatch, as a minute's mean"})
		}
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
