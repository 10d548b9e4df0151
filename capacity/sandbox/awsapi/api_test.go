package awsapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	sqtypes "github.com/aws/aws-sdk-go-v2/service/servicequotas/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// minute is a whole UTC minute within the day that metrics are kept.
var minute = time.Now().UTC().Truncate(time.Minute).Add(-time.Hour)

func testConfig() Config {
	return Config{
		Credentials: testCredentials,
		Account:     "111122223333",
		Metrics:     NewMetrics(),
		Applied: []AppliedQuota{
			{AppSyncService, RequestTokensCode, 2000},
			{LambdaService, ConcurrencyCode, 1500},
		},
	}
}

// serve returns an AWS configuration that points at a handler over TCP.
func serve(t *testing.T, cfg Config) aws.Config {
	server := httptest.NewServer(New(cfg))
	t.Cleanup(server.Close)
	return aws.Config{
		Region:       cfg.Credentials.Region,
		BaseEndpoint: &server.URL,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: cfg.Credentials.AccessKey, SecretAccessKey: cfg.Credentials.SecretKey}, nil
		}),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	}
}

func query(id, namespace, metric, statistic string, period int32, dimensions ...cwtypes.Dimension) cwtypes.MetricDataQuery {
	return cwtypes.MetricDataQuery{Id: &id, MetricStat: &cwtypes.MetricStat{
		Metric: &cwtypes.Metric{Namespace: &namespace, MetricName: &metric, Dimensions: dimensions},
		Period: &period, Stat: &statistic,
	}}
}

type row struct {
	Minute int // from minute
	Value  float64
}

// read pages through GetMetricData and returns the values by query.
func read(t *testing.T, client *cloudwatch.Client, in *cloudwatch.GetMetricDataInput) map[string][]row {
	t.Helper()
	got := map[string][]row{}
	pages := cloudwatch.NewGetMetricDataPaginator(client, in)
	for page := 0; pages.HasMorePages(); page++ {
		if page == 100 {
			t.Fatal("the pages don't end")
		}
		out, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out.MetricDataResults {
			want := cwtypes.StatusCodeComplete
			if out.NextToken != nil && *r.Id == *out.MetricDataResults[len(out.MetricDataResults)-1].Id && r.StatusCode == cwtypes.StatusCodePartialData {
				want = cwtypes.StatusCodePartialData
			}
			if r.StatusCode != want {
				t.Errorf("%s: status %s, want %s", *r.Id, r.StatusCode, want)
			}
			for i, at := range r.Timestamps {
				got[*r.Id] = append(got[*r.Id], row{int(at.Sub(minute) / time.Minute), r.Values[i]})
			}
		}
	}
	return got
}

