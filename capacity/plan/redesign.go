package plan

import (
	"fmt"
	"math"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// remedies are what takes a limit out of the way where asking for more doesn't,
// by the quota's id. They are design advice, not facts of a service: the team
// that took 200 tokens a request down to one did it with the first.
var remedies = []struct{ prefix, suffix, text string }{
	{"lambda.", ".scaling", "provision concurrency before the launch: environments that are there need not be created"},
	{"lambda.", "", "shorten the function, answer from a cache before it, or spread operations over functions in other accounts"},
	{"dynamodb.", ".partition-read", "split the hot key (suffix it and read one of its copies), or cache it: no quota raises a partition's limit"},
	{"dynamodb.", ".partition-write", "split the hot key by a suffix: no quota raises a partition's limit"},
	{"dynamodb.", "", "cache reads, spread keys, and set warm throughput before the launch"},
	{"momento.throughput", "", "compress values, or keep a copy of hot ones in the function's memory"},
	{"momento.operations", "", "fetch fewer, larger chunks, or keep a copy of hot values in the function's memory"},
	{"kafka.partitions", "", "delete topics that nobody uses, or add brokers or larger ones, and reassign partitions"},
	{"kafka.cluster-partitions", "", "delete topics that nobody uses"},
	{"kafka.connections", "", "let threads share clients, or add brokers"},
	{"kafka.", "", "spread keys over more partitions, batch and compress records"},
}

// redesign returns the remedy for a quota of which an arrival costs so much, or ""
// where there is none but to raise the limit.
func redesign(q capacity.Quota, cost float64) string {
	if q.ID == capacity.RequestTokens {
		if cost <= 1 {
			return "" // less than a token a request doesn't cost
		}
		return fmt.Sprintf("use less memory for a shorter time, since %s stand for at most %s KB-seconds of both: resolve the query in one Lambda function that answers from a cache, and a request costs one token",
			unit.HumanCount(math.Ceil(cost), unit.Tokens), unit.HumanCount(math.Ceil(cost)*kbsOfToken, ""))
	}
	if q.OfSize() {
		return capacity.SmallerItems
	}
	for _, r := range remedies {
		if strings.HasPrefix(q.ID, r.prefix) && strings.HasSuffix(q.ID, r.suffix) {
			return r.text
		}
	}
	return ""
}

// kbsOfToken is how much a request token stands for, in KB of memory times seconds
// of processing (AppSync Developer Guide, "Using token counts to optimize your
// requests").
const kbsOfToken = 1500

// Tokens returns what AppSync charges for a request that took so many KB-seconds of
// memory and processing time.
func Tokens(kbs float64) float64 { return max(1, math.Ceil(kbs/kbsOfToken)) }

// Herd returns how many requests at a rate miss a cached value that all of them ask
// for, each time that it expires, where each fetches it anew in so many seconds and
// none waits for another; and the share that hits, with a time to live in seconds.
func Herd(rate, fetch, ttl float64) (misses, hits float64) {
	misses = 1 + rate*fetch
	return misses, 1 - misses/(rate*ttl)
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
