package reports_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"html"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/reports"
	"github.com/headroom-load/headroom/reports/plot"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/measure"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); run with -update if it should:\n%s", path, diff)
	}
}

// render returns what every renderer makes of a run, by file name, with the
// terminal's text as "terminal" and the figures under plots/ as SVG.
func render(t *testing.T, run *capacity.Run, a capacity.Assessment) map[string]string {
	t.Helper()
	r := reports.New(run, a)
	out := map[string]string{}
	for name, f := range map[string]func(io.Writer) error{
		"terminal":    func(w io.Writer) error { return reports.New(run, a).Text(w, reports.Options{}) },
		"color":       func(w io.Writer) error { return reports.New(run, a).Text(w, reports.Options{Color: true, Width: 80}) },
		"report.md":   r.Markdown,
		"report.html": r.HTML,
		"report.json": func(w io.Writer) error { return reports.JSON(w, run, a) },
		"junit.xml":   func(w io.Writer) error { return reports.JUnit(w, run, a) },
	} {
		var b bytes.Buffer
		if err := f(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = b.String()
	}
	for _, f := range figures(r) {
		if f.Missing == "" {
			b, err := f.SVG()
			if err != nil {
				t.Fatal(err)
			}
			out["plots/"+f.Name+".svg"] = string(b)
		}
	}
	return out
}

func figures(r *reports.Report) (all []plot.Figure) {
	for _, s := range r.Sections {
		for _, b := range s.Blocks {
			if f, ok := b.(reports.Figure); ok {
				all = append(all, f.Figure)
			}
		}
	}
	return all
}

func TestGolden(t *testing.T) {
	run, a := premiere()
	r := reports.New(run, a)
	for name, f := range map[string]func(io.Writer) error{
		"terminal":    func(w io.Writer) error { return reports.New(run, a).Text(w, reports.Options{Dir: "runs/before"}) },
		"report.md":   r.Markdown,
		"report.json": func(w io.Writer) error { return reports.JSON(w, run, a) },
		"junit.xml":   func(w io.Writer) error { return reports.JUnit(w, run, a) },
	} {
		var b bytes.Buffer
		if err := f(&b); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.Bytes())
	}
}

// The first screen of a terminal holds the verdict, the first quota to bind and
// the headroom table.
func TestFirstScreen(t *testing.T) {
	run, a := premiere()
	lines := strings.SplitAfter(render(t, run, a)["terminal"], "\n")
	screen := strings.Join(lines[:24], "")
	for _, want := range []string{"VALID", "appsync.request-tokens binds first, at 10.0 requests/s", "2,000 tokens/s", "-30.0 %", "1,000,000 tokens/s", "500x the limit"} {
		if !strings.Contains(screen, want) {
			t.Errorf("the first 24 lines lack %q:\n%s", want, screen)
		}
	}
}

