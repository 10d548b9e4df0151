package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"text/tabwriter"
)

// goal is what a figure of headroom's, of its own or over a peer's, must keep.
type goal struct {
	what   string
	of     string // a client
	over   string // the peer whose figure in the same round divides it; "" for none
	figure func(r result) float64
	least  bool // the bound is the least that it may be, not the most
	bound  float64
	unit   string
}

const (
	vegeta2000 = "vegeta attack | report 2000/s"
	vegeta5000 = "vegeta attack | report 5000/s"
)

// goals are those of the project, row by row.
var goals = []goal{
	{"CPU per request at 2,000/s, of vegeta's with its report", "headroom 2000/s", vegeta2000, result.perRequest, false, 0.6, "x"},
	{"CPU per request at 5,000/s, of vegeta's with its report", "headroom 5000/s", vegeta5000, result.perRequest, false, 0.4, "x"},
	{"CPU per request at 5,000/s, of k6's", "headroom 5000/s", "k6 5000/s", result.perRequest, false, 0.25, "x"},
	{"10,000/s: dropped", "headroom 10000/s", "", func(r result) float64 { return r.own(float64(r.dropped)) }, false, 0, ""},
	{"10,000/s: lag p99", "headroom 10000/s", "", func(r result) float64 { return r.own(r.lag99 * 1e3) }, false, 2, " ms"},
	{"10,000/s: connections at once", "headroom 10000/s", "", func(r result) float64 { return float64(r.open) }, false, 300, ""},
	{"ceiling with 64 connections, of vegeta's", "headroom closed", "vegeta closed", requests, true, 2.5, "x"},
	{"ceiling with 64 connections, of wrk's", "headroom closed", "wrk closed", requests, true, 0.5, "x"},
	{"5,000/s: lag p99, default pacing", "headroom 5000/s", "", func(r result) float64 { return r.own(r.lag99 * 1e3) }, false, 2, " ms"},
	{"5,000/s: lag p50, precise pacing", "headroom 5000/s precise", "", func(r result) float64 { return r.own(r.lag50 * 1e3) }, false, 0.2, " ms"},
	{"5,000/s: lag p99, precise pacing", "headroom 5000/s precise", "", func(r result) float64 { return r.own(r.lag99 * 1e3) }, false, 1, " ms"},
	{"5,000/s: CPU per request, precise pacing, of vegeta's with its report", "headroom 5000/s precise", vegeta5000, result.perRequest, false, 1, "x"},
	{"peak memory at 5,000/s, short run", "headroom 5000/s short", "", mebibytes, false, 40, " MiB"},
	{"peak memory at 5,000/s, long run", "headroom 5000/s long", "", mebibytes, false, 40, " MiB"},
	{"peak memory at 5,000/s, long run of short", "headroom 5000/s long", "headroom 5000/s short", mebibytes, false, 1.05, "x"},
	{"stalls: p95 off the closed form", "headroom 2000/s stalled", "", func(r result) float64 { return r.own(off(r.response95, 0.95)) }, false, 5, " %"},
	{"stalls: p99 off the closed form", "headroom 2000/s stalled", "", func(r result) float64 { return r.own(off(r.response99, 0.99)) }, false, 5, " %"},
	{"stalls: arrivals neither sent nor counted as dropped", "headroom 2000/s stalled", "", lost, false, 0, ""},
	{"TLS 1.3, 1 KB: CPU per request, of vegeta's", "headroom TLS 1 KB", "vegeta TLS 1 KB", result.perRequest, false, 0.7, "x"},
	{"TLS 1.3, 100 KB: CPU per request, of vegeta's", "headroom TLS 100 KB", "vegeta TLS 100 KB", result.perRequest, false, 0.65, "x"},
}

// What may be why a goal is not reached: others that take a share of the processor
// from disturbed on, and a machine that is slow for a share of the time from slowed
// on, which a p99 then tells of.
const (
	disturbed = 0.05
	slowed    = 0.01
)

// disturbance says what may be why a client doesn't reach its goals; "" is nothing.
func (b *bench) disturbance(name string) string {
	foreign := median(b.figures(name, func(r result) float64 { return r.foreign }))
	slow := median(b.figures(name, func(r result) float64 { return r.slow }))
	switch {
	case foreign >= disturbed:
		return fmt.Sprintf(", disturbed (%.0f %% foreign)", foreign*100)
	case slow >= slowed:
		return fmt.Sprintf(", disturbed (slow for %.1f %%)", slow*100)
	}
	return ""
}

