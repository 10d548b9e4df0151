package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/headroom-load/headroom/capacity"
)

// schema names the format of report.json. Fields may be added under it; none
// changes its meaning or goes away.
const schema = "headroom.report/1"

type jsonReport struct {
	Schema  string           `json:"schema"`
	Run     jsonRun          `json:"run"`
	Verdict capacity.Verdict `json:"verdict"`
	// Withheld says why no figure of the quotas is given; left out of a whole record.
	Withheld string `json:"withheld,omitempty"`
	// TimesWithheld says why means and percentiles of times are null; left out where the
	// run gives them.
	TimesWithheld string `json:"times_withheld,omitempty"`
	// LimitedBy says who kept the run from more or faster answers.
	LimitedBy capacity.LimitedBy `json:"limited_by"`

	Operations        []capacity.OperationResult `json:"operations"`
	Quotas            []capacity.QuotaResult     `json:"quotas"`
	FirstToBind       *string                    `json:"first_to_bind"`
	FirstToBindReason string                     `json:"first_to_bind_reason"`
	Thresholds        []capacity.ThresholdResult `json:"thresholds"`
	// ConsumerLag is how far Kafka's consumer groups were behind, where it was read.
	ConsumerLag []capacity.Lag `json:"consumer_lag,omitempty"`
	// Consumers is how they kept up.
	Consumers []capacity.Consumer `json:"consumers,omitempty"`
	// MSK is what CloudWatch says of the observed cluster.
	MSK *capacity.Cluster `json:"msk,omitempty"`
}

type jsonRun struct {
	ID       string           `json:"id"`
	Kind     capacity.Kind    `json:"kind"`
	Start    time.Time        `json:"start"`
	End      *time.Time       `json:"end"` // null where the record was cut off
	Scenario string           `json:"scenario"`
	Digest   string           `json:"digest"`
	State    capacity.State   `json:"state"`
	Reason   string           `json:"reason,omitempty"` // why it was interrupted or stopped
	Target   string           `json:"target"`
	Forecast *float64         `json:"forecast"` // arrivals per second
	Settle   float64          `json:"settle_s"`
	Tool     capacity.Tool    `json:"tool"`
	Machine  capacity.Machine `json:"machine"`
	Notes    []string         `json:"notes"`
	Damage   []string         `json:"damage"`
}

// JSON writes report.json. Times are in seconds and figures that the run does
// not give are null.
func JSON(w io.Writer, run *capacity.Run, a capacity.Assessment) error {
	a = withhold(run, a)
	m := run.Manifest
	r := jsonReport{
		Schema: schema,
		Run: jsonRun{
			ID: m.ID, Kind: m.Kind, Start: m.Start.UTC(), Scenario: m.Scenario.Name, Digest: m.Scenario.Digest,
			State: m.State, Reason: m.Reason, Target: m.Target, Settle: m.Settle, Tool: m.Tool, Machine: m.Machine,
			Notes: orEmpty(m.Notes), Damage: orEmpty(run.Damage),
		},
		Verdict: a.Verdict, Withheld: a.Withheld, TimesWithheld: a.TimesWithheld, LimitedBy: a.LimitedBy, Operations: a.Operations, Quotas: a.Quotas,
		FirstToBind: a.FirstToBind, FirstToBindReason: a.FirstToBindReason, Thresholds: a.Thresholds,
		ConsumerLag: capacity.Lags(run), Consumers: a.Consumers, MSK: capacity.ClusterOf(run),
	}
	if !m.End.IsZero() {
		r.Run.End = new(m.End.UTC())
	}
	if m.Scenario.Forecast > 0 {
		r.Run.Forecast = &m.Scenario.Forecast
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write report.json: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}
