package awsapi

import (
	"fmt"
	"slices"
	"strconv"
	"time"
)

// serviceQuota is a quota as Service Quotas answers it.
type serviceQuota struct {
	ServiceCode         string       `json:"ServiceCode"`
	ServiceName         string       `json:"ServiceName"`
	QuotaArn            string       `json:"QuotaArn"`
	QuotaCode           string       `json:"QuotaCode"`
	QuotaName           string       `json:"QuotaName"`
	Value               float64      `json:"Value"`
	Unit                string       `json:"Unit"`
	Adjustable          bool         `json:"Adjustable"`
	GlobalQuota         bool         `json:"GlobalQuota"`
	QuotaAppliedAtLevel string       `json:"QuotaAppliedAtLevel,omitempty"`
	Period              *quotaPeriod `json:"Period,omitempty"`
	UsageMetric         *usageMetric `json:"UsageMetric,omitempty"`
}

type quotaPeriod struct {
	PeriodValue int    `json:"PeriodValue"`
	PeriodUnit  string `json:"PeriodUnit"`
}

type usageMetric struct {
	MetricNamespace               string            `json:"MetricNamespace"`
	MetricName                    string            `json:"MetricName"`
	MetricDimensions              map[string]string `json:"MetricDimensions"`
	MetricStatisticRecommendation string            `json:"MetricStatisticRecommendation"`
}

// Codes of the quotas that the sandbox knows.
const (
	AppSyncService       = "appsync"
	RequestTokensCode    = "L-FC5E46D0"
	LambdaService        = "lambda"
	ConcurrencyCode      = "L-B99A9384"
	dynamoDBService      = "dynamodb"
	tableReadThroughput  = "L-CF0CBE56"
	tableWriteThroughput = "L-AB614373"
)

// defaultQuotas are the AWS defaults for ap-northeast-1 (AWS General Reference,
// AppSync, Lambda and DynamoDB quotas, read 2026-11-21).
func (s *server) defaultQuotas() []serviceQuota {
	second := &quotaPeriod{1, "SECOND"}
	quotas := []serviceQuota{
		{
			ServiceCode: AppSyncService, ServiceName: "AWS AppSync", QuotaCode: RequestTokensCode,
			QuotaName: "GraphQL APIs - Rate of request tokens", Value: 10_000, Period: second,
		},
		{
			ServiceCode: dynamoDBService, ServiceName: "Amazon DynamoDB", QuotaCode: tableReadThroughput,
			QuotaName: "Table-level read throughput limit", Value: 40_000, Period: second,
		},
		{
			ServiceCode: dynamoDBService, ServiceName: "Amazon DynamoDB", QuotaCode: tableWriteThroughput,
			QuotaName: "Table-level write throughput limit", Value: 40_000, Period: second,
		},
		{
			ServiceCode: LambdaService, ServiceName: "AWS Lambda", QuotaCode: ConcurrencyCode,
			QuotaName: "Concurrent executions", Value: 1_000,
			UsageMetric: &usageMetric{"AWS/Lambda", "ConcurrentExecutions", map[string]string{}, "Maximum"},
		},
	}
	for i := range quotas {
		q := &quotas[i]
		q.Unit, q.Adjustable = "None", true
		q.QuotaArn = fmt.Sprintf("arn:aws:servicequotas:%s::%s/%s", s.Credentials.Region, q.ServiceCode, q.QuotaCode)
	}
	return quotas
}

// appliedQuotas are the quotas that the System sets. As in an account, a quota
// without an applied value is known by its default only.
func (s *server) appliedQuotas() []serviceQuota {
	var quotas []serviceQuota
	for _, q := range s.defaultQuotas() {
		for _, a := range s.Applied {
			if a.Service == q.ServiceCode && a.Code == q.QuotaCode {
				q.Value, q.QuotaAppliedAtLevel = a.Value, "ACCOUNT"
				q.QuotaArn = fmt.Sprintf("arn:aws:servicequotas:%s:%s:%s/%s", s.Credentials.Region, s.Account, q.ServiceCode, q.QuotaCode)
				quotas = append(quotas, q)
			}
		}
	}
	return quotas
}

type quotasIn struct {
	ServiceCode, QuotaCode string
	NextToken              string
	MaxResults             *int
}

type quotasOut struct {
	Quotas    []serviceQuota `json:"Quotas"`
	NextToken string         `json:"NextToken,omitempty"`
}

type quotaOut struct {
	Quota serviceQuota `json:"Quota"`
}

type service struct {
	ServiceCode string `json:"ServiceCode"`
	ServiceName string `json:"ServiceName"`
}

type servicesOut struct {
	Services  []service `json:"Services"`
	NextToken string    `json:"NextToken,omitempty"`
}

func (s *server) listServices(in *quotasIn, _ time.Time) (any, *fault) {
	var services []service
	for _, q := range s.defaultQuotas() {
		services = append(services, service{q.ServiceCode, q.ServiceName})
	}
	services, next, f := quotaPage(in, slices.Compact(services))
	return servicesOut{services, next}, f
}

