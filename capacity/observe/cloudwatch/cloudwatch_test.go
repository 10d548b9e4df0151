package cloudwatch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// points returns values of minutes from noon on; a negative value is a gap.
func points(values ...float64) []measure.Point {
	var ps []measure.Point
	for i, v := range values {
		if v >= 0 {
			ps = append(ps, measure.Point{At: noon.Add(time.Duration(i) * time.Minute), Value: v})
		}
	}
	return ps
}

func series(namespace, metric, statistic string, labels ...string) measure.Series {
	s := measure.Series{Source: "cloudwatch", Namespace: namespace, Metric: metric, Statistic: statistic, Period: time.Minute}
	for i := 0; i < len(labels); i += 2 {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[labels[i]] = labels[i+1]
	}
	return s
}

func read(t *testing.T, f *fake, want ...measure.Series) ([]measure.Series, error) {
	t.Helper()
	got, err := f.source(t).Read(t.Context(), want, noon, noon.Add(3*time.Minute))
	if len(got) != len(want) {
		t.Fatalf("%d series for %d wanted: %v", len(got), len(want), err)
	}
	return got, err
}

func mustRead(t *testing.T, f *fake, want ...measure.Series) []measure.Series {
	t.Helper()
	got, err := read(t, f, want...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func same(t *testing.T, got measure.Series, want []measure.Point) {
	t.Helper()
	if d := cmp.Diff(want, got.Points.Slice()); d != "" {
		t.Errorf("%s: points (-want +got)\n%s", got.Metric, d)
	}
}

var concurrency = series("AWS/Lambda", "ConcurrentExecutions", "Maximum")

func TestReadSortsAndKeepsGaps(t *testing.T) {
	late := points(1, -1, 3, 4) // the fourth minute is beyond what is asked for
	slices.Reverse(late)
	f := &fake{data: map[string][]measure.Point{
		"AWS/Lambda ConcurrentExecutions":             late,
		"AWS/DynamoDB ReadThrottleEvents TableName=T": nil,
	}}
	got := mustRead(t, f, concurrency, series("AWS/DynamoDB", "ReadThrottleEvents", "Sum", "TableName", "T"), series("AWS/DynamoDB", "ReadThrottleEvents", "Sum", "TableName", "U"))
	same(t, got[0], points(1, -1, 3))
	same(t, got[1], nil)
	same(t, got[2], nil)
	if len(f.calls) != 1 {
		t.Errorf("calls: %+v", f.calls)
	}
}

func TestReadAsksFiveHundredAtATime(t *testing.T) {
	f := &fake{data: map[string][]measure.Point{}}
	var want []measure.Series
	for i := range 1201 {
		table := fmt.Sprintf("T%d", i)
		want = append(want, series("AWS/DynamoDB", "ConsumedReadCapacityUnits", "Sum", "TableName", table))
		f.data["AWS/DynamoDB ConsumedReadCapacityUnits TableName="+table] = points(float64(i))
	}
	for i, s := range mustRead(t, f, want...) {
		same(t, s, points(float64(i)))
	}
	var sizes []int
	for _, c := range f.calls {
		sizes = append(sizes, len(c.queries))
	}
	if !slices.Equal(sizes, []int{500, 500, 201}) {
		t.Errorf("queries of each call: %v", sizes)
	}
}

func TestReadFollowsPages(t *testing.T) {
	f := &fake{get: func(call int, r *reply) {
		switch call {
		case 1:
			r.points[0], r.status[0], r.next = points(1), "PartialData", "two"
			r.skip[1] = true
		case 2: // repeats a point of the first page
			r.points[0], r.points[1] = points(1, 2, 3), points(7)
		}
	}}
	got := mustRead(t, f, concurrency, series("AWS/Lambda", "Throttles", "Sum"))
	same(t, got[0], points(1, 2, 3))
	same(t, got[1], points(7))
	if len(f.calls) != 2 || f.calls[1].token != "two" {
		t.Errorf("calls: %+v", f.calls)
	}
}

func TestReadAsksAgainAfterAnInternalError(t *testing.T) {
	f := &fake{data: map[string][]measure.Point{"AWS/Lambda ConcurrentExecutions": points(1, 2, 3), "AWS/Lambda Throttles": points(0)}}
	f.get = func(call int, r *reply) {
		if call == 1 {
			r.status[1] = "InternalError"
			r.points[1] = nil
		}
	}
	got := mustRead(t, f, concurrency, series("AWS/Lambda", "Throttles", "Sum"))
	same(t, got[1], points(0))
	if len(f.calls) != 2 || !slices.Equal(f.calls[1].queries, []string{"AWS/Lambda Throttles"}) {
		t.Errorf("calls: %+v", f.calls)
	}
	f.get = func(_ int, r *reply) { r.status[0] = "InternalError" }
	if _, err := read(t, f, concurrency); err == nil || !strings.Contains(err.Error(), "came incomplete") {
		t.Errorf("an error that stays: %v", err)
	}
}

func TestReadSaysWhatIsForbidden(t *testing.T) {
	f := &fake{data: map[string][]measure.Point{"AWS/Lambda ConcurrentExecutions": points(1, 2, 3)}}
	f.get = func(_ int, r *reply) { r.status[1], r.points[1] = "Forbidden", nil }
	got, err := read(t, f, concurrency, series("AWS/Lambda", "Throttles", "Sum"))
	same(t, got[0], points(1, 2, 3))
	if err == nil || !strings.Contains(err.Error(), "GetMetricData of AWS/Lambda Throttles is forbidden: allow cloudwatch:GetMetricData") {
		t.Errorf("error: %v", err)
	}
	f.get = func(_ int, r *reply) { r.fail = "AccessDeniedException" }
	got, err = read(t, f, concurrency)
	if err == nil || !strings.Contains(err.Error(), "give the credentials cloudwatch:GetMetricData") || got[0].Points.Len() > 0 {
		t.Errorf("refused: %v, %v", got, err)
	}
	if _, again := read(t, f, concurrency); again.Error() != err.Error() || !strings.Contains(err.Error(), "cloudwatch:ListMetrics: AccessDeniedException: as the test wants it\n") {
		t.Errorf("asked again, it says %q after %q", again, err)
	}
}

func TestReadOutlastsThrottling(t *testing.T) {
	f := &fake{data: map[string][]measure.Point{"AWS/Lambda ConcurrentExecutions": points(1)}}
	f.get = func(call int, r *reply) {
		if call < 3 {
			r.fail = "Throttling"
		}
	}
	same(t, mustRead(t, f, concurrency)[0], points(1))
	f.get = func(_ int, r *reply) { r.fail = "Throttling" }
	if _, err := read(t, f, concurrency); err == nil || !strings.Contains(err.Error(), "Throttling") {
		t.Errorf("error: %v", err)
	}
}

func TestReadEnds(t *testing.T) {
	f := &fake{get: func(_ int, r *reply) { r.next = "again" }}
	if _, err := read(t, f, concurrency); err == nil || !strings.Contains(err.Error(), "pages without end") {
		t.Errorf("error: %v", err)
	}
	f = &fake{get: func(_ int, r *reply) { r.message = "one metric was unknown" }}
	if _, err := read(t, f, concurrency); err == nil || !strings.Contains(err.Error(), "one metric was unknown") {
		t.Errorf("a message of the API is lost: %v", err)
	}
}

var tokens = series("AWS/AppSync", "TokensConsumed", "Sum", "GraphQLAPIId", capacity.AnyValue)

func TestReadAddsUpAllAPIsOrTakesTheAccountsOwnSeries(t *testing.T) {
	f := &fake{pageOf: 1, data: map[string][]measure.Point{
		"AWS/AppSync TokensConsumed GraphQLAPIId=a":        points(1, 2, -1),
		"AWS/AppSync TokensConsumed GraphQLAPIId=b":        points(10, -1, -1),
		"AWS/AppSync TokensConsumed GraphQLAPIId=a Kind=x": points(1000),
		"AWS/AppSync Requests GraphQLAPIId=a":              points(1000),
	}}
	got := mustRead(t, f, tokens)[0]
	same(t, got, points(11, 2))
	if got.Labels["GraphQLAPIId"] != "a, b" {
		t.Errorf("labels: %v", got.Labels)
	}
	f.data["AWS/AppSync TokensConsumed"] = points(11, 2, 5)
	got = mustRead(t, f, tokens)[0]
	same(t, got, points(11, 2, 5))
	if len(got.Labels) != 0 {
		t.Errorf("labels: %v", got.Labels)
	}
}

func TestReadGivesUpASumThatLacksAPart(t *testing.T) {
	f := &fake{data: map[string][]measure.Point{
		"AWS/AppSync TokensConsumed GraphQLAPIId=a": points(1, 2, 3),
		"AWS/AppSync TokensConsumed GraphQLAPIId=b": points(10, 20, 30),
	}}
	f.get = func(_ int, r *reply) { r.status[1], r.points[1] = "Forbidden", nil }
	got, err := read(t, f, tokens)
	same(t, got[0], nil)
	if err == nil || !strings.Contains(err.Error(), "is the sum of 2 series") {
		t.Errorf("error: %v", err)
	}
	maximum := tokens
	maximum.Statistic = "Maximum"
	if _, err := read(t, f, maximum); err == nil || !strings.Contains(err.Error(), "only sums can be added up") {
		t.Errorf("maxima were added up: %v", err)
	}
	f.listing = "AccessDeniedException"
	got, err = read(t, f, tokens)
	if err == nil || !strings.Contains(err.Error(), "cloudwatch:ListMetrics") || got[0].Points.Len() > 0 {
		t.Errorf("without a list: %v, %v", got, err)
	}
}

func TestReadFindsMomentosNames(t *testing.T) {
	operations := series("Momento/Metrics", "Operations", "Sum", "CacheName", "programs")
	for _, tt := range []struct {
		name string
		data map[string][]measure.Point
		want []measure.Point
		err  string
	}{
		{"as guessed", map[string][]measure.Point{
			"Momento/Metrics Operations CacheName=programs": points(1),
			"Momento/Metrics Operations":                    points(100),
			"Momento/Metrics Operations Cache=programs":     points(10),
		}, points(1), ""},
		{"another dimension", map[string][]measure.Point{
			"Momento/Metrics Operations cache=programs": points(2),
			"Momento/Metrics Operations cache=others":   points(100),
		}, points(2), ""},
		{"split by API, beside the whole", map[string][]measure.Point{
			"Momento/Metrics Operations cache=programs":         points(3),
			"Momento/Metrics Operations api=get cache=programs": points(2),
			"Momento/Metrics Operations api=set cache=programs": points(1),
		}, points(3), ""},
		{"split by API only", map[string][]measure.Point{
			"Momento/Metrics Operations api=get cache=programs": points(2),
			"Momento/Metrics Operations api=set cache=programs": points(1),
		}, points(3), ""},
		{"another name", map[string][]measure.Point{
			"Momento/Metrics CacheOperationCount cache=programs": points(4),
		}, points(4), ""},
		{"two names", map[string][]measure.Point{
			"Momento/Metrics OperationsRead cache=programs":  points(2),
			"Momento/Metrics OperationsTotal cache=programs": points(3),
		}, nil, "more than one like it: OperationsRead, OperationsTotal"},
		{"two dimensions", map[string][]measure.Point{
			"Momento/Metrics Operations cache=programs":     points(2),
			"Momento/Metrics Operations namespace=programs": points(3),
		}, nil, "more than one set of dimensions"},
		{"another cache", map[string][]measure.Point{
			"Momento/Metrics Operations cache=others": points(2),
		}, nil, `no dimension with the value "programs"`},
		{"nothing there", nil, nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := read(t, &fake{data: tt.data}, operations)
			same(t, got[0], tt.want)
			if (tt.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error: %v, want %q", err, tt.err)
			}
		})
	}
}

func TestReadTakesExactLabelsOfMomento(t *testing.T) {
	f := &fake{data: map[string][]measure.Point{
		"Momento/Metrics Throttles CacheName=sandbox Limit=throughput": points(5),
	}}
	got := mustRead(t, f,
		series("Momento/Metrics", "Throttles", "Sum", "CacheName", "sandbox", "Limit", "operations"),
		series("Momento/Metrics", "Throttles", "Sum", "CacheName", "sandbox", "Limit", "throughput"))
	same(t, got[0], nil)
	same(t, got[1], points(5))
}

// What CloudWatch's clock shows beside this machine's is told by the dates of its
// answers, to a second, and by nothing before the first.
func TestAhead(t *testing.T) {
	for _, want := range []time.Duration{0, 20 * time.Second, -90 * time.Second} {
		f := &fake{ahead: want}
		s := f.source(t)
		if d, ok := s.Ahead(); ok {
			t.Errorf("%v before any answer", d)
		}
		at := time.Now().UTC().Truncate(time.Minute)
		if _, err := s.Read(t.Context(), []measure.Series{{Namespace: "AWS/Lambda", Metric: "Invocations", Statistic: "Sum", Period: time.Minute}}, at.Add(-time.Hour), at); err != nil {
			t.Fatal(err)
		}
		if d, ok := s.Ahead(); !ok || (d-want).Abs() > time.Second {
			t.Errorf("ahead by %v, %v, want %v", d, ok, want)
		}
	}
}
