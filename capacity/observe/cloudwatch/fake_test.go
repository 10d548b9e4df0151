package cloudwatch_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go/encoding/cbor"

	"github.com/headroom-load/headroom/capacity/observe/cloudwatch"
	"github.com/headroom-load/headroom/scenarios/measure"
)

// fake is a CloudWatch that speaks Smithy RPC v2 CBOR. What it answers is
// decided by answer; by default it serves data.
type fake struct {
	mu   sync.Mutex
	data map[string][]measure.Point // by key, such as "AWS/AppSync TokensConsumed GraphQLAPIId=a"
	// get changes the answer to the n-th GetMetricData call, from 1: an error
	// shape, the status of each query, or nothing.
	get func(call int, r *reply)
	// listing, if set, is the error shape of every ListMetrics call.
	listing string
	ahead   time.Duration // of its clock
	calls   []call
	pageOf  int // metrics on a page of ListMetrics
}

type call struct {
	operation string
	queries   []string // their keys
	token     string
}

type reply struct {
	fail    string // error shape
	queries []string
	status  map[int]string          // by the query's position; "" is Complete
	points  map[int][]measure.Point // instead of the data
	skip    map[int]bool            // leave the query out of this page
	next    string
	message string
}

func (f *fake) source(t *testing.T) *cloudwatch.Source {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return cloudwatch.New(aws.Config{
		Region:       "ap-northeast-1",
		BaseEndpoint: aws.String(server.URL),
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "example"}, nil
		}),
		Retryer: func() aws.Retryer {
			return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxBackoff = time.Millisecond })
		},
	})
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	in, err := cbor.Decode(body)
	if err != nil || r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" || !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256") {
		http.Error(w, "not a signed CBOR request", http.StatusBadRequest)
		return
	}
	out := cbor.Map{}
	var fail string
	switch path.Base(r.URL.Path) {
	case "ListMetrics":
		out, fail = f.list(in.(cbor.Map))
	case "GetMetricData":
		out, fail = f.getMetricData(in.(cbor.Map))
	}
	w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
	w.Header().Set("Content-Type", "application/cbor")
	w.Header().Set("X-Amzn-RequestId", fmt.Sprint(len(f.calls)))
	w.Header().Set("Date", time.Now().Add(f.ahead).UTC().Format(http.TimeFormat))
	if fail != "" {
		w.WriteHeader(http.StatusBadRequest)
		out = cbor.Map{"__type": cbor.String("com.amazonaws.cloudwatch#" + fail), "message": cbor.String("as the test wants it")}
	}
	_, _ = w.Write(cbor.Encode(out))
}

func (f *fake) list(in cbor.Map) (cbor.Map, string) {
	f.calls = append(f.calls, call{operation: "ListMetrics", token: text(in["NextToken"])})
	if f.listing != "" {
		return nil, f.listing
	}
	var metrics cbor.List
	var next string
	for _, key := range slices.Sorted(maps.Keys(f.data)) {
		namespace, metric, dimensions := parts(key)
		if namespace != text(in["Namespace"]) || in["MetricName"] != nil && metric != text(in["MetricName"]) || key <= text(in["NextToken"]) {
			continue
		}
		if f.pageOf > 0 && len(metrics) == f.pageOf {
			next = last(metrics)
			break
		}
		metrics = append(metrics, cbor.Map{"Namespace": cbor.String(namespace), "MetricName": cbor.String(metric), "Dimensions": dimensions, "key": cbor.String(key)})
	}
	out := cbor.Map{"Metrics": metrics}
	if next != "" {
		out["NextToken"] = cbor.String(next)
	}
	return out, ""
}

func last(metrics cbor.List) string { return text(metrics[len(metrics)-1].(cbor.Map)["key"]) }

func (f *fake) getMetricData(in cbor.Map) (cbor.Map, string) {
	r := &reply{status: map[int]string{}, points: map[int][]measure.Point{}, skip: map[int]bool{}}
	var ids, stats []string
	for _, q := range in["MetricDataQueries"].(cbor.List) {
		q := q.(cbor.Map)
		stat := q["MetricStat"].(cbor.Map)
		metric := stat["Metric"].(cbor.Map)
		key := text(metric["Namespace"]) + " " + text(metric["MetricName"])
		if ds, ok := metric["Dimensions"].(cbor.List); ok {
			for _, d := range ds {
				key += " " + text(d.(cbor.Map)["Name"]) + "=" + text(d.(cbor.Map)["Value"])
			}
		}
		r.queries = append(r.queries, key)
		ids = append(ids, text(q["Id"]))
		stats = append(stats, fmt.Sprint(text(stat["Stat"]), stat["Period"]))
	}
	f.calls = append(f.calls, call{operation: "GetMetricData", queries: r.queries, token: text(in["NextToken"])})
	if f.get != nil {
		n := 0
		for _, c := range f.calls {
			if c.operation == "GetMetricData" {
				n++
			}
		}
		f.get(n, r)
	}
	if r.fail != "" {
		return nil, r.fail
	}
	from, to := instant(in["StartTime"]), instant(in["EndTime"])
	var results cbor.List
	for i, key := range r.queries {
		if r.skip[i] {
			continue
		}
		points, ok := r.points[i]
		if !ok {
			points = f.data[key]
		}
		times, values := cbor.List{}, cbor.List{}
		for _, p := range points {
			if !p.At.Before(from) && p.At.Before(to) {
				times = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(p.At.Unix())})
				values = append(values, cbor.Float64(p.Value))
			}
		}
		status := r.status[i]
		if status == "" {
			status = "Complete"
		}
		results = append(results, cbor.Map{
			"Id": cbor.String(ids[i]), "Label": cbor.String(stats[i]), "StatusCode": cbor.String(status), "Timestamps": times, "Values": values,
		})
	}
	out := cbor.Map{"MetricDataResults": results, "Messages": cbor.List{}}
	if r.next != "" {
		out["NextToken"] = cbor.String(r.next)
	}
	if r.message != "" {
		out["Messages"] = cbor.List{cbor.Map{"Code": cbor.String("ArgumentError"), "Value": cbor.String(r.message)}}
	}
	return out, ""
}

func parts(key string) (namespace, metric string, dimensions cbor.List) {
	fields := strings.Split(key, " ")
	dimensions = cbor.List{}
	for _, d := range fields[2:] {
		name, value, _ := strings.Cut(d, "=")
		dimensions = append(dimensions, cbor.Map{"Name": cbor.String(name), "Value": cbor.String(value)})
	}
	return fields[0], fields[1], dimensions
}

func text(v cbor.Value) string {
	s, _ := v.(cbor.String)
	return string(s)
}

func instant(v cbor.Value) time.Time {
	seconds, _ := v.(*cbor.Tag).Value.(cbor.Float64)
	return time.Unix(int64(seconds), 0).UTC()
}