func TestGetMetricData(t *testing.T) {
	cfg := testConfig()
	client := cloudwatch.NewFromConfig(serve(t, cfg))
	tokens := cfg.Metrics.Metric("AWS/AppSync", "TokensConsumed", "Count", Dimension{"GraphQLAPIId", "sandbox"})
	for i, v := range []float64{200, 100, 300} { // minutes 0, 0, 1
		tokens.Add(minute.Add(time.Duration(i)*30*time.Second), v)
	}
	tokens.Add(minute.Add(2*time.Minute-time.Nanosecond), 7)
	tokens.Add(minute.Add(4*time.Minute), 5)
	api := cwtypes.Dimension{Name: aws.String("GraphQLAPIId"), Value: aws.String("sandbox")}

	in := &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(minute), EndTime: aws.Time(minute.Add(4 * time.Minute)), ScanBy: cwtypes.ScanByTimestampAscending,
		MetricDataQueries: []cwtypes.MetricDataQuery{
			query("sum", "AWS/AppSync", "TokensConsumed", "Sum", 60, api),
			query("max", "AWS/AppSync", "TokensConsumed", "Maximum", 60, api),
			query("min", "AWS/AppSync", "TokensConsumed", "Minimum", 60, api),
			query("mean", "AWS/AppSync", "TokensConsumed", "Average", 60, api),
			query("n", "AWS/AppSync", "TokensConsumed", "SampleCount", 60, api),
			query("none", "AWS/AppSync", "TokensConsumed", "Sum", 60),
			query("fine", "AWS/AppSync", "TokensConsumed", "Sum", 1, api),
		},
	}
	want := map[string][]row{
		"sum":  {{0, 300}, {1, 307}},
		"max":  {{0, 200}, {1, 300}},
		"min":  {{0, 100}, {1, 7}},
		"mean": {{0, 150}, {1, 153.5}},
		"n":    {{0, 2}, {1, 2}},
	}
	if d := cmp.Diff(want, read(t, client, in)); d != "" {
		t.Errorf("whole answer: %s", d)
	}
	for _, page := range []int32{1, 2, 3, 10} {
		in.MaxDatapoints = aws.Int32(page)
		if d := cmp.Diff(want, read(t, client, in)); d != "" {
			t.Errorf("pages of %d: %s", page, d)
		}
	}
	in.ScanBy = "" // descending
	in.MaxDatapoints = aws.Int32(1)
	if d := cmp.Diff([]row{{1, 307}, {0, 300}}, read(t, client, in)["sum"]); d != "" {
		t.Errorf("descending: %s", d)
	}
	// The start is inclusive and the end isn't, a start within a period counts as
	// the period's, and longer periods are sums of minutes.
	in = &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(minute.Add(90 * time.Second)), EndTime: aws.Time(minute.Add(4*time.Minute + time.Second)), ScanBy: cwtypes.ScanByTimestampAscending,
		MetricDataQueries: []cwtypes.MetricDataQuery{
			query("sum", "AWS/AppSync", "TokensConsumed", "Sum", 60, api),
			query("day", "AWS/AppSync", "TokensConsumed", "Sum", 86400, api),
		},
	}
	got := read(t, client, in)
	if d := cmp.Diff([]row{{1, 307}, {4, 5}}, got["sum"]); d != "" {
		t.Errorf("bounds: %s", d)
	}
	var total float64
	for _, r := range got["day"] {
		total += r.Value
	}
	if total != 612 {
		t.Errorf("a day's sum is %v, want 612", total)
	}
}

func TestPutMetricData(t *testing.T) {
	cfg := testConfig()
	client := cloudwatch.NewFromConfig(serve(t, cfg))
	ctx := t.Context()
	_, err := client.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{
		Namespace: aws.String("Mine"),
		MetricData: []cwtypes.MetricDatum{
			{MetricName: aws.String("a"), Timestamp: &minute, Value: aws.Float64(3)},
			{MetricName: aws.String("a"), Timestamp: &minute, Values: []float64{1, 10}, Counts: []float64{2, 1}},
			{MetricName: aws.String("a"), Timestamp: &minute, StatisticValues: &cwtypes.StatisticSet{
				SampleCount: aws.Float64(4), Sum: aws.Float64(20), Minimum: aws.Float64(-1), Maximum: aws.Float64(9),
			}},
			{MetricName: aws.String("fine"), Timestamp: aws.Time(minute.Add(time.Second)), Value: aws.Float64(1), StorageResolution: aws.Int32(1)},
			{MetricName: aws.String("fine"), Timestamp: aws.Time(minute.Add(2 * time.Second)), Value: aws.Float64(2), StorageResolution: aws.Int32(1)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := read(t, client, &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(minute), EndTime: aws.Time(minute.Add(time.Minute)),
		MetricDataQueries: []cwtypes.MetricDataQuery{
			query("sum", "Mine", "a", "Sum", 60), query("n", "Mine", "a", "SampleCount", 60),
			query("min", "Mine", "a", "Minimum", 60), query("max", "Mine", "a", "Maximum", 60),
			query("fine", "Mine", "fine", "Sum", 1), query("coarse", "Mine", "fine", "Sum", 60),
		},
	})
	want := map[string][]row{"sum": {{0, 35}}, "n": {{0, 8}}, "min": {{0, -1}}, "max": {{0, 10}}, "fine": {{0, 2}, {0, 1}}, "coarse": {{0, 3}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	// Large requests arrive compressed.
	var many []cwtypes.MetricDatum
	for i := range 1000 {
		many = append(many, cwtypes.MetricDatum{MetricName: aws.String(fmt.Sprintf("m%03d", i)), Timestamp: &minute, Value: aws.Float64(1)})
	}
	if _, err := client.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String("Many"), MetricData: many}); err != nil {
		t.Fatal(err)
	}
	var names []string
	pages := cloudwatch.NewListMetricsPaginator(client, &cloudwatch.ListMetricsInput{Namespace: aws.String("Many")})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Metrics) != 500 {
			t.Errorf("a page has %d metrics", len(out.Metrics))
		}
		for _, m := range out.Metrics {
			names = append(names, *m.MetricName)
		}
	}
	if len(names) != 1000 || names[0] != "m000" || names[999] != "m999" {
		t.Errorf("%d metrics are listed", len(names))
	}
}

