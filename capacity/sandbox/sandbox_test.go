package sandbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/google/go-cmp/cmp"

	"github.com/headroom-load/headroom/capacity/model"
)

func sha(s string) string {
	h := sha256.Sum256([]byte(s))
	return hex.EncodeToString(h[:])
}

// configured returns what an SDK needs to reach a sandbox.
func configured(e Endpoints) aws.Config {
	return aws.Config{
		Region:       e.Region,
		BaseEndpoint: &e.AWS,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: e.AccessKey, SecretAccessKey: e.SecretKey}, nil
		}),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

// sums reads every metric that is listed, as a sum over all time.
func sums(t *testing.T, e Endpoints, statistic string) map[string]float64 {
	t.Helper()
	client := cloudwatch.NewFromConfig(configured(e))
	listed, err := client.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
	if err != nil {
		t.Fatal(err)
	}
	in := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(time.Now().Add(-time.Hour)), EndTime: aws.Time(time.Now().Add(time.Hour))}
	names := map[string]string{}
	for i, m := range listed.Metrics {
		id := "m" + strconv.Itoa(i)
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{
			Id: &id, MetricStat: &types.MetricStat{Metric: &m, Period: aws.Int32(60), Stat: &statistic},
		})
		name := *m.Namespace + " " + *m.MetricName
		for _, d := range m.Dimensions {
			name += " " + *d.Name + "=" + *d.Value
		}
		names[id] = name
	}
	out, err := client.GetMetricData(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, r := range out.MetricDataResults {
		for i, v := range r.Values {
			if r.Timestamps[i].Second() != 0 {
				t.Errorf("%s has a point at %v", names[*r.Id], r.Timestamps[i])
			}
			if statistic == "Maximum" {
				got[names[*r.Id]] = max(got[names[*r.Id]], v)
			} else {
				got[names[*r.Id]] += v
			}
		}
	}
	return got
}