func TestJSON(t *testing.T) {
	run, a := premiere()
	var top map[string]json.RawMessage
	var decoded struct {
		Schema string
		Run    struct{ ID, Kind, Start, End, Scenario, Digest string }
		capacity.Assessment
	}
	text := []byte(render(t, run, a)["report.json"])
	if err := json.Unmarshal(text, &top); err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for k := range top {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	if want := []string{"first_to_bind", "first_to_bind_reason", "limited_by", "operations", "quotas", "run", "schema", "thresholds", "verdict"}; !slices.Equal(keys, want) {
		t.Errorf("top level has %v, want %v", keys, want)
	}
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	if decoded.Schema != "headroom.report/1" || decoded.Run.ID != "before" || decoded.Run.Kind != "measured" || decoded.Run.Start != "2026-11-21T09:30:10Z" || decoded.Run.Digest == "" {
		t.Errorf("schema and run: %+v", decoded)
	}
	if diff := cmp.Diff(a.Operations, decoded.Operations); diff != "" {
		t.Error(diff)
	}
	if got, want := *decoded.Quotas[0].BindsAt.Rate, 10.0; got != want {
		t.Errorf("binds at %v, want %v", got, want)
	}
	fields := map[string][]string{}
	for _, list := range []string{"operations", "quotas", "thresholds"} {
		var items []map[string]json.RawMessage
		if err := json.Unmarshal(top[list], &items); err != nil || len(items) == 0 {
			t.Fatalf("%s: %v, %d items", list, err, len(items))
		}
		for k := range items[0] {
			fields[list] = append(fields[list], k)
		}
	}
	for list, names := range map[string]string{
		"operations": "load name planned sent dropped not_due completed timed_out generator_errors unfinished ok throttled failed rejected unclassified response_time service_time lag tokens",
		"quotas":     "id limit unit period origin peak peak_at utilization headroom unit_cost by_operation binds_at safe_rate required resolution coverage throttled",
		"thresholds": "expression value passed",
	} {
		for _, name := range strings.Fields(names) {
			if !slices.Contains(fields[list], name) {
				t.Errorf("%s lack %q", list, name)
			}
		}
	}
}

// What is not a number is null, and never a list.
func TestJSONWithoutNumbers(t *testing.T) {
	run, a := premiere()
	nan := math.NaN()
	a.Operations[0].ResponseTime.P50 = &nan
	a.Quotas[0].UnitCost.High = math.Inf(1)
	a.Quotas[0].Peak = &nan
	a.Quotas[0].BindsAt.High = ptr(math.Inf(1))
	a.Quotas[0].ByOperation[0].UnitCost = nan
	a.Quotas[0].Required.Quota = nan
	a.Thresholds[0].Value = &nan
	text := render(t, run, a)["report.json"]
	var decoded struct{ capacity.Assessment }
	if err := json.Unmarshal([]byte(text), &decoded); err != nil {
		t.Fatal(err)
	}
	q := decoded.Quotas[0]
	if q.UnitCost != nil || q.Peak != nil || q.BindsAt.High != nil || q.BindsAt.Rate == nil || len(q.ByOperation) != 0 || q.Required != nil || decoded.Operations[0].ResponseTime.P50 != nil {
		t.Errorf("not null: %+v", q)
	}
	for list, text := range map[string]string{"empty": render(t, &capacity.Run{}, capacity.Assessment{})["report.json"]} {
		for _, want := range []string{`"operations": []`, `"quotas": []`, `"thresholds": []`, `"checks": []`, `"first_to_bind": null`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %s in\n%s", list, want, text)
			}
		}
	}
}

func TestHTMLNeedsNothingElse(t *testing.T) {
	run, a := premiere()
	page := render(t, run, a)["report.html"]
	csp := `<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">`
	if strings.Count(page, csp) != 1 || strings.Index(page, csp) > strings.Index(page, "<style>") {
		t.Error("the content security policy is not there before the style")
	}
	for _, no := range []string{"http://", "https://", "//", "<script", "<link", "<img", "<iframe", "<image", "src=", "href", "url(", "@import", "@font-face", "javascript:", "onload"} {
		if strings.Contains(page, no) {
			t.Errorf("the page has %q", no)
		}
	}
	if n, want := strings.Count(page, "<svg "), 8; n != want {
		t.Errorf("%d figures, want %d", n, want)
	}
	if strings.Count(page, `role="img"`) != strings.Count(page, "<svg ") || strings.Count(page, "aria-label=") < strings.Count(page, "<svg ") {
		t.Error("a figure has no text for those who don't see it")
	}
	for _, want := range []string{"prefers-color-scheme:dark", "@media print", `<th scope="col"`, `<th scope="row"`, `<html lang="en">`} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Count(page, "<h1>") != 1 {
		t.Error("the page has not exactly one h1")
	}
	if c := regexp.MustCompile(`(fill|stroke):#[0-9A-F]{6}`).FindString(page); c != "" {
		t.Errorf("a figure's colour does not follow the page: %s", c)
	}
}