func TestListMetrics(t *testing.T) {
	cfg := testConfig()
	client := cloudwatch.NewFromConfig(serve(t, cfg))
	cfg.Metrics.Metric("AWS/Lambda", "Throttles", "Count").Add(minute, 0)
	cfg.Metrics.Metric("AWS/Lambda", "Invocations", "Count") // has no point
	cfg.Metrics.Metric("AWS/DynamoDB", "ConsumedReadCapacityUnits", "Count", Dimension{"TableName", "B"}).Add(minute, 1)
	cfg.Metrics.Metric("AWS/DynamoDB", "ConsumedReadCapacityUnits", "Count", Dimension{"TableName", "A"}).Add(minute.Add(-4*time.Hour), 1)
	list := func(in *cloudwatch.ListMetricsInput) (got []string) {
		t.Helper()
		out, err := client.ListMetrics(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range out.Metrics {
			name := *m.Namespace + " " + *m.MetricName
			for _, d := range m.Dimensions {
				name += " " + *d.Name + "=" + *d.Value
			}
			got = append(got, name)
		}
		return got
	}
	const a, b, throttles = "AWS/DynamoDB ConsumedReadCapacityUnits TableName=A", "AWS/DynamoDB ConsumedReadCapacityUnits TableName=B", "AWS/Lambda Throttles"
	for name, c := range map[string]struct {
		in   cloudwatch.ListMetricsInput
		want []string
	}{
		"all":       {want: []string{a, b, throttles}},
		"namespace": {cloudwatch.ListMetricsInput{Namespace: aws.String("AWS/Lambda")}, []string{throttles}},
		"name":      {cloudwatch.ListMetricsInput{MetricName: aws.String("Throttles")}, []string{throttles}},
		"dimension": {cloudwatch.ListMetricsInput{Dimensions: []cwtypes.DimensionFilter{{Name: aws.String("TableName")}}}, []string{a, b}},
		"value":     {cloudwatch.ListMetricsInput{Dimensions: []cwtypes.DimensionFilter{{Name: aws.String("TableName"), Value: aws.String("B")}}}, []string{b}},
		"recent":    {cloudwatch.ListMetricsInput{RecentlyActive: cwtypes.RecentlyActivePt3h}, []string{b, throttles}},
	} {
		if d := cmp.Diff(c.want, list(&c.in)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// code returns the code of the SDK's error.
func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

func TestCloudWatchErrors(t *testing.T) {
	client := cloudwatch.NewFromConfig(serve(t, testConfig()))
	good := func() *cloudwatch.GetMetricDataInput {
		return &cloudwatch.GetMetricDataInput{
			StartTime: aws.Time(minute), EndTime: aws.Time(minute.Add(time.Minute)),
			MetricDataQueries: []cwtypes.MetricDataQuery{query("a", "N", "M", "Sum", 60)},
		}
	}
	for name, c := range map[string]struct {
		spoil func(in *cloudwatch.GetMetricDataInput)
		want  string
	}{
		"expression": {func(in *cloudwatch.GetMetricDataInput) {
			in.MetricDataQueries[0] = cwtypes.MetricDataQuery{Id: aws.String("e"), Expression: aws.String("a+b")}
		}, "ValidationError"},
		"percentile": {func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[0].MetricStat.Stat = aws.String("p99") }, "ValidationError"},
		"period":     {func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[0].MetricStat.Period = aws.Int32(90) }, "ValidationError"},
		"id":         {func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries[0].Id = aws.String("A") }, "ValidationError"},
		"twice": {func(in *cloudwatch.GetMetricDataInput) {
			in.MetricDataQueries = append(in.MetricDataQueries, in.MetricDataQueries[0])
		}, "ValidationError"},
		"backwards": {func(in *cloudwatch.GetMetricDataInput) { in.EndTime = in.StartTime }, "ValidationError"},
		"token":     {func(in *cloudwatch.GetMetricDataInput) { in.NextToken = aws.String("7.x") }, "InvalidNextToken"},
		"nothing":   {func(in *cloudwatch.GetMetricDataInput) { in.MetricDataQueries = []cwtypes.MetricDataQuery{} }, "MissingParameter"},
	} {
		in := good()
		c.spoil(in)
		if _, err := client.GetMetricData(t.Context(), in); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	value := func(d cwtypes.MetricDatum) []cwtypes.MetricDatum { return []cwtypes.MetricDatum{d} }
	for name, c := range map[string]struct {
		namespace string
		data      []cwtypes.MetricDatum
		want      string
	}{
		"AWS's":       {"AWS/Mine", value(cwtypes.MetricDatum{MetricName: aws.String("a"), Value: aws.Float64(1)}), "InvalidParameterValue"},
		"no value":    {"Mine", value(cwtypes.MetricDatum{MetricName: aws.String("a")}), "MissingParameter"},
		"two values":  {"Mine", value(cwtypes.MetricDatum{MetricName: aws.String("a"), Value: aws.Float64(1), Values: []float64{1}}), "InvalidParameterCombination"},
		"huge":        {"Mine", value(cwtypes.MetricDatum{MetricName: aws.String("a"), Value: aws.Float64(1e200)}), "InvalidParameterValue"},
		"last week":   {"Mine", value(cwtypes.MetricDatum{MetricName: aws.String("a"), Value: aws.Float64(1), Timestamp: aws.Time(minute.Add(-48 * time.Hour))}), "InvalidParameterValue"},
		"counts":      {"Mine", value(cwtypes.MetricDatum{MetricName: aws.String("a"), Values: []float64{1}, Counts: []float64{1, 2}}), "InvalidParameterValue"},
		"resolution":  {"Mine", value(cwtypes.MetricDatum{MetricName: aws.String("a"), Value: aws.Float64(1), StorageResolution: aws.Int32(5)}), "InvalidParameterValue"},
		"second item": {"Mine", []cwtypes.MetricDatum{{MetricName: aws.String("a"), Value: aws.Float64(1)}, {MetricName: aws.String("b")}}, "MissingParameter"},
	} {
		_, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: &c.namespace, MetricData: c.data})
		if code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if out, err := client.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{}); err != nil || len(out.Metrics) != 0 {
		t.Errorf("refused data left metrics behind: %v %v", out, err)
	}
	if _, err := client.DescribeAlarms(t.Context(), &cloudwatch.DescribeAlarmsInput{}); code(err) != "UnknownOperation" {
		t.Errorf("unknown operation: %v", err)
	}
}