func requests(r result) float64  { return float64(r.sent) }
func mebibytes(r result) float64 { return float64(r.memory) / 1024 }

// off returns how far, in percent, a quantile of the response times lies from
// what the server's stalls make it: a share stallFor/stallEvery of the requests
// waits for a time that is uniform up to stallFor.
func off(quantile, p float64) float64 {
	want := stallFor.Seconds() - (1-p)*stallEvery.Seconds()
	return 100 * math.Abs(quantile-want) / want
}

// lost returns the arrivals that the record has lost, or that it says were sent
// and the server hasn't seen.
func lost(r result) float64 {
	return r.own(math.Abs(float64(r.planned-r.recorded-r.dropped)) + math.Abs(float64(r.recorded-r.sent)))
}

// print prints the median of each client, and what became of the goals.
func (b *bench) print() {
	fmt.Printf("%s/%s, %d processors, %s, %d rounds\n\n", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), b.rounds)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "client\trequests/s\tCPU us/request\twhile sending\tpeak MiB\tconnections\tdropped\tlag p50 ms\tlag p99 ms\tforeign CPU\tslow\t")
	for _, name := range b.order {
		of := func(format string, figure func(r result) float64) string {
			m := median(b.figures(name, figure))
			if math.IsNaN(m) {
				return "n/a"
			}
			return fmt.Sprintf(format, m)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", name,
			of("%.0f", func(r result) float64 { return float64(r.sent) / float64(b.length[name]) }),
			of("%.1f", func(r result) float64 { return r.perRequest() * 1e6 }),
			of("%.1f", func(r result) float64 { return r.own(r.sending / float64(r.sent) * 1e6) }),
			of("%.0f", mebibytes),
			of("%.0f", func(r result) float64 { return float64(r.open) }),
			of("%.0f", func(r result) float64 { return r.own(float64(r.dropped)) }),
			of("%.2f", func(r result) float64 { return r.own(r.lag50 * 1e3) }),
			of("%.2f", func(r result) float64 { return r.own(r.lag99 * 1e3) }),
			of("%.0f %%", func(r result) float64 { return r.foreign * 100 }),
			of("%.1f %%", func(r result) float64 { return r.slow * 100 }))
	}
	check(w.Flush())
	fmt.Println("\nCPU and memory are of the whole process, from its start to its last report;\nforeign CPU is the share of its processor that others took meanwhile, slow that of\nthe time in which the machine ran at less than a third of its speed.")

	fmt.Println("\nGoals, by the median of the rounds (lowest to highest):")
	w = tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, g := range goals {
		vs := b.figures(g.of, g.figure)
		if g.over != "" {
			peer := b.figures(g.over, g.figure)
			vs = vs[:min(len(vs), len(peer))]
			for i := range vs {
				vs[i] /= peer[i]
			}
		}
		if len(vs) == 0 {
			continue // its rows weren't asked for
		}
		m, verdict, bound := median(vs), "not reached", "at most"
		if g.least {
			bound = "at least"
		}
		if m == g.bound || m < g.bound && !g.least || m > g.bound && g.least {
			verdict = "reached"
		} else {
			verdict += b.disturbance(g.of)
		}
		fmt.Fprintf(w, "  %s\t%s\t%.2f%s\t(%.2f to %.2f)\t%s %g%s\t\n", verdict, g.what, m, g.unit, slices.Min(vs), slices.Max(vs), bound, g.bound, g.unit)
	}
	check(w.Flush())
}

// figures returns a figure of each of a client's runs.
func (b *bench) figures(name string, of func(result) float64) []float64 {
	vs := []float64{}
	for _, r := range b.results[name] {
		vs = append(vs, of(r))
	}
	return vs
}

// median returns the median, NaN where a value is missing.
func median(vs []float64) float64 {
	if slices.ContainsFunc(vs, math.IsNaN) {
		return math.NaN()
	}
	vs = slices.Sorted(slices.Values(vs))
	n := len(vs)
	return (vs[(n-1)/2] + vs[n/2]) / 2
}
