package reports

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/reports/plot"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

func provenanceSection(run *capacity.Run) Section {
	m := run.Manifest
	tool := m.Tool.Version
	if m.Tool.Revision != "" {
		tool += ", revision " + m.Tool.Revision
	}
	if m.Tool.Dirty {
		tool += " with local changes"
	}
	facts := &Table{Columns: []Column{{"", false}, {"", false}}}
	add := func(name, text string) { facts.Rows = append(facts.Rows, []Cell{{Text: name}, {Text: text}}) }
	add("run", m.ID+" ("+string(m.Kind)+", "+string(m.State)+")")
	add("from", m.Start.UTC().Format(time.RFC3339Nano))
	end := "n/a: the record was cut off, its last row ends at " + run.Until().UTC().Format(time.RFC3339Nano)
	if !m.End.IsZero() {
		end = m.End.UTC().Format(time.RFC3339Nano)
	}
	add("to", end)
	add("scenario digest (SHA-256)", m.Scenario.Digest)
	add("target", m.Target)
	add("headroom", tool)
	add("built with", m.Tool.Go)
	if machine := m.Machine.String(); machine != "" {
		add("machine", machine)
	}
	if m.Machine.Files > 0 {
		add("open files at most", whole(int64(m.Machine.Files)))
	}
	switch {
	case m.Machine.Calibration != nil:
		add("calibration", m.Machine.Calibration.String())
	case m.Kind == capacity.Measured:
		add("calibration", "not calibrated: run headroom calibrate")
	}
	if m.Scenario.Forecast > 0 {
		add("forecast", unit.Human(m.Scenario.Forecast)+"/s")
	}
	add("waited for cloud data", unit.HumanSeconds(m.Settle))
	record := "whole"
	if len(run.Damage) > 0 {
		record = "damaged: " + strings.Join(run.Damage, "; ")
	}
	add("record", record)
	s := Section{ID: "provenance", Title: "Where it comes from", Detail: true, Blocks: []Block{facts}}
	if t := quotaSources(m.Quotas); len(t.Rows) > 0 {
		s.Blocks = append(s.Blocks, t)
	}
	if t := seriesTable(run); len(t.Rows) > 0 {
		s.Blocks = append(s.Blocks, t)
	}
	return s
}

func quotaSources(quotas []capacity.Quota) *Table {
	t := &Table{Caption: "Limits", Columns: []Column{{"quota", false}, {"name", false}, {"limit", true}, {"from", false}, {"source", false}, {"as of", false}, {"code", false}, {"adjustable", false}}}
	for _, q := range quotas {
		r := capacity.QuotaResult{Kind: q.Kind, Unit: q.Unit}
		if q.Period != "" {
			r.Period = &q.Period
		}
		from := Cell{Text: origin(q.Origin)}
		for _, o := range q.Overrides {
			from.Notes = append(from.Notes, t.note(fmt.Sprintf("overrides %s of %s", plot.Amount(o.Limit, r), origin(o.Origin))))
		}
		name := Cell{Text: q.Name}
		for _, n := range q.Notes {
			name.Notes = append(name.Notes, t.note(n))
		}
		adjustable := "no"
		if q.Adjustable {
			adjustable = "yes"
		}
		t.Rows = append(t.Rows, []Cell{{Text: q.ID}, name, {Text: plot.Amount(q.Limit, r)}, from, {Text: q.Source}, {Text: q.AsOf}, {Text: q.Code}, {Text: adjustable}})
	}
	return t
}

// labelsOf says what a series is of that belongs to no quota: "broker 1, cluster views".
func labelsOf(s measure.Series) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(s.Labels)) {
		parts = append(parts, strings.ToLower(name)+" "+s.Labels[name])
	}
	return strings.Join(parts, ", ")
}

// seriesTable lists what was read from outside and of the generator, and what was
// asked for and never came. What a driver saw of its connections and brokers has
// tables of its own.
func seriesTable(run *capacity.Run) *Table {
	t := &Table{Caption: "Metrics read", Columns: []Column{{"metric", false}, {"of", false}, {"source", false}, {"statistic", false}, {"points", true}, {"coverage", true}}}
	name := func(s measure.Series) string {
		if s.Namespace == "" {
			return s.Metric
		}
		return s.Namespace + " " + s.Metric
	}
	same := func(x, y measure.Series) bool {
		return x.Source == y.Source && x.Namespace == y.Namespace && x.Metric == y.Metric && x.Statistic == y.Statistic && maps.Equal(x.Labels, y.Labels)
	}
	row := func(s measure.Series) []Cell {
		of := s.Quota
		if of == "" {
			of = labelsOf(s)
		}
		if s.Role != "" {
			of += " (" + s.Role + ")"
		}
		return []Cell{{Text: name(s)}, {Text: of}, {Text: s.Source}, {Text: fmt.Sprintf("%s of %s", s.Statistic, unit.FormatDuration(s.Period))}}
	}
	for _, s := range run.Series {
		if s.Source == measure.HTTPClient || s.Source == measure.KafkaClient {
			continue
		}
		c := capacity.Coverage(run, s)
		coverage := Cell{Text: unit.HumanShare(c)}
		switch {
		case s.Metric == capacity.CloudClock:
			coverage = t.missing("it comes with answers of the cloud, not by the minute")
		case math.IsNaN(c):
			coverage = t.missing("no minute to cover")
		}
		t.Rows = append(t.Rows, append(row(s), Cell{Text: whole(int64(s.Points.Len()))}, coverage))
	}
	for _, s := range run.Manifest.Expected {
		if !slices.ContainsFunc(run.Series, func(x measure.Series) bool { return same(x, s) }) {
			c := t.missing("asked for, but never published")
			t.Rows = append(t.Rows, append(row(s), c, c))
		}
	}
	return t
}