func TestStoreIsBounded(t *testing.T) {
	metrics := NewMetrics()
	m := metrics.Metric("N", "M", "")
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const days = 5
	for i := range days * 24 * 60 {
		m.Add(start.Add(time.Duration(i)*time.Minute), 1)
	}
	m.Add(start, 1) // too old to be kept
	if n := len(m.minutes); n > 24*60+512 {
		t.Errorf("%d minutes are kept", n)
	}
	end := start.Add(days * 24 * time.Hour).Unix()
	if n := len(m.read(60, end-24*3600, end)); n != 24*60 {
		t.Errorf("%d minutes of the last day are left", n)
	}
}

func TestServiceQuotas(t *testing.T) {
	client := servicequotas.NewFromConfig(serve(t, testConfig()))
	ctx := t.Context()
	tokens, err := client.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: aws.String("appsync"), QuotaCode: aws.String("L-FC5E46D0")})
	if err != nil {
		t.Fatal(err)
	}
	if q := tokens.Quota; *q.Value != 2000 || *q.Period.PeriodValue != 1 || q.Period.PeriodUnit != sqtypes.PeriodUnitSecond || !q.Adjustable ||
		*q.QuotaArn != "arn:aws:servicequotas:ap-northeast-1:111122223333:appsync/L-FC5E46D0" || q.QuotaAppliedAtLevel != sqtypes.AppliedLevelEnumAccount {
		t.Errorf("request tokens: %+v", q)
	}
	concurrency, err := client.ListServiceQuotas(ctx, &servicequotas.ListServiceQuotasInput{ServiceCode: aws.String("lambda")})
	if err != nil {
		t.Fatal(err)
	}
	if q := concurrency.Quotas; len(q) != 1 || *q[0].Value != 1500 || *q[0].UsageMetric.MetricName != "ConcurrentExecutions" || *q[0].UsageMetric.MetricStatisticRecommendation != "Maximum" {
		t.Errorf("concurrency: %+v", q)
	}
	def, err := client.GetAWSDefaultServiceQuota(ctx, &servicequotas.GetAWSDefaultServiceQuotaInput{ServiceCode: aws.String("lambda"), QuotaCode: aws.String("L-B99A9384")})
	if err != nil || *def.Quota.Value != 1000 {
		t.Errorf("default concurrency: %v %v", def, err)
	}
	var codes []string
	pages := servicequotas.NewListAWSDefaultServiceQuotasPaginator(client, &servicequotas.ListAWSDefaultServiceQuotasInput{ServiceCode: aws.String("dynamodb"), MaxResults: aws.Int32(1)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range out.Quotas {
			codes = append(codes, fmt.Sprint(*q.QuotaCode, " ", *q.Value))
		}
	}
	if d := cmp.Diff([]string{"L-CF0CBE56 40000", "L-AB614373 40000"}, codes); d != "" {
		t.Error(d)
	}
	services, err := client.ListServices(ctx, &servicequotas.ListServicesInput{})
	if err != nil || len(services.Services) != 3 {
		t.Errorf("services: %v %v", services, err)
	}

	get := func(service, quota string) string {
		_, err := client.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: &service, QuotaCode: &quota})
		return code(err)
	}
	for name, got := range map[string]string{
		"no applied value": get("dynamodb", "L-CF0CBE56"),
		"unknown quota":    get("appsync", "L-00000000"),
		"unknown service":  get("kafka", "L-00000000"),
	} {
		if got != "NoSuchResourceException" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if _, err = client.ListServiceQuotas(ctx, &servicequotas.ListServiceQuotasInput{ServiceCode: aws.String("lambda"), NextToken: aws.String("x")}); code(err) != "InvalidPaginationTokenException" {
		t.Errorf("token: %v", err)
	}
	if _, err = client.ListServiceQuotas(ctx, &servicequotas.ListServiceQuotasInput{ServiceCode: aws.String("lambda"), MaxResults: aws.Int32(101)}); code(err) != "IllegalArgumentException" {
		t.Errorf("page size: %v", err)
	}
}