func (s *server) listServiceQuotas(in *quotasIn, _ time.Time) (any, *fault) {
	return s.list(in, s.appliedQuotas())
}

func (s *server) listDefaultQuotas(in *quotasIn, _ time.Time) (any, *fault) {
	return s.list(in, s.defaultQuotas())
}

func (s *server) getServiceQuota(in *quotasIn, _ time.Time) (any, *fault) {
	return s.get(in, s.appliedQuotas())
}

func (s *server) getDefaultQuota(in *quotasIn, _ time.Time) (any, *fault) {
	return s.get(in, s.defaultQuotas())
}

// list answers those of the quotas that the request asks for.
func (s *server) list(in *quotasIn, quotas []serviceQuota) (any, *fault) {
	if f := s.checkService(in); f != nil {
		return nil, f
	}
	wanted := []serviceQuota{}
	for _, q := range quotas {
		if q.ServiceCode == in.ServiceCode && (in.QuotaCode == "" || q.QuotaCode == in.QuotaCode) {
			wanted = append(wanted, q)
		}
	}
	wanted, next, f := quotaPage(in, wanted)
	return quotasOut{wanted, next}, f
}

// get answers the one of the quotas that the request names.
func (s *server) get(in *quotasIn, quotas []serviceQuota) (any, *fault) {
	if f := s.checkService(in); f != nil {
		return nil, f
	}
	if in.QuotaCode == "" {
		return nil, &fault{shape: "IllegalArgumentException", message: "QuotaCode is required"}
	}
	for _, q := range quotas {
		if q.ServiceCode == in.ServiceCode && q.QuotaCode == in.QuotaCode {
			return quotaOut{q}, nil
		}
	}
	return nil, &fault{shape: "NoSuchResourceException", message: "The request failed because the specified service quota does not exist."}
}

type increaseIn struct {
	ServiceCode, QuotaCode string
	DesiredValue           *float64
}

type increaseOut struct {
	RequestedQuota requestedQuota `json:"RequestedQuota"`
}

type requestedQuota struct {
	ID           string  `json:"Id"`
	ServiceCode  string  `json:"ServiceCode"`
	QuotaCode    string  `json:"QuotaCode"`
	DesiredValue float64 `json:"DesiredValue"`
	Status       string  `json:"Status"`
}

// requestIncrease accepts a request for more, which nobody decides: a sandbox's
// quotas stay as its System says.
func (s *server) requestIncrease(in *increaseIn, _ time.Time) (any, *fault) {
	if in.ServiceCode == "" || in.QuotaCode == "" || in.DesiredValue == nil {
		return nil, &fault{shape: "IllegalArgumentException", message: "ServiceCode, QuotaCode and DesiredValue are required"}
	}
	known := slices.Concat(s.appliedQuotas(), s.defaultQuotas())
	i := slices.IndexFunc(known, func(q serviceQuota) bool { return q.ServiceCode == in.ServiceCode && q.QuotaCode == in.QuotaCode })
	switch {
	case i < 0:
		return nil, &fault{shape: "NoSuchResourceException", message: "The request failed because the specified service quota does not exist."}
	case *in.DesiredValue <= known[i].Value:
		return nil, &fault{shape: "IllegalArgumentException", message: fmt.Sprintf("You must provide a quota value greater than the current quota value: %g", known[i].Value)}
	}
	return increaseOut{requestedQuota{RequestID(), in.ServiceCode, in.QuotaCode, *in.DesiredValue, "PENDING"}}, nil
}

func (s *server) checkService(in *quotasIn) *fault {
	if in.ServiceCode == "" {
		return &fault{shape: "IllegalArgumentException", message: "ServiceCode is required"}
	}
	if !slices.ContainsFunc(s.defaultQuotas(), func(q serviceQuota) bool { return q.ServiceCode == in.ServiceCode }) {
		return &fault{shape: "NoSuchResourceException", message: "The request failed because the specified service does not exist."}
	}
	return nil
}

// quotaPage cuts the page that the request asks for, of 1 to 100 items; its
// token is the number of items before the next page.
func quotaPage[T any](in *quotasIn, items []T) (page []T, next string, f *fault) {
	size := 100
	if in.MaxResults != nil {
		size = *in.MaxResults
	}
	if size < 1 || size > 100 {
		return nil, "", &fault{shape: "IllegalArgumentException", message: "MaxResults must be from 1 to 100"}
	}
	start := 0
	if in.NextToken != "" {
		n, err := strconv.Atoi(in.NextToken)
		if err != nil || n < 1 || n >= len(items) {
			return nil, "", &fault{shape: "InvalidPaginationTokenException", message: "Invalid NextToken provided in the request."}
		}
		start = n
	}
	end := min(start+size, len(items))
	if end < len(items) {
		next = strconv.Itoa(end)
	}
	return items[start:end], next, nil
}
