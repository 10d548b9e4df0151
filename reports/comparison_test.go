package reports_test

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/capacity/comparison"
	"github.com/headroom-load/headroom/reports"
)

func TestComparison(t *testing.T) {
	figure := func(a, b float64) comparison.Figure { return comparison.Figure{A: &a, B: &b, Ratio: ptr(b / a)} }
	onlyA := func(a float64) comparison.Figure { return comparison.Figure{A: &a} }
	c := comparison.Comparison{
		Label:    comparison.SingleRun,
		A:        comparison.Side{ID: "before", Scenario: "premiere", Status: capacity.Valid, Reason: "appsync.request-tokens binds at 10.0 requests/s"},
		B:        comparison.Side{ID: "after", Scenario: "premiere-cached", Status: capacity.Valid, Reason: "momento.throughput binds at 500 requests/s"},
		Warnings: []string{"the scenarios differ: premiere 5f2b7a90 and premiere-cached 0c1d2e3f"},
		Quotas: []comparison.Quota{
			{
				ID: "appsync.request-tokens", Unit: "tokens", Kind: capacity.RateQuota, Limit: figure(2000, 20000), UnitCost: figure(200, 1),
				Peak: figure(2600, 452), Utilization: figure(1.3, 0.0226), BindsAt: onlyA(10), Throttled: figure(75, 0),
			},
			{
				ID: "momento.throughput", Unit: "B", Kind: capacity.RateQuota,
				Limit: comparison.Figure{B: ptr(1.5e9)}, UnitCost: comparison.Figure{B: ptr(3e6)}, BindsAt: comparison.Figure{B: ptr(500.0)},
			},
		},
		Operations: []comparison.Operation{{
			Name: "listPrograms", LoadA: "viewers", LoadB: "viewers",
			Sent: figure(340, 12000), OK: figure(0.779, 1), Throttled: figure(0.221, 0), Failed: comparison.Figure{A: ptr(0.0), B: ptr(0.0)}, Tokens: figure(200, 1),
			ResponseTime: comparison.Times{Mean: figure(0.0837, 0.0121), P50: figure(0.0796, 0.0110), P99: comparison.Figure{B: ptr(0.0305)}},
			ServiceTime:  comparison.Times{Mean: figure(0.066, 0.0118), P50: figure(0.0692, 0.0107)},
		}},
	}
	r := reports.Comparison(c)
	var page bytes.Buffer
	if err := r.HTML(&page); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(io.Writer) error{
		"comparison":    func(w io.Writer) error { return r.Text(w, reports.Options{}) },
		"comparison.md": r.Markdown,
	} {
		var b bytes.Buffer
		if err := f(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
		for _, text := range []string{b.String(), page.String()} {
			for _, want := range []string{comparison.SingleRun, "0.005x", "the scenarios differ"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s or the page lacks %q", name, want)
				}
			}
		}
	}
}

// Two runs that were really assessed compare without trouble.
func TestComparisonOfRuns(t *testing.T) {
	run, _ := premiere()
	var b bytes.Buffer
	if err := reports.Comparison(comparison.Compare(run, run)).Text(&b, reports.Options{}); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`unit cost +200 tokens +200 tokens +1\.00x`).MatchString(b.String()) {
		t.Error(b.String())
	}
}