// A requirement that isn't the rate times the unit cost beside it says by which cost
// it is.
func TestColdRequirement(t *testing.T) {
	const note = "the rate times 300 tokens, the unit cost in the run's dearest stretch"
	for _, cold := range []float64{200, 300} {
		run, a := premiere()
		q := &a.Quotas[0]
		q.UnitCost = &capacity.Estimate{Value: 200, Low: 200, High: 200}
		q.ColdCost, q.Required = &cold, &capacity.Requirement{Target: 5000, Quota: 5000 * cold, Grade: capacity.Arithmetic}
		text := strings.Join(strings.Fields(render(t, run, a)["report.md"]), " ")
		if strings.Contains(text, note) != (cold > 200) || strings.Contains(text, "dearest stretch") != (cold > 200) {
			t.Errorf("cold cost %g: the footnote is missing or out of place in %s", cold, text)
		}
	}
}

// A level that is known by the minute may hide a cold beginning, and says so beside what
// it requires, unless the requirement is of the cold stretch.
func TestColdIsHiddenByMinutes(t *testing.T) {
	const note = "how long a unit is held is known by the minute"
	for _, c := range []struct {
		resolution string
		cold       float64
		want       bool
	}{{"60s maximum", 0.1, true}, {"1s maximum", 0.1, false}, {"60s maximum", 0.3, false}} {
		run, a := premiere()
		q := &a.Quotas[slices.IndexFunc(a.Quotas, func(q capacity.QuotaResult) bool { return q.ID == "lambda.concurrency" })]
		q.Resolution, q.UnitCost, q.ColdCost = c.resolution, &capacity.Estimate{Value: 0.1, Low: 0.1, High: 0.1}, &c.cold
		q.Required = &capacity.Requirement{Target: 5000, Quota: 5000 * c.cold, Grade: capacity.Arithmetic}
		if text := strings.Join(strings.Fields(render(t, run, a)["report.md"]), " "); strings.Contains(text, note) != c.want {
			t.Errorf("%+v: %s", c, text)
		}
	}
}

// Names come from files and answers that others wrote.
func TestHostileNames(t *testing.T) {
	const evil = "<script>alert(1)</script>\"'&|`*_\x1b[31m\u202e]]>\n# "
	run, a := premiere()
	run.Manifest.ID, run.Manifest.Target, run.Manifest.Scenario.Name, run.Manifest.Scenario.Description = evil, evil, evil, evil
	run.Manifest.Notes, run.Damage, run.Manifest.Reason, run.Manifest.State = []string{evil}, []string{evil}, evil, capacity.Stopped
	run.Manifest.Loads[0].Name, run.Manifest.Loads[0].Stages[0].Name = evil, evil
	run.Manifest.Quotas[0].Source, run.Series[0].Metric = evil, evil
	a.Operations[0].Name, a.Operations[0].Load = evil, evil
	a.Operations[0].Reasons = map[string]int64{evil: 1}
	a.Quotas[0].ID, a.Quotas[0].Resolution, a.Quotas[0].Notes = evil, evil, []string{evil}
	a.Thresholds[0].Expression, a.FirstToBindReason = evil, evil
	a.FirstToBind = &a.Quotas[0].ID
	a.Verdict.Checks[0].Value, a.Verdict.Checks[0].Hint, a.Verdict.Checks[0].Status = evil, evil, capacity.CheckFailed
	for name, text := range render(t, run, a) {
		switch filepath.Ext(name) {
		case ".json":
			if !json.Valid([]byte(text)) {
				t.Errorf("%s is not JSON", name)
			}
			continue
		case ".xml", ".svg":
			d := xml.NewDecoder(strings.NewReader(text))
			for {
				tok, err := d.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Errorf("%s is not XML: %v", name, err)
					break
				}
				if e, ok := tok.(xml.StartElement); ok && e.Name.Local == "script" {
					t.Errorf("%s has a script", name)
				}
			}
		case ".md":
			for line := range strings.Lines(text) {
				if strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "# &lt;script") {
					t.Errorf("a name became a heading: %q", line)
				}
			}
		}
		if name != "color" && strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("%s has control characters", name)
		}
		if name != "terminal" && name != "color" && strings.Contains(text, "<script>") {
			t.Errorf("%s has the script as it was", name)
		}
		if strings.HasPrefix(name, "plots/") && (strings.Contains(name, "..") || strings.ContainsAny(strings.TrimPrefix(name, "plots/"), "/<\n")) {
			t.Errorf("a figure is called %q", name)
		}
	}
}

