package sandbox

import (
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity/sandbox/awsapi"
)

// A rate is the mean of its minute, and a level its highest; a broker that took
// nothing has zeros where another took something, and a minute in which none did
// has no points.
func TestBrokerMeters(t *testing.T) {
	store := awsapi.NewMetrics()
	m := newBrokerMeters(2, store)
	noon := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	m.Holds(0, 5)
	m.Connected(0, 7)
	m.Took(0, noon.Add(10*time.Second), 6000, 60, 0)
	m.Connected(0, 9)
	m.Took(0, noon.Add(59*time.Second), 6000, 60, 1500*time.Millisecond)
	m.Connected(0, 2)
	m.Took(1, noon.Add(2*time.Minute), 600, 6, 0)
	credentials := awsapi.Credentials{AccessKey: "AKIDEXAMPLE", SecretKey: "example", Region: Region}
	server := httptest.NewServer(awsapi.New(awsapi.Config{Credentials: credentials, Account: Account, Metrics: store}))
	defer server.Close()
	client := cloudwatch.NewFromConfig(configured(Endpoints{AWS: server.URL, AccessKey: credentials.AccessKey, SecretKey: credentials.SecretKey, Region: Region}))
	for name, brokers := range map[string][2][2]float64{ // of minutes 0 and 2
		"BytesInPerSec": {{200, 0}, {0, 10}}, "MessagesInPerSec": {{2, 0}, {0, 0.1}},
		"ConnectionCount": {{9, 2}, {0, 0}}, "PartitionCount": {{5, 5}, {0, 0}}, "ProduceThrottleTime": {{1500, 0}, {0, 0}},
	} {
		for id, want := range brokers {
			out, err := client.GetMetricData(t.Context(), &cloudwatch.GetMetricDataInput{
				StartTime: aws.Time(noon), EndTime: aws.Time(noon.Add(time.Hour)), ScanBy: types.ScanByTimestampAscending,
				MetricDataQueries: []types.MetricDataQuery{{Id: aws.String("q"), MetricStat: &types.MetricStat{
					Metric: &types.Metric{Namespace: aws.String("AWS/Kafka"), MetricName: aws.String(name), Dimensions: []types.Dimension{
						{Name: aws.String("Cluster Name"), Value: aws.String("sandbox")}, {Name: aws.String("Broker ID"), Value: aws.String(strconv.Itoa(id))},
					}},
					Period: aws.Int32(60), Stat: aws.String("Average"),
				}}},
			})
			if err != nil {
				t.Fatal(err)
			}
			got := out.MetricDataResults[0]
			if diff := cmp.Diff([]time.Time{noon, noon.Add(2 * time.Minute)}, got.Timestamps) + cmp.Diff(want[:], got.Values); diff != "" {
				t.Errorf("%s of broker %d: %s", name, id, diff)
			}
		}
	}
}