func TestLambdaAccountSettings(t *testing.T) {
	cfg := testConfig()
	out, err := lambda.NewFromConfig(serve(t, cfg)).GetAccountSettings(t.Context(), &lambda.GetAccountSettingsInput{})
	if err != nil {
		t.Fatal(err)
	}
	if out.AccountLimit.ConcurrentExecutions != 1500 || *out.AccountLimit.UnreservedConcurrentExecutions != 1500 {
		t.Errorf("%+v", out.AccountLimit)
	}
	cfg.Applied = nil
	if _, err = lambda.NewFromConfig(serve(t, cfg)).GetAccountSettings(t.Context(), &lambda.GetAccountSettingsInput{}); code(err) != "ResourceNotFoundException" {
		t.Errorf("without a limit: %v", err)
	}
}

func TestUnsignedIsForbidden(t *testing.T) {
	cfg := testConfig()
	at := serve(t, cfg)
	at.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: cfg.Credentials.AccessKey, SecretAccessKey: "another"}, nil
	})
	_, metrics := cloudwatch.NewFromConfig(at).ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{})
	_, quotas := servicequotas.NewFromConfig(at).ListServices(t.Context(), &servicequotas.ListServicesInput{})
	_, settings := lambda.NewFromConfig(at).GetAccountSettings(t.Context(), &lambda.GetAccountSettingsInput{})
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"cloudwatch":    {metrics, "InvalidSignature"}, // its Query code
		"servicequotas": {quotas, "InvalidSignatureException"},
		"lambda":        {settings, "InvalidSignatureException"},
	} {
		var response interface{ HTTPStatusCode() int }
		if code(c.err) != c.want || !errors.As(c.err, &response) || response.HTTPStatusCode() != http.StatusForbidden {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// The AWS CLI and the JavaScript SDK speak JSON 1.0 to CloudWatch; 1.1 is
// answered in kind.
func TestCloudWatchJSON(t *testing.T) {
	cfg := testConfig()
	cfg.Metrics.Metric("AWS/Lambda", "ConcurrentExecutions", "Count").Add(minute, 12)
	h := New(cfg)
	for _, version := range []string{"1.0", "1.1"} {
		contentType := "application/x-amz-json-" + version
		do := func(op, body string) (int, http.Header, string) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, signed(t, "POST", "http://127.0.0.1:4000/", "monitoring", []byte(body), time.Now(),
				"Content-Type", contentType, "X-Amz-Target", "GraniteServiceVersion20100801."+op))
			return w.Code, w.Header(), w.Body.String()
		}
		status, header, body := do("GetMetricData", fmt.Sprintf(`{"StartTime":%d,"EndTime":%d.5,"MetricDataQueries":[
			{"Id":"a","MetricStat":{"Metric":{"Namespace":"AWS/Lambda","MetricName":"ConcurrentExecutions"},"Period":60,"Stat":"Maximum"}}]}`, minute.Unix(), minute.Unix()))
		want := fmt.Sprintf(`{"MetricDataResults":[{"Id":"a","Label":"ConcurrentExecutions","Timestamps":[%d],"Values":[12],"StatusCode":"Complete"}],"Messages":[]}`, minute.Unix())
		if status != 200 || body != want || header.Get("Content-Type") != contentType {
			t.Errorf("%s: %d %s", version, status, body)
		}
		if status, _, body = do("PutMetricData", `{"Namespace":"Mine","MetricData":[{"MetricName":"a","Value":1}]}`); status != 200 || body != "{}" {
			t.Errorf("%s: %d %s", version, status, body)
		}
		if status, _, body = do("ListMetrics", `{"Namespace":"AWS/Lambda"}`); body != `{"Metrics":[{"Namespace":"AWS/Lambda","MetricName":"ConcurrentExecutions","Dimensions":[]}]}` {
			t.Errorf("%s: %d %s", version, status, body)
		}
		status, header, body = do("PutMetricData", `{"Namespace":"AWS/Lambda"}`)
		if status != 400 || !strings.Contains(body, `"__type":"com.amazonaws.cloudwatch#InvalidParameterValueException"`) || header.Get("X-Amzn-Query-Error") != "InvalidParameterValue;Sender" {
			t.Errorf("%s: %d %s", version, status, body)
		}
		if status, _, body = do("GetMetricData", `{"StartTime":"yesterday"}`); status != 400 || !strings.Contains(body, "SerializationException") {
			t.Errorf("%s: %d %s", version, status, body)
		}
	}
}

