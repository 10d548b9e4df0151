package awsapi

import (
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CloudWatch's own bounds (API reference, GetMetricData and PutMetricData).
const (
	maxQueries    = 500
	maxDatapoints = 100_800
	maxData       = 1_000
	maxValues     = 150
	maxDimensions = 30
	metricsPage   = 500
	maxAhead      = 2 * time.Hour
)

var (
	statisticNames = []string{"Sum", "Maximum", "Minimum", "Average", "SampleCount"}
	finePeriods    = []int64{1, 5, 10, 20, 30}
	queryID        = regexp.MustCompile(`^[a-z][a-zA-Z0-9_]*$`)
)

func invalid(format string, args ...any) *fault {
	return &fault{shape: "InvalidParameterValueException", message: fmt.Sprintf(format, args...)}
}

func missing(name string) *fault {
	return &fault{shape: "MissingRequiredParameterException", query: "MissingParameter", message: "The parameter " + name + " is required."}
}

func validation(format string, args ...any) *fault {
	return &fault{shape: "ValidationException", query: "ValidationError", message: fmt.Sprintf(format, args...)}
}

type metricID struct {
	Namespace  string
	MetricName string
	Dimensions []Dimension
}

type getMetricDataIn struct {
	MetricDataQueries []struct {
		ID         string `json:"Id"`
		Label      string
		Expression string
		ReturnData *bool
		MetricStat *struct {
			Metric metricID
			Period int64
			Stat   string
			Unit   string
		}
	}
	StartTime, EndTime *timestamp
	NextToken          string
	ScanBy             string
	MaxDatapoints      int
}

type metricDataResult struct {
	ID         string      `json:"Id"`
	Label      string      `json:"Label"`
	Timestamps []timestamp `json:"Timestamps"`
	Values     []float64   `json:"Values"`
	StatusCode string      `json:"StatusCode"`
}

type getMetricDataOut struct {
	MetricDataResults []metricDataResult `json:"MetricDataResults"`
	Messages          []string           `json:"Messages"` // always empty
	NextToken         string             `json:"NextToken,omitempty"`
}

// getMetricData answers points of whole periods, aligned to the epoch, whose
// start lies within [StartTime, EndTime); StartTime is rounded down to a
// period. A period without values has no point.
func (s *server) getMetricData(in *getMetricDataIn, _ time.Time) (any, *fault) {
	if f := in.check(); f != nil {
		return nil, f
	}
	first, after, f := in.page()
	if f != nil {
		return nil, f
	}
	left := in.MaxDatapoints
	if left == 0 {
		left = maxDatapoints
	}
	from := time.Time(*in.StartTime).Unix()
	to := time.Time(*in.EndTime).Add(time.Second - 1).Unix()

	s.Metrics.mu.Lock()
	defer s.Metrics.mu.Unlock()
	out := getMetricDataOut{MetricDataResults: []metricDataResult{}, Messages: []string{}}
	for i := first; i < len(in.MetricDataQueries); i++ {
		q := in.MetricDataQueries[i]
		if q.ReturnData != nil && !*q.ReturnData {
			continue
		}
		if left == 0 {
			out.NextToken = fmt.Sprintf("%d.", i)
			break
		}
		var points []point
		key, _ := metricKey(q.MetricStat.Metric.Namespace, q.MetricStat.Metric.MetricName, q.MetricStat.Metric.Dimensions)
		if m := s.Metrics.byKey[key]; m != nil && (q.MetricStat.Unit == "" || q.MetricStat.Unit == m.unit) {
			points = m.read(q.MetricStat.Period, from, to)
		}
		ascending := in.ScanBy == "TimestampAscending"
		if !ascending {
			slices.Reverse(points)
		}
		if i == first && after >= 0 {
			points = slices.DeleteFunc(points, func(p point) bool {
				return p.start == after || (p.start < after) == ascending
			})
		}
		r := metricDataResult{ID: q.ID, Label: q.Label, StatusCode: "Complete", Timestamps: []timestamp{}, Values: []float64{}}
		if r.Label == "" {
			r.Label = q.MetricStat.Metric.MetricName
		}
		if len(points) > left {
			points = points[:left]
			r.StatusCode = "PartialData"
			out.NextToken = fmt.Sprintf("%d.%d", i, points[left-1].start)
		}
		left -= len(points)
		for _, p := range points {
			r.Timestamps = append(r.Timestamps, timestamp(time.Unix(p.start, 0)))
			r.Values = append(r.Values, p.value(q.MetricStat.Stat))
		}
		out.MetricDataResults = append(out.MetricDataResults, r)
		if out.NextToken != "" {
			break
		}
	}
	return out, nil
}

func (in *getMetricDataIn) check() *fault {
	switch {
	case len(in.MetricDataQueries) == 0:
		return missing("MetricDataQueries")
	case len(in.MetricDataQueries) > maxQueries:
		return validation("The request has %d MetricDataQueries; at most %d are allowed.", len(in.MetricDataQueries), maxQueries)
	case in.StartTime == nil:
		return missing("StartTime")
	case in.EndTime == nil:
		return missing("EndTime")
	case !time.Time(*in.StartTime).Before(time.Time(*in.EndTime)):
		return validation("The parameter StartTime must be less than the parameter EndTime.")
	case in.ScanBy != "" && in.ScanBy != "TimestampAscending" && in.ScanBy != "TimestampDescending":
		return validation("ScanBy must be TimestampAscending or TimestampDescending.")
	case in.MaxDatapoints < 0 || in.MaxDatapoints > maxDatapoints:
		return validation("MaxDatapoints must be from 1 to %d.", maxDatapoints)
	}
	seen := map[string]bool{}
	for _, q := range in.MetricDataQueries {
		switch {
		case len(q.ID) > 255 || !queryID.MatchString(q.ID):
			return validation("The Id %q must begin with a lower-case letter and hold only letters, digits and _.", q.ID)
		case seen[q.ID]:
			return validation("The Id %q is used twice.", q.ID)
		case q.Expression != "":
			return validation("The sandbox evaluates no expressions; query %s needs a MetricStat.", q.ID)
		case q.MetricStat == nil:
			return validation("Query %s needs a MetricStat.", q.ID)
		case q.MetricStat.Metric.Namespace == "" || q.MetricStat.Metric.MetricName == "":
			return validation("The Metric of query %s needs a Namespace and a MetricName.", q.ID)
		case !slices.Contains(statisticNames, q.MetricStat.Stat):
			return validation("The Stat %q of query %s is not one of %s, which the sandbox keeps.", q.MetricStat.Stat, q.ID, strings.Join(statisticNames, ", "))
		case (q.MetricStat.Period <= 0 || q.MetricStat.Period%60 != 0) && !slices.Contains(finePeriods, q.MetricStat.Period):
			return validation("The Period %d of query %s must be 1, 5, 10, 20, 30 or a multiple of 60.", q.MetricStat.Period, q.ID)
		}
		seen[q.ID] = true
	}
	return nil
}

// page reads the token of a continued request: the query to go on with, and the
// second of the last point that was answered, -1 for none.
func (in *getMetricDataIn) page() (query int, after int64, f *fault) {
	if in.NextToken == "" {
		return 0, -1, nil
	}
	head, tail, ok := strings.Cut(in.NextToken, ".")
	query, err := strconv.Atoi(head)
	after = -1
	if err == nil && tail != "" {
		after, err = strconv.ParseInt(tail, 10, 64)
	}
	if !ok || err != nil || query < 0 || query >= len(in.MetricDataQueries) || tail != "" && after < 0 {
		return 0, 0, &fault{shape: "InvalidNextToken", message: "The next token is not one of this request."}
	}
	return query, after, nil
}

type listMetricsIn struct {
	Namespace, MetricName string
	Dimensions            []struct {
		Name  string
		Value *string
	}
	NextToken      string
	RecentlyActive string
}

type listedMetric struct {
	Namespace  string      `json:"Namespace"`
	MetricName string      `json:"MetricName"`
	Dimensions []Dimension `json:"Dimensions"`
}

type listMetricsOut struct {
	Metrics   []listedMetric `json:"Metrics"`
	NextToken string         `json:"NextToken,omitempty"`
}

// listMetrics answers the metrics that have points, in the order of their keys,
// 500 to a page.
func (s *server) listMetrics(in *listMetricsIn, now time.Time) (any, *fault) {
	if in.RecentlyActive != "" && in.RecentlyActive != "PT3H" {
		return nil, invalid("RecentlyActive can only be PT3H.")
	}
	s.Metrics.mu.Lock()
	defer s.Metrics.mu.Unlock()
	out := listMetricsOut{Metrics: []listedMetric{}}
	last := ""
	for _, key := range slices.Sorted(maps.Keys(s.Metrics.byKey)) {
		m := s.Metrics.byKey[key]
		if !in.matches(m) || len(m.minutes) == 0 || in.NextToken != "" && hex.EncodeToString([]byte(key)) <= in.NextToken ||
			in.RecentlyActive != "" && m.newest < now.Add(-3*time.Hour).Unix() {
			continue
		}
		if len(out.Metrics) == metricsPage {
			out.NextToken = last
			break
		}
		last = hex.EncodeToString([]byte(key)) // keeps the order
		out.Metrics = append(out.Metrics, listedMetric{m.namespace, m.name, m.dimensions})
	}
	return out, nil
}

func (in *listMetricsIn) matches(m *Metric) bool {
	if in.Namespace != "" && in.Namespace != m.namespace || in.MetricName != "" && in.MetricName != m.name {
		return false
	}
	for _, want := range in.Dimensions {
		if !slices.ContainsFunc(m.dimensions, func(d Dimension) bool {
			return d.Name == want.Name && (want.Value == nil || d.Value == *want.Value)
		}) {
			return false
		}
	}
	return true
}

type metricDatum struct {
	MetricName      string
	Dimensions      []Dimension
	Timestamp       *timestamp
	Value           *float64
	Values, Counts  []float64
	StatisticValues *struct {
		SampleCount, Sum, Minimum, Maximum float64
	}
	Unit              string
	StorageResolution int
}

type putMetricDataIn struct {
	Namespace        string
	MetricData       []metricDatum
	EntityMetricData []any
}

// putMetricData adds custom metrics. A request with a fault adds nothing.
func (s *server) putMetricData(in *putMetricDataIn, now time.Time) (any, *fault) {
	switch {
	case in.Namespace == "":
		return nil, missing("Namespace")
	case strings.HasPrefix(in.Namespace, "AWS/"):
		return nil, invalid("The value AWS/ for parameter Namespace is invalid.")
	case len(in.EntityMetricData) > 0:
		return nil, invalid("The sandbox takes no EntityMetricData.")
	case len(in.MetricData) == 0:
		return nil, missing("MetricData")
	case len(in.MetricData) > maxData:
		return nil, invalid("MetricData has %d members; at most %d are allowed.", len(in.MetricData), maxData)
	}
	summaries := make([]statistics, len(in.MetricData))
	seconds := make([]int64, len(in.MetricData))
	for i := range in.MetricData {
		d := &in.MetricData[i]
		var f *fault
		if summaries[i], f = d.summary(fmt.Sprintf("MetricData.member.%d.", i+1)); f != nil {
			return nil, f
		}
		at := now
		if d.Timestamp != nil {
			at = time.Time(*d.Timestamp)
		}
		if at.Before(now.Add(-retention)) || at.After(now.Add(maxAhead)) {
			return nil, invalid("MetricData.member.%d.Timestamp is not within the last day, which the sandbox keeps, and the next two hours.", i+1)
		}
		seconds[i] = at.Unix()
	}

	s.Metrics.mu.Lock()
	defer s.Metrics.mu.Unlock()
	if len(s.Metrics.byKey)+len(in.MetricData) > maxMetrics {
		fresh := map[string]bool{}
		for _, d := range in.MetricData {
			if key, _ := metricKey(in.Namespace, d.MetricName, d.Dimensions); s.Metrics.byKey[key] == nil {
				fresh[key] = true
			}
		}
		if len(s.Metrics.byKey)+len(fresh) > maxMetrics {
			return nil, &fault{shape: "LimitExceededFault", query: "LimitExceeded", message: fmt.Sprintf("The sandbox keeps at most %d metrics.", maxMetrics)}
		}
	}
	for i, d := range in.MetricData {
		s.Metrics.metric(in.Namespace, d.MetricName, d.Unit, d.Dimensions).add(seconds[i], summaries[i], d.StorageResolution == 1)
	}
	return nil, nil
}

// summary checks a datum and returns its statistics. The path begins the names
// in faults.
func (d *metricDatum) summary(path string) (statistics, *fault) {
	var none statistics
	given := 0
	for _, is := range []bool{d.Value != nil, len(d.Values) > 0, d.StatisticValues != nil} {
		if is {
			given++
		}
	}
	switch {
	case d.MetricName == "":
		return none, missing(path + "MetricName")
	case given == 0:
		return none, missing(path + "Value")
	case given > 1:
		return none, &fault{shape: "InvalidParameterCombinationException", message: path + "Value, Values and StatisticValues exclude each other."}
	case len(d.Dimensions) > maxDimensions:
		return none, invalid("%sDimensions has %d members; at most %d are allowed.", path, len(d.Dimensions), maxDimensions)
	case len(d.Values) > maxValues:
		return none, invalid("%sValues has %d members; at most %d are allowed.", path, len(d.Values), maxValues)
	case len(d.Counts) > 0 && len(d.Counts) != len(d.Values):
		return none, invalid("%sCounts must have as many members as Values.", path)
	case d.StorageResolution != 0 && d.StorageResolution != 1 && d.StorageResolution != 60:
		return none, invalid("%sStorageResolution must be 1 or 60.", path)
	}
	for _, x := range d.Dimensions {
		if x.Name == "" || x.Value == "" {
			return none, invalid("%sDimensions need names and values.", path)
		}
	}
	var s statistics
	switch {
	case d.Value != nil:
		s = statistics{*d.Value, *d.Value, *d.Value, 1}
	case d.StatisticValues != nil:
		v := d.StatisticValues
		s = statistics{v.Sum, v.Minimum, v.Maximum, v.SampleCount}
		if v.SampleCount <= 0 || v.Minimum > v.Maximum {
			return none, invalid("%sStatisticValues needs a SampleCount above 0 and a Minimum up to its Maximum.", path)
		}
	default:
		for i, v := range d.Values {
			n := 1.0
			if len(d.Counts) > 0 {
				n = d.Counts[i]
			}
			if n < 0 {
				return none, invalid("%sCounts must not be negative.", path)
			}
			if n > 0 {
				s.add(statistics{v * n, v, v, n})
			}
		}
		if s.n == 0 {
			return none, invalid("%sCounts are all 0.", path)
		}
	}
	// CloudWatch takes -2^360 to 2^360, so that sums stay finite.
	for _, v := range []float64{s.sum, s.min, s.max, s.n} {
		if math.Abs(v) > 0x1p360 {
			return none, invalid("%sValue must be within -2^360 and 2^360.", path)
		}
	}
	return s, nil
}
