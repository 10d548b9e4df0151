package plan

import (
	"strings"

	"github.com/headroom-load/headroom/capacity"
)

// remedies are what takes a limit out of the way where asking for more doesn't,
// by the quota's id. They are design advice, not facts of a service: the team
// that took 200 tokens a request down to one did it with the first.
var remedies = []struct{ prefix, suffix, text string }{
	{"appsync.request-tokens", "", "resolve the query in one Lambda function that answers from a cache: a request then costs one token"},
	{"lambda.", ".scaling", "provision concurrency before the launch: environments that are there need not be created"},
	{"lambda.", "", "shorten the function, answer from a cache before it, or spread operations over functions in other accounts"},
	{"dynamodb.", ".partition-read", "split the hot key (suffix it and read one of its copies), or cache it: no quota raises a partition's limit"},
	{"dynamodb.", ".partition-write", "split the hot key by a suffix: no quota raises a partition's limit"},
	{"dynamodb.", "", "cache reads, spread keys, and set warm throughput before the launch"},
	{"momento.", "item-size", "compress the value and cut it into chunks below the limit"},
	{"momento.throughput", "", "compress values, or keep a copy of hot ones in the function's memory"},
	{"momento.operations", "", "fetch fewer, larger chunks, or keep a copy of hot values in the function's memory"},
	{"kafka.", "", "spread keys over more partitions, batch and compress records"},
}

// redesign returns the remedy for a quota of which an arrival costs so much, or ""
// where there is none but to raise the limit.
func redesign(n Need, cost float64) string {
	if n.Quota == capacity.RequestTokens && cost <= 1 {
		return "" // less than a token a request doesn't cost
	}
	for _, r := range remedies {
		if strings.HasPrefix(n.Quota, r.prefix) && strings.HasSuffix(n.Quota, r.suffix) {
			return r.text
		}
	}
	return ""
}

// leadTime says how long a raise takes. AWS: small ones are granted
// automatically, larger ones go to Support, which takes days (Service Quotas
// user guide, "Requesting a quota increase").
func leadTime(n Need) string {
	if n.Adjustable && n.Code != "" {
		return "small raises are granted at once, larger ones go to Support: days, not hours"
	}
	return ""
}
