package cloudwatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// momento is the namespace that Momento exports into customers' accounts. The
// names of its metrics and dimensions are published nowhere.
const momento = "Momento/Metrics"

// filter is what ListMetrics is asked for; metric "" lists the namespace.
type filter struct{ namespace, metric string }

type listing struct {
	metrics []types.Metric
	err     error
}

// search returns what has to be listed before w can be read, if anything.
func search(w measure.Series) (filter, bool) {
	if w.Namespace == momento {
		return filter{namespace: momento}, true
	}
	for _, v := range w.Labels {
		if v == capacity.AnyValue {
			return filter{w.Namespace, w.Metric}, true
		}
	}
	return filter{}, false
}

// list returns all metrics that match f. CloudWatch lists those that had data
// in the last two weeks, a new one after up to 15 minutes.
func (s *Source) list(ctx context.Context, f filter) listing {
	in := &cloudwatch.ListMetricsInput{Namespace: &f.namespace}
	if f.metric != "" {
		in.MetricName = &f.metric
	}
	var l listing
	for range maxPages {
		out, err := s.client.ListMetrics(ctx, in)
		if err != nil {
			return listing{err: describe("ListMetrics of "+f.namespace, err)}
		}
		l.metrics = append(l.metrics, out.Metrics...)
		if aws.ToString(out.NextToken) == "" {
			return l
		}
		in.NextToken = out.NextToken
	}
	return listing{err: errors.New("ListMetrics answers pages without end")}
}

// choose returns the metrics whose sum is w, of those listed.
func choose(w measure.Series, listed []types.Metric) ([]types.Metric, error) {
	var found []types.Metric
	var err error
	if w.Namespace == momento {
		found, err = guess(w, listed)
	} else {
		found = match(w, listed)
	}
	if len(found) > 1 && w.Statistic != "Sum" {
		return nil, fmt.Errorf("%s %s has %d series, and only sums can be added up", w.Namespace, w.Metric, len(found))
	}
	return found, err
}

// match returns the metrics that bear w's name and labels. Where a label may
// have any value, a series without dimensions is of the whole account and is
// returned alone: it and the series of single resources count the same things.
func match(w measure.Series, listed []types.Metric) []types.Metric {
	wild := slices.Contains(slices.Collect(maps.Values(w.Labels)), capacity.AnyValue)
	var found []types.Metric
	for _, m := range listed {
		if aws.ToString(m.MetricName) != w.Metric {
			continue
		}
		if wild && len(m.Dimensions) == 0 {
			return []types.Metric{m}
		}
		fits := len(m.Dimensions) == len(w.Labels)
		for _, d := range m.Dimensions {
			v, ok := w.Labels[aws.ToString(d.Name)]
			fits = fits && ok && (v == capacity.AnyValue || v == aws.ToString(d.Value))
		}
		if fits {
			found = append(found, m)
		}
	}
	return found
}

// guess returns the metrics of a namespace whose names are unpublished that w
// most likely means where it isn't there exactly: of the wanted name, or else of
// the only name that contains it; with a dimension, however it is called, that
// has the value of w's only label; and of these the ones with the fewest
// dimensions, since further dimensions split the same count. Where that leaves
// a choice, none is taken.
func guess(w measure.Series, listed []types.Metric) ([]types.Metric, error) {
	if found := match(w, listed); len(found) > 0 || len(w.Labels) != 1 {
		return found, nil
	}
	var resource string
	for _, v := range w.Labels {
		resource = v
	}
	groups := make(map[string][]types.Metric) // by name
	stem := strings.ToLower(strings.TrimSuffix(w.Metric, "s"))
	for _, m := range listed {
		if strings.Contains(strings.ToLower(aws.ToString(m.MetricName)), stem) {
			groups[*m.MetricName] = append(groups[*m.MetricName], m)
		}
	}
	names := slices.Sorted(maps.Keys(groups))
	if _, ok := groups[w.Metric]; ok {
		names = []string{w.Metric}
	}
	switch len(names) {
	case 0:
		return []types.Metric{metricOf(w)}, nil // not listed yet, perhaps
	case 1:
	default:
		return nil, fmt.Errorf("%s has no metric %s, and more than one like it: %s", w.Namespace, w.Metric, strings.Join(names, ", "))
	}
	sets := make(map[string][]types.Metric) // by the names of the dimensions
	fewest := 0
	for _, m := range groups[names[0]] {
		if !slices.ContainsFunc(m.Dimensions, func(d types.Dimension) bool { return aws.ToString(d.Value) == resource }) {
			continue
		}
		if n := len(m.Dimensions); fewest == 0 || n < fewest {
			fewest = n
			clear(sets)
		}
		if len(m.Dimensions) == fewest {
			key := dimensionNames(m)
			sets[key] = append(sets[key], m)
		}
	}
	switch len(sets) {
	case 0:
		return nil, fmt.Errorf("%s %s has no dimension with the value %q", w.Namespace, names[0], resource)
	case 1:
		for _, ms := range sets {
			return ms, nil
		}
	}
	return nil, fmt.Errorf("%s %s of %q is kept by more than one set of dimensions: %s", w.Namespace, names[0], resource, strings.Join(slices.Sorted(maps.Keys(sets)), "; "))
}

func dimensionNames(m types.Metric) string {
	var names []string
	for _, d := range m.Dimensions {
		names = append(names, aws.ToString(d.Name))
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// metricOf returns the metric that w names.
func metricOf(w measure.Series) types.Metric {
	m := types.Metric{Namespace: aws.String(w.Namespace), MetricName: aws.String(w.Metric)}
	for _, name := range slices.Sorted(maps.Keys(w.Labels)) {
		m.Dimensions = append(m.Dimensions, types.Dimension{Name: aws.String(name), Value: aws.String(w.Labels[name])})
	}
	return m
}

// labels returns the dimensions of metrics that are added up, each with all its
// values.
func labels(metrics []types.Metric) map[string]string {
	values := make(map[string][]string)
	for _, m := range metrics {
		for _, d := range m.Dimensions {
			name, value := aws.ToString(d.Name), aws.ToString(d.Value)
			if !slices.Contains(values[name], value) {
				values[name] = append(values[name], value)
			}
		}
	}
	if len(values) == 0 {
		return nil
	}
	joined := make(map[string]string)
	for name, vs := range values {
		slices.Sort(vs)
		joined[name] = strings.Join(vs, ", ")
	}
	return joined
}