// Whatever a signed request holds, the answer is well-formed and no fault of
// the sandbox's own.
func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[]`, `{"MetricDataQueries":[{}]}`,
		`{"StartTime":1,"EndTime":2e9,"MetricDataQueries":[{"Id":"a","MetricStat":{"Metric":{"Namespace":"N","MetricName":"M"},"Period":60,"Stat":"Sum"}}],"NextToken":"0.5"}`,
		`{"Namespace":"N","MetricData":[{"MetricName":"M","Values":[1,2],"Counts":[0,1e308]}]}`,
		`{"Namespace":"N","MetricData":[{"MetricName":"M","StatisticValues":{"SampleCount":1e-300,"Sum":1e300}}]}`,
		`{"ServiceCode":"lambda","MaxResults":1,"NextToken":"1"}`,
	} {
		f.Add(seed)
	}
	cfg := testConfig()
	cfg.Metrics.Metric("N", "M", "").Add(minute, 1)
	h := New(cfg)
	f.Fuzz(func(t *testing.T, body string) {
		for target, service := range map[string]string{
			"GraniteServiceVersion20100801.GetMetricData": "monitoring", "GraniteServiceVersion20100801.ListMetrics": "monitoring",
			"GraniteServiceVersion20100801.PutMetricData": "monitoring", "ServiceQuotasV20190624.ListServiceQuotas": "servicequotas",
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, signed(t, "POST", "http://127.0.0.1:4000/", service, []byte(body), time.Now(), "X-Amz-Target", target))
			if (w.Code != 200 && w.Code != 400) || !json.Valid(w.Body.Bytes()) {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
	})
}

func FuzzCBOR(f *testing.F) {
	f.Add([]byte{0xa0})
	f.Add([]byte{0xbf, 0xff})
	f.Add([]byte("\xbfiStartTime\xc1\xfbA\xd2\x00\x00\x00\x00\x00\x00gEndTime\xc1\x1a\x7f\xff\xff\xffqMetricDataQueries\x81\xa2bIdaajMetricStat\xa3fMetric\xa2iNamespaceaNjMetricNameaMfPeriod\x18<dStatcSum\xff"))
	f.Add([]byte("\xa2iNamespaceaNjMetricData\x81\xa2jMetricNameaMeValue\xfb\x7f\xf0\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x9f\x9f\x9f\xff\xff\xff"))
	cfg := testConfig()
	cfg.Metrics.Metric("N", "M", "").Add(minute, 1)
	h := New(cfg)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, op := range []string{"GetMetricData", "ListMetrics", "PutMetricData"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, signed(t, "POST", "http://127.0.0.1:4000/service/GraniteServiceVersion20100801/operation/"+op, "monitoring", body, time.Now(),
				"Smithy-Protocol", "rpc-v2-cbor", "Content-Type", "application/cbor"))
			answer, _ := io.ReadAll(w.Body)
			if w.Code != 200 && w.Code != 400 {
				t.Errorf("%s: %d %q", op, w.Code, answer)
			}
			if op == "PutMetricData" && w.Code == 200 {
				if len(answer) > 0 {
					t.Errorf("%s: %q", op, answer)
				}
			} else if v, err := decodeCBOR(answer); err != nil {
				t.Errorf("%s: %q: %v", op, answer, err)
			} else if _, ok := v.(map[string]any); !ok {
				t.Errorf("%s: answers %v", op, v)
			}
		}
	})
}
