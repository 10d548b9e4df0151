// Package cloudwatch is the door to Amazon CloudWatch: it reads series with
// GetMetricData and finds with ListMetrics those whose dimensions or names are
// not known beforehand.
package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/headroom-load/headroom/capacity/observe"
	"github.com/headroom-load/headroom/scenarios/measure"
)

const (
	maxQueries = 500 // of one GetMetricData call (CloudWatch API reference)
	// maxPages bounds the pages of one answer, against a token that never ends.
	maxPages = 1000
	// attempts is how often a query is asked that answers InternalError, beside
	// the SDK's own retries of whole calls.
	attempts = 3
)

// Source reads series from CloudWatch. It implements observe.Source.
//
// Every read is billed by AWS per metric asked for, at about USD 0.01 for 1,000.
type Source struct {
	client *cloudwatch.Client
	ahead  *time.Duration // of its clock, the least that any answer told; nil: none did
}

var (
	_ observe.Source = (*Source)(nil)
	_ observe.Clock  = (*Source)(nil)
)

// New returns a source for the account and Region of cfg. An endpoint other
// than AWS's own comes as cfg.BaseEndpoint.
func New(cfg aws.Config) *Source { return &Source{client: cloudwatch.NewFromConfig(cfg)} }

// Ahead implements observe.Clock. Answers are dated to the second, and one that was
// long on its way tells too little: that which tells least of a difference counts.
func (s *Source) Ahead() (d time.Duration, ok bool) {
	if s.ahead == nil {
		return 0, false
	}
	return *s.ahead, true
}

// dated notes when an answer was given by CloudWatch's clock and came by this machine's.
func (s *Source) dated(answer middleware.Metadata) {
	given, there := awsmiddleware.GetServerTime(answer)
	came, then := awsmiddleware.GetResponseAt(answer)
	if !there || !then {
		return
	}
	d := given.Add(time.Second / 2).Sub(came)
	if s.ahead == nil || d.Abs() < s.ahead.Abs() {
		s.ahead = &d
	}
}

// query is one metric that is asked for, as a part of a wanted series.
type query struct {
	want   int // index of the series
	metric types.Metric
	values map[time.Time]float64
	again  bool // it has to be asked, or asked once more
	short  bool // its values are known to be incomplete
}

func (q *query) String() string { return *q.metric.Namespace + " " + *q.metric.MetricName }

// Read implements observe.Source.
func (s *Source) Read(ctx context.Context, want []measure.Series, from, to time.Time) ([]measure.Series, error) {
	got, queries, faults := s.plan(ctx, want)
	for range attempts {
		open := slices.DeleteFunc(slices.Clone(queries), func(q *query) bool { return !q.again })
		for batch := range slices.Chunk(open, maxQueries) {
			faults = append(faults, s.ask(ctx, want, batch, from, to))
		}
	}
	for i := range got {
		parts := slices.DeleteFunc(slices.Clone(queries), func(q *query) bool { return q.want != i })
		points, err := sum(parts)
		got[i].Points = measure.PointsOf(points...)
		faults = append(faults, err)
	}
	return got, errors.Join(faults...)
}

// plan returns the wanted series under the names they really have, without
// points, and the queries that they are read with.
func (s *Source) plan(ctx context.Context, want []measure.Series) (got []measure.Series, queries []*query, faults []error) {
	lists := make(map[filter]listing)
	for i, w := range want {
		w.Points = measure.Points{}
		metrics := []types.Metric{metricOf(w)}
		if f, ok := search(w); ok {
			l, done := lists[f]
			if !done {
				l = s.list(ctx, f)
				lists[f] = l
				faults = append(faults, l.err)
			}
			var err error
			if metrics, err = choose(w, l.metrics); err != nil {
				faults = append(faults, err)
			}
		}
		for _, m := range metrics {
			queries = append(queries, &query{want: i, metric: m, values: make(map[time.Time]float64), again: true})
		}
		if len(metrics) > 0 {
			w.Metric, w.Labels = *metrics[0].MetricName, labels(metrics)
		}
		got = append(got, w)
	}
	return got, queries, faults
}

// ask asks one batch of queries, page by page.
func (s *Source) ask(ctx context.Context, want []measure.Series, batch []*query, from, to time.Time) error {
	in := &cloudwatch.GetMetricDataInput{StartTime: &from, EndTime: &to, ScanBy: types.ScanByTimestampAscending}
	for n, q := range batch {
		q.again, q.short = false, true
		w := want[q.want]
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{
			Id: aws.String("q" + strconv.Itoa(n)),
			MetricStat: &types.MetricStat{
				Metric: &q.metric, Stat: aws.String(w.Statistic), Period: aws.Int32(int32(w.Period / time.Second)),
			},
		})
	}
	var faults []error
	for page := 1; ; page++ {
		out, err := s.client.GetMetricData(ctx, in)
		if err != nil {
			return errors.Join(append(faults, describe("GetMetricData", err))...)
		}
		s.dated(out.ResultMetadata)
		for _, m := range out.Messages {
			faults = append(faults, fmt.Errorf("GetMetricData: %s: %s", aws.ToString(m.Code), aws.ToString(m.Value)))
		}
		for _, r := range out.MetricDataResults {
			n, err := strconv.Atoi(strings.TrimPrefix(aws.ToString(r.Id), "q"))
			if err != nil || n < 0 || n >= len(batch) || len(r.Timestamps) != len(r.Values) {
				faults = append(faults, fmt.Errorf("GetMetricData answers a result %q that doesn't fit what was asked", aws.ToString(r.Id)))
				continue
			}
			q := batch[n]
			for k, at := range r.Timestamps {
				q.values[at.UTC()] = r.Values[k]
			}
			q.short = r.StatusCode != types.StatusCodeComplete
			q.again = r.StatusCode == types.StatusCodeInternalError
			if r.StatusCode == types.StatusCodeForbidden {
				faults = append(faults, fmt.Errorf("GetMetricData of %s is forbidden: allow cloudwatch:GetMetricData", q))
			}
		}
		token := aws.ToString(out.NextToken)
		if token == "" {
			return errors.Join(faults...)
		}
		if page == maxPages || token == aws.ToString(in.NextToken) {
			return errors.Join(append(faults, errors.New("GetMetricData answers pages without end"))...)
		}
		in.NextToken = out.NextToken
	}
}

// sum adds up the parts of one series. A series of one part keeps what it has,
// gaps and all. A sum that lacks a whole part would be a wrong number, so it is
// given up.
func sum(parts []*query) ([]measure.Point, error) {
	sums := make(map[time.Time]float64)
	for _, q := range parts {
		if q.short && len(parts) > 1 {
			return nil, fmt.Errorf("%s is the sum of %d series, of which at least one came incomplete: left out", q, len(parts))
		}
		for at, v := range q.values {
			sums[at] += v
		}
	}
	var points []measure.Point
	for _, at := range slices.SortedFunc(maps.Keys(sums), time.Time.Compare) {
		points = append(points, measure.Point{At: at, Value: sums[at]})
	}
	if len(parts) == 1 && parts[0].short {
		return points, fmt.Errorf("%s came incomplete", parts[0])
	}
	return points, nil
}

// describe says which call failed and what was answered, the same of each try, and
// what to do where that is known.
func describe(call string, err error) error {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return fmt.Errorf("%s: %w", call, err)
	}
	if strings.HasPrefix(api.ErrorCode(), "AccessDenied") {
		call += " is not allowed: give the credentials cloudwatch:GetMetricData and cloudwatch:ListMetrics"
	}
	return fmt.Errorf("%s: %s: %s", call, api.ErrorCode(), api.ErrorMessage())
}
