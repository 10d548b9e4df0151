package awsapi

import "time"

type accountSettings struct {
	AccountLimit struct {
		ConcurrentExecutions           int64 `json:"ConcurrentExecutions"`
		UnreservedConcurrentExecutions int64 `json:"UnreservedConcurrentExecutions"`
		TotalCodeSize                  int64 `json:"TotalCodeSize"`
		CodeSizeUnzipped               int64 `json:"CodeSizeUnzipped"`
		CodeSizeZipped                 int64 `json:"CodeSizeZipped"`
	} `json:"AccountLimit"`
	AccountUsage struct {
		FunctionCount int64 `json:"FunctionCount"`
		TotalCodeSize int64 `json:"TotalCodeSize"`
	} `json:"AccountUsage"`
}

// getAccountSettings answers the concurrency limit, all of it unreserved. A
// System without one has no answer: a default would be a limit that nothing
// enforces.
func (s *server) getAccountSettings([]byte, time.Time) (any, *fault) {
	for _, a := range s.Applied {
		if a.Service == LambdaService && a.Code == ConcurrencyCode {
			var out accountSettings
			out.AccountLimit.ConcurrentExecutions = int64(a.Value)
			out.AccountLimit.UnreservedConcurrentExecutions = int64(a.Value)
			// The code sizes are AWS's defaults (Lambda quotas): 75 GB, 250 MB, 50 MB.
			out.AccountLimit.TotalCodeSize = 80530636800
			out.AccountLimit.CodeSizeUnzipped = 262144000
			out.AccountLimit.CodeSizeZipped = 52428800
			return out, nil
		}
	}
	return nil, &fault{status: 404, shape: "ResourceNotFoundException", message: "the System has no limiter lambda.concurrency"}
}