// A measured run says what its machine was found able to do, or that nobody
// looked.
func TestCalibration(t *testing.T) {
	run, a := premiere()
	const none = "not calibrated: run headroom calibrate"
	for _, calibrated := range []bool{false, true} {
		want, not := none, "stall self-test"
		if calibrated {
			run.Manifest.Machine.Calibration = &capacity.Calibration{
				At: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC), Ceiling: 41000,
				Open:  capacity.OpenLoop{Rate: 20500, Status: capacity.Valid, Lag: capacity.Spread{P99: 0.0011}},
				Stall: capacity.StallTest{Passed: true, Error: ptr(0.012)},
			}
			want, not = "ceiling 41,000 requests/s over HTTP/1.1, lag p99 1.10 ms at 20,500/s, stall self-test 1.20 % (2026-11-21)", none
		}
		all := render(t, run, a)
		for _, name := range []string{"report.md", "report.html"} {
			if !strings.Contains(all[name], want) || strings.Contains(all[name], not) {
				t.Errorf("%s of a run, calibrated: %v, lacks %q", name, calibrated, want)
			}
		}
		if got := strings.Contains(all["report.json"], `"ceiling": 41000`); got != calibrated {
			t.Errorf("report.json with the ceiling: %v, want %v", got, calibrated)
		}
	}
}

// A run whose generator fell short shows no prediction, in any renderer.
func TestInvalidShowsNoPrediction(t *testing.T) {
	run, a := premiere()
	a.Verdict.Status = capacity.Invalid
	a.Verdict.Checks[1].Status, a.Verdict.Checks[1].Value, a.Verdict.Checks[1].Hint = capacity.CheckFailed, "p99 2.00 s", "use a faster machine"
	a.Quotas[0].BindsAt = &capacity.Prediction{Rate: ptr(17.17), Low: ptr(18.18), High: ptr(19.19), Grade: capacity.Tested}
	a.Quotas[0].SafeRate = &capacity.Prediction{Rate: ptr(27.27), Low: ptr(28.28), High: ptr(29.29), Grade: capacity.Tested}
	a.FirstToBindReason = "appsync.request-tokens binds at 17.2 requests/s"
	run.Manifest.Scenario.Thresholds[0].Text, run.Manifest.Scenario.Thresholds[0].Metric, run.Manifest.Scenario.Thresholds[0].Of = "binds_at(appsync.request-tokens) > 5/s", "binds_at", "appsync.request-tokens"
	a.Thresholds = []capacity.ThresholdResult{{Expression: "binds_at(appsync.request-tokens) > 5/s", Value: ptr(17.17), Passed: true}}
	predicted := regexp.MustCompile(`1[789]\.[12]|2[789]\.[23]|binds at [0-9]`)
	for _, status := range []capacity.Status{capacity.Invalid, capacity.Inconclusive} {
		a.Verdict.Status = status
		for name, text := range render(t, run, a) {
			if strings.HasSuffix(name, ".svg") {
				text = strings.Join(regexp.MustCompile(`>[^<]+<`).FindAllString(text, -1), " ")
			}
			if name == "report.html" {
				text = regexp.MustCompile(`(?s)<path[^>]*>|<text[^>]*>|<svg[^>]*>|<g [^>]*>|<style>.*</style>`).ReplaceAllString(text, "")
			}
			if found := predicted.FindString(text); found != "" {
				t.Errorf("%s %s shows a prediction: %q", status, name, found)
			}
			if !strings.HasSuffix(name, ".svg") && name != "junit.xml" && !strings.Contains(text, string(status)) {
				t.Errorf("%s does not say %s", name, status)
			}
		}
	}
	a.Verdict.Status = capacity.Invalid
	text := render(t, run, a)["terminal"]
	for _, want := range []string{"p99 2.00 s", "use a faster machine", "1,000,000 tokens/s"} {
		if !strings.Contains(text, want) {
			t.Errorf("the terminal lacks %q:\n%s", want, text)
		}
	}
}