// Everything is reached as AWS is reached: over TCP, through the SDK. What the
// answers say was charged is exactly what the metrics say.
func TestClosure(t *testing.T) {
	system, err := model.Parse("system.yaml", []byte(`
version: 1
name: closure
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 1 tokens/h, burst: 1000 tokens}
  - {id: lambda.concurrency, kind: concurrency, limit: 900, provisioned: 2}
  - {id: dynamodb.T.read, kind: token_bucket, rate: 1 RCU/h, burst: 250 RCU}
  - {id: momento.operations, kind: token_bucket, rate: 1 ops/h, burst: 10000 ops}
  - {id: mine, kind: token_bucket, rate: 1 ops/h, burst: 10000 ops}
  - {id: items, kind: item_size, largest: 1MB}
operations:
  - name: first
    service_time: {exponential: {mean: 2ms}}
    charges:
      - {limiter: appsync.request-tokens, amount: 3}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.T.read, amount: 2}
  - name: second
    charges:
      - {limiter: appsync.request-tokens, amount: 2}
      - {limiter: momento.operations, amount: 1}
      - {limiter: mine, amount: 5}
      - {limiter: items, amount: {mixture: [{amount: 1MB, share: 80%}, {amount: 3MB, share: 20%}]}}
`))
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(Config{System: system, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	e := s.Endpoints()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

	const workers, each = 16, 40
	var mu sync.Mutex
	var tokens, throttled, refused, oversize, served float64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				name := []string{"first", "second"}[(w+i)%2]
				r, _ := http.NewRequest("POST", e.GraphQL, strings.NewReader(body("query "+name+" { "+name+" }")))
				r.Header.Set("x-api-key", e.APIKey)
				answer, err := client.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := io.ReadAll(answer.Body)
				answer.Body.Close()
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				switch header := answer.Header.Get(tokensHeader); {
				case answer.StatusCode == 429 && header == "":
					throttled++
				case answer.StatusCode == 200:
					n, err := strconv.Atoi(header)
					if err != nil {
						t.Errorf("token header %q", header)
					}
					tokens += float64(n)
					if strings.Contains(string(got), "DynamoDB:ProvisionedThroughputExceededException") {
						refused++
					} else {
						served++
					}
					if strings.Contains(string(got), "ThrottlingException") {
						oversize++
					}
				default:
					t.Errorf("%d %q %s", answer.StatusCode, header, got)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	client.CloseIdleConnections()

	got := sums(t, e, "Sum")
	const api, table = " GraphQLAPIId=sandbox", " TableName=T"
	if throttled == 0 || refused == 0 || tokens != got["AWS/AppSync TokensConsumed"+api] {
		t.Errorf("answers say %v tokens, CloudWatch %v; %v throttled, %v refused", tokens, got["AWS/AppSync TokensConsumed"+api], throttled, refused)
	}
	invocations := got["AWS/Lambda Invocations"]
	operations := got["Momento/Metrics Operations CacheName=sandbox"]
	const function = " FunctionName=sandbox Resource=sandbox"
	inReady, spilled := got["AWS/Lambda ProvisionedConcurrencyInvocations"+function], got["AWS/Lambda ProvisionedConcurrencySpilloverInvocations"+function]
	if inReady == 0 || spilled == 0 || inReady+spilled != invocations {
		t.Errorf("%v requests ran in provisioned environments and %v spilled over, of %v", inReady, spilled, invocations)
	}
	want := map[string]float64{
		"AWS/Lambda ProvisionedConcurrencyInvocations" + function:          inReady,
		"AWS/Lambda ProvisionedConcurrencySpilloverInvocations" + function: spilled,
		"AWS/AppSync TokensConsumed" + api:                                 3*invocations + 2*operations,
		"AWS/AppSync Requests" + api:                                       served + refused,
		"AWS/AppSync 4XXError" + api:                                       throttled,
		"AWS/Lambda Invocations":                                           served + refused - operations,
		"AWS/Lambda Throttles":                                             0,
		"AWS/DynamoDB ConsumedReadCapacityUnits" + table:                   2 * (invocations - refused),
		"AWS/DynamoDB ReadThrottleEvents" + table:                          refused,
		"Momento/Metrics Operations CacheName=sandbox":                     operations,
		"Momento/Metrics Throttles CacheName=sandbox Limit=operations":     0,
		"Headroom/Sandbox Consumed Limiter=mine":                           5 * operations,
		"Headroom/Sandbox Throttles Limiter=mine":                          0,
		"Headroom/Sandbox Requests Limiter=mine":                           operations,
		"Headroom/Sandbox Requests Limiter=items":                          operations - oversize,
		"Headroom/Sandbox Throttles Limiter=items":                         oversize,
	}
	highest := sums(t, e, "Maximum")
	peak := highest["AWS/Lambda ConcurrentExecutions"]
	if largest := highest["Headroom/Sandbox Consumed Limiter=items"]; largest != 3e6 || oversize == 0 {
		t.Errorf("the largest item is %v, %v were refused", largest, oversize)
	}
	if peak < 1 || peak > workers {
		t.Errorf("concurrency peaks at %v", peak)
	}
	for _, distribution := range []string{"AWS/Lambda ConcurrentExecutions", "AWS/Lambda Duration", "AWS/AppSync Latency" + api, "Headroom/Sandbox Consumed Limiter=items"} {
		if got[distribution] <= 0 {
			t.Errorf("%s is %v", distribution, got[distribution])
		}
		delete(got, distribution)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	quota, err := servicequotas.NewFromConfig(configured(e)).GetServiceQuota(t.Context(), &servicequotas.GetServiceQuotaInput{
		ServiceCode: aws.String("lambda"), QuotaCode: aws.String("L-B99A9384"),
	})
	if err != nil || *quota.Quota.Value != 900 {
		t.Errorf("concurrency quota: %v %v", quota, err)
	}
	settings, err := lambda.NewFromConfig(configured(e)).GetAccountSettings(t.Context(), &lambda.GetAccountSettingsInput{})
	if err != nil || settings.AccountLimit.ConcurrentExecutions != 900 {
		t.Errorf("account settings: %v %v", settings, err)
	}

	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for _, at := range []string{e.GraphQL, e.AWS} {
		if _, err := client.Get(at); err == nil {
			t.Errorf("%s is open after Close", at)
		}
	}
}

// pipes is a listener whose connections are pipes within a synctest bubble.
type pipes struct {
	connections chan net.Conn
	closed      chan struct{}
	once        sync.Once
}

func listenPipes() *pipes {
	return &pipes{connections: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.connections:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.connections <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close lets requests finish, and leaves no goroutine behind: the bubble would
// not end.
func TestCloseDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		system, err := model.Parse("system.yaml", []byte("version: 1\nname: slow\noperations: [{name: slow, service_time: 10s}]\n"))
		if err != nil {
			t.Fatal(err)
		}
		at := listenPipes()
		s, err := open(Config{System: system}, at, listenPipes())
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DialContext: at.dial}}
		ask := func() (int, error) {
			r, _ := http.NewRequest("POST", s.Endpoints().GraphQL, strings.NewReader(body("query slow { slow }")))
			r.Header.Set("x-api-key", s.Endpoints().APIKey)
			answer, err := client.Do(r)
			if err != nil {
				return 0, err
			}
			defer answer.Body.Close()
			_, err = io.ReadAll(answer.Body)
			return answer.StatusCode, err
		}
		start := time.Now()
		done := make(chan error)
		go func() {
			status, err := ask()
			if status != 200 {
				err = errors.Join(err, errors.New("status "+strconv.Itoa(status)))
			}
			done <- err
		}()
		time.Sleep(time.Second)
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		time.Sleep(time.Second)
		if _, err := ask(); err == nil {
			t.Error("a request is served after Close")
		}
		if err := <-done; err != nil || time.Since(start) != 10*time.Second {
			t.Errorf("the request that was being served: %v after %v", err, time.Since(start))
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		client.CloseIdleConnections()
	})
}

func TestStartRefuses(t *testing.T) {
	if _, err := Start(Config{}); err == nil {
		t.Error("starts without a System")
	}
	system, err := model.Open("premiere", nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Start(Config{System: system})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(s.Endpoints().AWS, "http://"), ":")
	taken, _ := strconv.Atoi(port)
	if second, err := Start(Config{System: system, AWSPort: taken}); err == nil {
		second.Close()
		t.Error("starts on a port that is taken")
	}
	broken := *system
	broken.SDL = []byte("type Query { a: Missing }")
	if second, err := Start(Config{System: &broken}); err == nil {
		second.Close()
		t.Error("starts with a broken schema")
	}
}

// BenchmarkRequests serves small requests over TCP, with charges, metrics and a
// cached answer. Its client's time is in the figure too.
func BenchmarkRequests(b *testing.B) {
	opened, err := model.Open("premiere-cached", nil)
	if err != nil {
		b.Fatal(err)
	}
	system := *opened
	system.Operations = slices.Clone(system.Operations)
	for i := range system.Operations {
		system.Operations[i].ServiceTime = model.Distribution{}
	}
	s, err := Start(Config{System: &system})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	defer client.CloseIdleConnections()
	request := body(premiereQuery, `,"variables":{"first":1}`)
	for b.Loop() {
		r, _ := http.NewRequest("POST", s.Endpoints().GraphQL, strings.NewReader(request))
		r.Header.Set("x-api-key", s.Endpoints().APIKey)
		answer, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}
