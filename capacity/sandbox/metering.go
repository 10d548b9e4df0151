package sandbox

import (
	"net/http"
	"strings"
	"time"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/sandbox/awsapi"
)

// concurrencyID is the limiter that Lambda's own metrics and quota speak of.
const concurrencyID = "lambda.concurrency"

// applied returns the quotas whose values Service Quotas answers.
func applied(s *model.System) []awsapi.AppliedQuota {
	var quotas []awsapi.AppliedQuota
	for _, l := range s.Limiters {
		switch {
		case l.ID == model.RequestTokens:
			quotas = append(quotas, awsapi.AppliedQuota{Service: awsapi.AppSyncService, Code: awsapi.RequestTokensCode, Value: l.Limit})
		case l.ID == concurrencyID && l.Kind == model.Concurrency:
			quotas = append(quotas, awsapi.AppliedQuota{Service: awsapi.LambdaService, Code: awsapi.ConcurrencyCode, Value: l.Limit})
		}
	}
	return quotas
}

// meters turns what a System charges into CloudWatch metrics, under the names
// and dimensions that the services themselves use. A point is stamped with the
// arrival it comes from. A throttle metric has a zero for every charge that was
// admitted: that nothing was throttled is known, not missing.
type meters struct {
	requests, clientErrors, latency *awsapi.Metric // of the API as a whole
	limiters                        map[string]meter
}

// meter is the metrics of one limiter; those that its service doesn't have are
// nil.
type meter struct {
	use       *awsapi.Metric // what was charged; of a concurrency limiter the environments in use
	throttles *awsapi.Metric
	requests  *awsapi.Metric // charges that were admitted
	duration  *awsapi.Metric // milliseconds that an environment was held, its start included
	inReady   *awsapi.Metric // of requests, those that ran in a provisioned environment
	spilled   *awsapi.Metric // and those that found none idle
	level     bool
	size      bool // use is the largest asked for, refused or not
}

func newMeters(s *model.System, m *awsapi.Metrics) *meters {
	api := awsapi.Dimension{Name: "GraphQLAPIId", Value: APIID}
	all := &meters{
		requests:     m.Metric("AWS/AppSync", "Requests", "Count", api),
		clientErrors: m.Metric("AWS/AppSync", "4XXError", "Count", api),
		latency:      m.Metric("AWS/AppSync", "Latency", "Milliseconds", api),
		limiters:     map[string]meter{},
	}
	cache := awsapi.Dimension{Name: "CacheName", Value: CacheName}
	momento := func(use, unit, limit string) meter {
		return meter{
			use:       m.Metric("Momento/Metrics", use, unit, cache),
			throttles: m.Metric("Momento/Metrics", "Throttles", "Count", cache, awsapi.Dimension{Name: "Limit", Value: limit}),
		}
	}
	for _, l := range s.Limiters {
		var x meter
		table, access := dynamoDB(l.ID)
		switch {
		case l.ID == model.RequestTokens:
			x = meter{use: m.Metric("AWS/AppSync", "TokensConsumed", "Count", api)}
		case l.ID == concurrencyID && l.Kind == model.Concurrency:
			x = meter{
				use:       m.Metric("AWS/Lambda", "ConcurrentExecutions", "Count"),
				throttles: m.Metric("AWS/Lambda", "Throttles", "Count"),
				requests:  m.Metric("AWS/Lambda", "Invocations", "Count"),
				duration:  m.Metric("AWS/Lambda", "Duration", "Milliseconds"),
			}
			if l.Provisioned > 0 {
				of := []awsapi.Dimension{{Name: "FunctionName", Value: FunctionName}, {Name: "Resource", Value: FunctionName}}
				x.inReady = m.Metric("AWS/Lambda", "ProvisionedConcurrencyInvocations", "Count", of...)
				x.spilled = m.Metric("AWS/Lambda", "ProvisionedConcurrencySpilloverInvocations", "Count", of...)
			}
		case table != "":
			of := awsapi.Dimension{Name: "TableName", Value: table}
			x = meter{
				use:       m.Metric("AWS/DynamoDB", "Consumed"+access+"CapacityUnits", "Count", of),
				throttles: m.Metric("AWS/DynamoDB", access+"ThrottleEvents", "Count", of),
			}
		case l.ID == "momento.operations":
			x = momento("Operations", "Count", "operations")
		case l.ID == "momento.throughput":
			x = momento("Bytes", "Bytes", "throughput")
		default:
			of := awsapi.Dimension{Name: "Limiter", Value: l.ID}
			x = meter{
				use:       m.Metric("Headroom/Sandbox", "Consumed", "None", of),
				throttles: m.Metric("Headroom/Sandbox", "Throttles", "Count", of),
				requests:  m.Metric("Headroom/Sandbox", "Requests", "Count", of),
			}
			if l.Kind == model.Concurrency {
				x.duration = m.Metric("Headroom/Sandbox", "Duration", "Milliseconds", of)
			}
			if l.Provisioned > 0 {
				x.inReady = m.Metric("Headroom/Sandbox", "ProvisionedRequests", "Count", of)
				x.spilled = m.Metric("Headroom/Sandbox", "SpilledRequests", "Count", of)
			}
		}
		x.level, x.size = l.Kind == model.Concurrency, l.Kind == model.ItemSize
		all.limiters[l.ID] = x
	}
	return all
}

// served publishes what an outcome charged at an instant.
func (m *meters) served(at time.Time, out model.Outcome) {
	for _, c := range out.Charges {
		x := m.limiters[c.Limiter]
		throttled := 0.0
		if c.Refused {
			throttled = 1
		}
		if x.throttles != nil {
			x.throttles.Add(at, throttled)
		}
		switch {
		case x.level:
			x.use.Add(at, c.Level)
		case x.size || !c.Refused:
			x.use.Add(at, c.Amount)
		}
		if c.Refused {
			continue
		}
		if x.requests != nil {
			x.requests.Add(at, 1)
		}
		if x.spilled != nil {
			ready, spilled := 0.0, 0.0
			switch {
			case c.InProvisioned:
				ready = 1
			case c.Spilled:
				spilled = 1
			}
			x.inReady.Add(at, ready)
			x.spilled.Add(at, spilled)
		}
		if x.duration != nil {
			x.duration.Add(at, float64(c.Hold)/float64(time.Millisecond))
		}
	}
}

// answered publishes an answer of the API as a whole. Requests counts what
// AppSync processed, so neither a refused key nor a 429.
func (m *meters) answered(arrived time.Time, status int, took time.Duration) {
	if status >= 400 && status < 500 {
		m.clientErrors.Add(arrived, 1)
	} else {
		m.clientErrors.Add(arrived, 0)
	}
	if status == http.StatusOK {
		m.requests.Add(arrived, 1)
		m.latency.Add(arrived, float64(took)/float64(time.Millisecond))
	}
}

// dynamoDB splits the id of a table's limit, dynamodb.TABLE.read or .write, into
// the table and Read or Write; "" for other ids.
func dynamoDB(id string) (table, access string) {
	rest, ok := strings.CutPrefix(id, "dynamodb.")
	if !ok {
		return "", ""
	}
	if table, ok := strings.CutSuffix(rest, ".read"); ok {
		return table, "Read"
	}
	if table, ok := strings.CutSuffix(rest, ".write"); ok {
		return table, "Write"
	}
	return "", ""
}