// Where a run withholds its times, every report says so, and why.
func TestTimesWithheld(t *testing.T) {
	run, a := premiere()
	a.TimesWithheld = "requests were given up with the run"
	for i := range a.Operations {
		times := &a.Operations[i].ResponseTime
		times.Mean, times.P50, times.P90, times.P95, times.P99 = nil, nil, nil, nil, nil
	}
	all := render(t, run, a)
	for _, name := range []string{"terminal", "report.md", "report.html", "report.json"} {
		text := strings.Join(strings.Fields(all[name]), " ")
		want := "withheld: " + a.TimesWithheld
		if name == "report.json" {
			want = `"times_withheld": "` + a.TimesWithheld + `"`
		}
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %q", name, want)
		}
	}
	for _, name := range []string{"plots/response-time.svg", "plots/latency.svg"} {
		if all[name] != "" {
			t.Errorf("%s shows response times that the run withholds", name)
		}
	}
}

// After drops at the in-flight limit alone, a quota that was seen to throttle
// keeps its binding rate, and others lose theirs.
func TestSaturationKeepsWhatThrottled(t *testing.T) {
	run, a := premiere()
	a.Verdict = capacity.Verdict{Status: capacity.Invalid, Checks: []capacity.Check{{Name: capacity.CheckSaturationDrops, Status: capacity.CheckFailed, Value: "5", Bound: "0"}}}
	a.Quotas[1].BindsAt = &capacity.Prediction{Rate: ptr(77.0), Grade: capacity.Tested}
	a.Quotas[1].Throttled = ptr(int64(0))
	var got struct{ capacity.Assessment }
	if err := json.Unmarshal([]byte(render(t, run, a)["report.json"]), &got); err != nil {
		t.Fatal(err)
	}
	if got.Quotas[0].BindsAt == nil || got.Quotas[1].BindsAt != nil || got.FirstToBind == nil {
		t.Errorf("throttled %+v, not throttled %+v", got.Quotas[0].BindsAt, got.Quotas[1].BindsAt)
	}
}

// What was missed stands at the top, by name, and not only in the table at the end.
func TestMissedThresholds(t *testing.T) {
	run, a := premiere()
	run.Manifest.Scenario.Thresholds = append(run.Manifest.Scenario.Thresholds, scenarios.Threshold{Text: "p99(listPrograms) < 800ms", Metric: "p99", Of: "listPrograms", Op: "<", Value: 0.8})
	a.Thresholds = append(a.Thresholds,
		capacity.ThresholdResult{Expression: "p99(listPrograms) < 800ms", Value: ptr(0.912)},
		capacity.ThresholdResult{Expression: "binds_at(x) > 5/s"})
	for name, text := range render(t, run, a) {
		if name != "terminal" && name != "report.html" && name != "report.md" {
			continue
		}
		text = html.UnescapeString(strings.ReplaceAll(text, `\`, ""))
		top, _, _ := strings.Cut(strings.ToLower(text), " binds at ") // the headline
		for _, want := range []string{"1 of 3 thresholds met", "threshold missed: p99(listprograms) < 800ms, it was 912 ms", "threshold missed: binds_at(x) > 5/s, which the run doesn't tell"} {
			if !strings.Contains(top, want) {
				t.Errorf("%s doesn't say %q at its top", name, want)
			}
		}
		if strings.Contains(top, "missed: errors") {
			t.Errorf("%s calls a threshold missed that was met", name)
		}
	}
}

func TestJUnit(t *testing.T) {
	run, a := premiere()
	a.Thresholds = append(a.Thresholds, capacity.ThresholdResult{Expression: "p99(listPrograms) < 800ms"})
	a.Verdict.Checks[0].Status = capacity.CheckFailed
	var suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Skipped  int `xml:"skipped,attr"`
		Cases    []struct {
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
		} `xml:"testcase"`
	}
	if err := xml.Unmarshal([]byte(render(t, run, a)["junit.xml"]), &suite); err != nil {
		t.Fatal(err)
	}
	if suite.Tests != 7 || suite.Failures != 2 || suite.Skipped != 1 || len(suite.Cases) != 7 || suite.Cases[0].Failure != nil || suite.Cases[1].Failure == nil {
		t.Errorf("%+v", suite)
	}
}

// A run of which nothing is known gives reports that say so.
func TestNothingKnown(t *testing.T) {
	run, a := premiere()
	bare := &capacity.Run{Manifest: capacity.Manifest{Scenario: capacity.Scenario{Name: "bare"}}}
	some := capacity.Assessment{
		Verdict:    capacity.Verdict{Status: capacity.Inconclusive},
		Quotas:     []capacity.QuotaResult{{ID: "x", Kind: capacity.RateQuota, Unit: "ops", Limit: 5}},
		Operations: []capacity.OperationResult{{Name: "op"}},
		Thresholds: []capacity.ThresholdResult{{Expression: "errors < 1%"}},
	}
	for name, c := range map[string]struct {
		run *capacity.Run
		a   capacity.Assessment
	}{"zero": {&capacity.Run{}, capacity.Assessment{}}, "bare": {bare, some}, "foreign": {run, some}, "no rows": {bare, a}} {
		for file, text := range render(t, c.run, c.a) {
			if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, "%!") {
				t.Errorf("%s %s:\n%s", name, file, text)
			}
		}
	}
	text := render(t, bare, some)["terminal"]
	if !strings.Contains(text, "n/a") || !strings.Contains(text, "no use of x was recorded") {
		t.Errorf("a missing figure is not marked with its reason:\n%s", text)
	}
}

// Every figure has a title, axis titles and text in a font that everyone has.
func TestFigures(t *testing.T) {
	var canvas plot.Canvas
	run, a := premiere()
	axes := map[string][]string{
		"rate":                        {"requests per second", "time since the start (s)", "offered", "served", "throttled", "onset"},
		"use-appsync.request-tokens":  {"tokens per second", "time since the start (s)", "limit", "2,000 tokens/s", "peak 2,600 tokens/s"},
		"use-lambda.concurrency":      {"environments", "time since the start (s)", "limit (off scale)", "1,000 environments", "60 s maximum"},
		"cost-appsync.request-tokens": {"tokens per second", "offered arrivals per second", "unit cost 200 tokens", "binds at 10.0/s"},
		"cost-lambda.concurrency":     {"environments", "offered arrivals per second", "unit cost 85.2 ms"},
		"response-time":               {"time (ms)", "time since the start (s)", "p50"},
		"headroom":                    {"peak use (% of the limit)", "appsync.request-tokens", "130 % of 2,000 tokens/s"},
		"latency":                     {"percentile (log scale of the tail)", "time (log scale)", "100 ms", "response time", "service time"},
	}
	for _, f := range plot.Figures(run, a) {
		want, ok := axes[f.Name]
		if !ok {
			t.Errorf("unexpected figure %s", f.Name)
			continue
		}
		delete(axes, f.Name)
		b, err := f.SVG()
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range append(want, f.Title) {
			if !bytes.Contains(b, []byte(">"+text+"")) {
				t.Errorf("%s lacks the text %q", f.Name, text)
			}
		}
		if bytes.Contains(b, []byte("-0<")) || bytes.Count(b, []byte("<text")) != bytes.Count(b, []byte("sans-serif")) || bytes.Contains(b, []byte("NaN")) {
			t.Errorf("%s has a faulty text", f.Name)
		}
		png, err := canvas.PNG(f)
		if err != nil || !bytes.HasPrefix(png, []byte("\x89PNG")) {
			t.Errorf("%s as PNG: %v, %d bytes", f.Name, err, len(png))
		}
		if fresh, err := new(plot.Canvas).PNG(f); err != nil || !bytes.Equal(png, fresh) {
			t.Errorf("%s as PNG differs from one that is painted on a canvas of its own: %v", f.Name, err)
		}
	}
	if len(axes) > 0 {
		t.Errorf("missing figures: %v", axes)
	}
}

// Whatever the names, no line is wider than the terminal.
func TestTerminalFits(t *testing.T) {
	run, a := premiere()
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.StringOfN(rapid.RuneFrom([]rune("aé 日本語|<\t\u0301-_")), 0, 60, -1)
		m := *run
		m.Rows, m.Latency = measure.Rows{}, nil // figures are not at stake here
		m.Manifest.Scenario.Name, m.Manifest.Target = name.Draw(rt, "scenario"), name.Draw(rt, "target")
		b := a
		b.Quotas = slices.Clone(a.Quotas)
		b.Quotas[0].ID, b.Quotas[0].Resolution = name.Draw(rt, "quota"), name.Draw(rt, "resolution")
		b.Operations = slices.Clone(a.Operations)
		b.Operations[0].Name = name.Draw(rt, "operation")
		b.Operations[0].Reasons = map[string]int64{name.Draw(rt, "reason"): 3}
		b.FirstToBindReason = name.Draw(rt, "sentence")
		width := rapid.IntRange(60, 140).Draw(rt, "width")
		var out bytes.Buffer
		if err := reports.New(&m, b).Text(&out, reports.Options{Width: width, Dir: name.Draw(rt, "dir")}); err != nil {
			rt.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := columns(strings.TrimSuffix(line, "\n")); n > width {
				rt.Fatalf("%d columns in %d: %q", n, width, line)
			}
		}
	})
}

// columns counts wide characters of this test's alphabet twice.
func columns(s string) (n int) {
	for _, r := range s {
		switch {
		case r >= 0x2E80 && r < 0xA000:
			n += 2
		case r != '\u0301':
			n++
		}
	}
	return n
}

func BenchmarkWrite(b *testing.B) {
	run, a := premiere()
	dir := b.TempDir()
	for b.Loop() {
		if _, err := reports.Write(dir, run, a); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTerminal(b *testing.B) {
	run, a := premiere()
	for b.Loop() {
		if err := reports.New(run, a).Text(io.Discard, reports.Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFigure(b *testing.B) {
	run, a := premiere()
	f := plot.Figures(run, a)[0]
	var canvas plot.Canvas
	for format, render := range map[string]func() ([]byte, error){"svg": f.SVG, "png": func() ([]byte, error) { return canvas.PNG(f) }} {
		b.Run(fmt.Sprint(format), func(b *testing.B) {
			for b.Loop() {
				if _, err := render(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Where response times grow, no percentile promises that a longer run tells it.
func TestGrowingShowsNoRunLength(t *testing.T) {
	run, a := premiere()
	if hinted := render(t, run, a)["terminal"]; !strings.Contains(hinted, "+9m") {
		t.Fatalf("the run gives no hint to withhold:\n%s", hinted)
	}
	response := &a.Operations[0].ResponseTime
	response.Intervals, response.NeedsSeconds, response.Grows = nil, nil, true
	for format, text := range render(t, run, a) {
		if format == "terminal" && (strings.Contains(text, "+9m") || !strings.Contains(text, "n/a") || !strings.Contains(text, "response times still grew while the rate was held")) {
			t.Errorf("%s:\n%s", format, text)
		}
	}
}

// Figures that timed-out requests decide are shown as the least they can be.
func TestTimedOutIsShownAsAtLeast(t *testing.T) {
	run, a := premiere()
	for format, text := range render(t, run, a) {
		if strings.Contains(text, "≥") || strings.Contains(text, "at_least") {
			t.Fatalf("%s of a run without timeouts has a lower bound:\n%s", format, text)
		}
	}
	o := &a.Operations[0]
	o.TimedOut, o.ResponseTime.Max, o.ResponseTime.AtLeast = 1, new(30.0), []string{"max"}
	run.Manifest.Scenario.Thresholds = []scenarios.Threshold{{Text: "max < 1h", Metric: "max", Op: "<", Value: 3600}}
	a.Thresholds = []capacity.ThresholdResult{{Expression: "max < 1h", Value: new(30.0), AtLeast: true}}
	texts := render(t, run, a)
	for _, want := range []string{"≥ 30.0 s", "at least: requests timed out", "and, up to when they were given up, requests that timed out", "threshold missed: max < 1h, it was ≥ 30.0 s"} {
		if !strings.Contains(strings.Join(strings.Fields(texts["terminal"]), " "), want) {
			t.Errorf("%q is missing:\n%s", want, texts["terminal"])
		}
	}
	if n := strings.Count(texts["terminal"], "≥"); n != 3 {
		t.Errorf("%d lower bounds, want those of the maximum and of the threshold, at the top and in its table:\n%s", n, texts["terminal"])
	}
}
