package model_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/scenarios/sdl"
)

func parse(t testing.TB, src string) *model.System {
	t.Helper()
	s, err := model.Parse("system.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, name string) *model.System {
	t.Helper()
	s, err := model.Open(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// tally is what became of some requests of one operation.
type tally struct {
	served  int
	refused map[string]int // by limiter
	tokens  int64
}

// drive sends Poisson arrivals of the given rate for a while.
func drive(t testing.TB, b *model.Backend, operation string, perSecond float64, for_ time.Duration) tally {
	t.Helper()
	got := tally{refused: map[string]int{}}
	r := rand.New(rand.NewPCG(1, 2))
	for at := 0.0; ; {
		at += r.ExpFloat64() / perSecond
		if at >= for_.Seconds() {
			return got
		}
		out, ok := b.Serve(time.Duration(at*float64(time.Second)), operation)
		if !ok {
			t.Fatalf("no operation %s", operation)
		}
		if out.RefusedBy == "" {
			got.served++
		} else {
			got.refused[out.RefusedBy]++
		}
		got.tokens += out.Tokens
	}
}

// The premiere is refused by nothing but the tokens, which bind at
// 2,000/200 = 10 requests/s while the backend is cold.
func TestPremiere(t *testing.T) {
	s := open(t, "premiere")
	b := s.Start(1)
	const while = 59 * time.Second // all of it cold
	got := drive(t, b, "listPrograms", 20, while)
	if want := 10*while.Seconds() + 10; math.Abs(float64(got.served)-want) > 1 {
		t.Errorf("served %d at 20/s, want the quota and the burst: %v", got.served, want)
	}
	if len(got.refused) != 1 || got.tokens != 200*int64(got.served) {
		t.Errorf("refused %v, %d tokens for %d served", got.refused, got.tokens, got.served)
	}
	if got := drive(t, s.Start(1), "listPrograms", 5, while); len(got.refused) != 0 {
		t.Errorf("refused %v at 5/s", got.refused)
	}
	if _, ok := b.Serve(time.Minute, "getProgram"); ok {
		t.Error("an operation that isn't in the file is served")
	}
}

// The cached premiere holds 400/s, and its cache's throughput binds at
// 1.5 GB/s / 3 MB = 500/s.
func TestPremiereCached(t *testing.T) {
	s := open(t, "premiere-cached")
	if got := drive(t, s.Start(1), "listPrograms", 400, 90*time.Second); len(got.refused) != 0 {
		t.Errorf("refused %v at 400/s", got.refused)
	}
	b := s.Start(1)
	const while = 60
	got := drive(t, b, "listPrograms", 1000, while*time.Second)
	if want := 500.0*while + 500; math.Abs(float64(got.served)-want) > 2 {
		t.Errorf("served %d at 1000/s, want %v", got.served, want)
	}
	if len(got.refused) != 1 || got.refused["momento.throughput"] == 0 {
		t.Errorf("refused %v", got.refused)
	}
}

// listPrograms is the query of both ready-made scenarios. With first: 50 it
// resolves 1 + 50 x (5 + 2 + 10 x (6 + 3 x (2 + 2))) = 9,351 fields.
const listPrograms = `query listPrograms($first: Int!) {
  listPrograms(first: $first) {
    id title synopsis channel { id name }
    episodes(first: 10) { id title duration publishedAt tags credits(first: 3) { role person { id name } } }
  }
}`

func TestReadySchema(t *testing.T) {
	for _, name := range model.Names() {
		s := open(t, name)
		if s.Schema == "" {
			continue
		}
		schema, err := sdl.LoadSchema(s.Schema, s.SDL)
		if err != nil {
			t.Fatal(err)
		}
		if _, errs := sdl.Load(schema, "list.graphql", []byte(listPrograms)); errs != nil {
			t.Error(errs)
		}
		for _, o := range s.Operations {
			if schema.Query.Fields.ForName(o.Name) == nil {
				t.Errorf("%s: the schema has no field %s", name, o.Name)
			}
		}
	}
}

// Drawn amounts have the distribution that the file says: a mixture its shares,
// a lognormal its quantiles and mean.
func TestDrawnAmounts(t *testing.T) {
	s := parse(t, `version: 1
name: x
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 1000000 tokens/s, burst: 1000000 tokens}
  - {id: bytes, kind: token_bucket, rate: 1GB/s, burst: 1GB}
operations:
  - name: get
    charges:
      - {limiter: appsync.request-tokens, amount: {mixture: [{amount: 1, share: 70%}, {amount: 4, share: 30%}]}}
      - {limiter: bytes, amount: {lognormal: {p50: 10KB, p99: 100KB}}}
`)
	const n = 200_000
	b := s.Start(1)
	var tokens, size float64
	fours, over := 0, 0
	for i := range n {
		out, _ := b.Serve(time.Duration(i)*time.Millisecond, "get")
		tokens += float64(out.Tokens)
		if out.Tokens == 4 {
			fours++
		}
		size += out.Charges[1].Amount
		if out.Charges[1].Amount > 100e3 {
			over++
		}
	}
	for _, c := range []struct {
		what             string
		got, want, share float64 // share: how far off it may be
	}{
		{"mean tokens", tokens / n, 1.9, 0.01},
		{"share of fours", float64(fours) / n, 0.3, 0.02},
		{"mean size", size / n, s.Operations[0].Charges[1].Amount.Mean(), 0.02},
		{"share above p99", float64(over) / n, 0.01, 0.1},
	} {
		if math.Abs(c.got/c.want-1) > c.share {
			t.Errorf("%s %v, want %v", c.what, c.got, c.want)
		}
	}
	if m := s.Operations[0].Charges[0].Amount.Mean(); math.Abs(m-1.9) > 1e-12 {
		t.Errorf("mean of the mixture %v, want 1.9", m)
	}
}

// A charge with a share is made by that part of the requests, and the outcome
// lists what was charged only.
func TestShareOfRequests(t *testing.T) {
	s := parse(t, `version: 1
name: x
limiters: [{id: a, kind: window, rate: 1000000 ops/s}, {id: b, kind: window, rate: 1000000 ops/s}]
operations: [{name: get, charges: [{limiter: a, amount: 3, share: 2%}, {limiter: b, amount: 1}]}]
`)
	if m := s.Operations[0].Charges[0].Mean(); math.Abs(m-0.06) > 1e-12 {
		t.Errorf("mean charge %v, want 0.06", m)
	}
	b := s.Start(1)
	const n = 100_000
	misses := 0
	for range n {
		out, _ := b.Serve(0, "get")
		last := out.Charges[len(out.Charges)-1]
		if last.Limiter != "b" || last.Amount != 1 {
			t.Fatalf("charges %+v", out.Charges)
		}
		if len(out.Charges) == 2 {
			misses++
			if c := out.Charges[0]; c.Limiter != "a" || c.Amount != 3 {
				t.Fatalf("charges %+v", out.Charges)
			}
		}
	}
	if share := float64(misses) / n; math.Abs(share-0.02) > 4*math.Sqrt(0.02/n) {
		t.Errorf("%v of the requests make the charge, want 2%%", share)
	}
}

// A request that was refused doesn't warm the operation, and each operation
// has its own warmth.
func TestColdUntilServed(t *testing.T) {
	b := parse(t, `version: 1
name: x
limiters: [{id: w, kind: window, rate: 10 ops/s}]
operations:
  - {name: get, charges: [{limiter: w, amount: {cold: 8, warm: 1, after: 2s}}]}
  - {name: put, charges: [{limiter: w, amount: {cold: 3, warm: 1, after: 0s}}]}
`).Start(1)
	for i, step := range []struct {
		at      time.Duration
		name    string
		amount  float64
		refused bool
	}{
		{0, "put", 3, false},
		{0, "get", 8, true}, // 11 of 10
		{0, "put", 1, false},
		{1 * time.Second, "get", 8, false}, // the first served one
		{2999 * time.Millisecond, "get", 8, false},
		{3000 * time.Millisecond, "get", 1, false},
	} {
		out, _ := b.Serve(step.at, step.name)
		if c := out.Charges[0]; c.Amount != step.amount || c.Refused != step.refused {
			t.Errorf("step %d: charge %+v, want %v, refused %v", i, c, step.amount, step.refused)
		}
	}
}

// rich is a System with every kind of limiter, distribution and key.
const rich = `version: 1
name: rich
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: 10000 tokens/s, burst: 10000 tokens}
  - {id: lambda.concurrency, kind: concurrency, limit: 120, scaling: {step: 20, per: 10s}, provisioned: 50, init: 100ms}
  - {id: dynamodb.Episodes.read, kind: partitions, partitions: 4, rate: 150 RCU/s, burst: 2s}
  - {id: momento.operations, kind: window, rate: 300 ops/s}
  - {id: momento.throughput, kind: token_bucket, rate: 1.5GB/s, burst: 1.5GB}
operations:
  - name: list
    service_time: {lognormal: {p50: 80ms, p99: 400ms}}
    response: {bytes: 1KB}
    charges:
      - {limiter: appsync.request-tokens, amount: {cold: 20, warm: 10, after: 5s}}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.Episodes.read, amount: 1, key: {zipf: 500}}
      - {limiter: momento.operations, amount: 1}
      - {limiter: momento.throughput, amount: 1MB}
  - name: get
    service_time: {exponential: {mean: 50ms}}
    charges:
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.Episodes.read, amount: 0.5, key: {uniform: 500}}
`

// transcript is every outcome of a few seconds of a System, as text.
func transcript(s *model.System, seed uint64, names ...string) string {
	var w strings.Builder
	b := s.Start(seed)
	r := rand.New(rand.NewPCG(1, 1))
	at := 0.0
	for range 10_000 {
		at += r.ExpFloat64() / 1500
		name := names[r.IntN(len(names))]
		out, _ := b.Serve(time.Duration(at*1e9), name)
		fmt.Fprintln(&w, name, describe(out))
	}
	return w.String()
}

func TestSameSeedSameBytes(t *testing.T) {
	s := parse(t, rich)
	first := transcript(s, 7, "list", "get")
	if again := transcript(parse(t, rich), 7, "list", "get"); first != again {
		t.Error("the same seed gives other outcomes")
	}
	if other := transcript(s, 8, "list", "get"); first == other {
		t.Error("another seed gives the same outcomes")
	}
	for _, l := range s.Limiters[:4] {
		if !strings.Contains(first, "refused by "+l.ID) {
			t.Errorf("the transcript has no refusal by %s: it says little", l.ID)
		}
	}
}

// An operation's random draws don't depend on which others there are.
func TestOperationsHaveTheirOwnStreams(t *testing.T) {
	more := parse(t, strings.Replace(rich, "operations:\n", "operations:\n  - {name: aaa, service_time: {exponential: {mean: 1s}}}\n", 1))
	if transcript(parse(t, rich), 1, "list") != transcript(more, 1, "list") {
		t.Error("another operation in the file changes the outcomes of this one")
	}
}

// The n-th request's service time doesn't depend on what was refused.
func TestServiceTimesDontDependOnRefusals(t *testing.T) {
	src := `version: 1
name: x
limiters: [{id: w, kind: window, rate: %s ops/s}]
operations: [{name: get, service_time: {exponential: {mean: 1s}}, charges: [{limiter: w, amount: 1}]}]
`
	many, few := parse(t, fmt.Sprintf(src, "100")).Start(1), parse(t, fmt.Sprintf(src, "3")).Start(1)
	for n := range 1000 {
		a, _ := many.Serve(time.Duration(n)*100*time.Millisecond, "get")
		b, _ := few.Serve(time.Duration(n)*100*time.Millisecond, "get")
		if b.RefusedBy == "" && a.ServiceTime != b.ServiceTime {
			t.Fatalf("request %d takes %v with the higher limit and %v with the lower one", n, a.ServiceTime, b.ServiceTime)
		}
	}
}

func TestUnorderedArrivals(t *testing.T) {
	s := parse(t, rich)
	a, b := s.Start(1), s.Start(1)
	for n := range 2000 {
		at := time.Duration(n) * time.Millisecond
		late := at
		if n%3 == 1 {
			late -= time.Second // counts as the one before, a millisecond ago
			at -= time.Millisecond
		}
		x, _ := a.Serve(max(at, 0), "list")
		want := describe(x)
		y, _ := b.Serve(late, "list")
		if got := describe(y); got != want {
			t.Fatalf("arrival %d: %s, want %s", n, got, want)
		}
	}
}

// Counting everything in units of another size changes nothing: amounts and
// limits scaled by k refuse the same requests.
func TestScaledUnits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		k := float64(rapid.IntRange(2, 1000).Draw(t, "k"))
		rate := float64(rapid.IntRange(1, 50).Draw(t, "rate"))
		kind := rapid.SampledFrom([]string{"kind: token_bucket, rate: %g ops/s", "kind: window, rate: %g ops/s", "kind: partitions, partitions: 3, rate: %g ops/s, burst: 2s"}).Draw(t, "kind")
		system := func(k float64) *model.Backend {
			s, err := model.Parse("system.yaml", fmt.Appendf(nil, "version: 1\nname: x\nlimiters: [{id: l, "+kind+"}]\noperations: [{name: get, charges: [{limiter: l, amount: %g}]}]\n", rate*k, k))
			if err != nil {
				t.Fatal(err)
			}
			return s.Start(1)
		}
		one, other := system(1), system(k)
		var at time.Duration
		for range 300 {
			at += time.Duration(rapid.Int64Range(0, 40e6).Draw(t, "gap"))
			a, _ := one.Serve(at, "get")
			b, _ := other.Serve(at, "get")
			if a.RefusedBy != b.RefusedBy {
				t.Fatalf("at %v: refused by %q and, in units of 1/%v, by %q", at, a.RefusedBy, k, b.RefusedBy)
			}
		}
	})
}

// All rates and limits scaled by k scale the counts by k.
func TestScaledLoad(t *testing.T) {
	system := func(k int) *model.Backend {
		return parse(t, fmt.Sprintf(`version: 1
name: x
limiters:
  - {id: appsync.request-tokens, kind: token_bucket, rate: %d tokens/s, burst: %[1]d tokens}
  - {id: lambda.concurrency, kind: concurrency, limit: %[2]d, scaling: {step: %[2]d, per: 10s}}
  - {id: dynamodb.T.read, kind: partitions, partitions: 4, rate: %[3]d RCU/s, burst: 2s}
operations:
  - name: get
    service_time: {exponential: {mean: 500ms}}
    charges:
      - {limiter: appsync.request-tokens, amount: 10}
      - {limiter: lambda.concurrency, hold: service_time}
      - {limiter: dynamodb.T.read, amount: 1, key: {zipf: 100}}
`, 8_000*k, 300*k, 150*k)).Start(1)
	}
	one := drive(t, system(1), "get", 1000, time.Minute)
	const k = 5
	more := drive(t, system(k), "get", 1000*k, time.Minute)
	// A k times larger pool loses less to chance, hence 5 %.
	near := func(what string, a, b int) {
		if r := float64(b) / float64(a); math.Abs(r/k-1) > 0.05 {
			t.Errorf("%s %d and %d: ratio %.3f, want %d", what, a, b, r, k)
		}
	}
	near("served", one.served, more.served)
	for _, id := range []string{"appsync.request-tokens", "lambda.concurrency", "dynamodb.T.read"} {
		if one.refused[id] < 1000 {
			t.Errorf("%s refused %d: too few to say anything", id, one.refused[id])
		}
		near(id, one.refused[id], more.refused[id])
	}
}

// Drawn service times have the quantiles and means of the file.
func TestServiceTimes(t *testing.T) {
	const n = 200_000
	sorted := func(distribution string) []time.Duration {
		b := parse(t, "version: 1\nname: x\noperations: [{name: get, service_time: "+distribution+"}]\n").Start(1)
		var d []time.Duration
		for range n {
			out, _ := b.Serve(0, "get")
			d = append(d, out.ServiceTime)
		}
		slices.Sort(d)
		return d
	}
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if math.Abs(float64(got)/float64(want)-1) > 0.02 {
			t.Errorf("%s %v, want %v", what, got, want)
		}
	}
	d := sorted("{lognormal: {p50: 80ms, p99: 400ms}}")
	near("lognormal p50", d[n/2], 80*time.Millisecond)
	near("lognormal p99", d[n*99/100], 400*time.Millisecond)
	near("lognormal p90", d[n*90/100], 194160*time.Microsecond) // 80 ms x 5^(1.281552/2.326348)
	d = sorted("{exponential: {mean: 50ms}}")
	near("exponential p50", d[n/2], 34657*time.Microsecond) // 50 ms x ln 2
	near("exponential p99", d[n*99/100], 230259*time.Microsecond)
	if d = sorted("70ms"); d[0] != 70*time.Millisecond || d[n-1] != 70*time.Millisecond {
		t.Errorf("constant from %v to %v", d[0], d[n-1])
	}
}

// The hottest partition of a table takes the stated share of the requests: a
// limit that only it exceeds refuses what is above its rate.
func TestHottestPartition(t *testing.T) {
	for _, key := range []string{"{zipf: 500}", "{zipf: 3}", "{uniform: 10}", "{uniform: 1}"} {
		s := parse(t, `version: 1
name: x
limiters: [{id: t, kind: partitions, partitions: 8, rate: 100 RCU/s}]
operations: [{name: get, charges: [{limiter: t, amount: 1, key: `+key+`}]}]
`)
		hottest := s.Operations[0].Charges[0].Hottest
		for _, c := range []struct {
			of     float64 // of the rate at which the hottest partition binds
			refuse bool
		}{{0.7, false}, {1.1, true}} {
			got := drive(t, s.Start(1), "get", c.of*100/hottest, time.Minute)
			if refused := got.refused["t"] > got.served/200; refused != c.refuse {
				t.Errorf("%s: at %v of the binding rate %.1f/s %d of %d are refused", key, c.of, 100/hottest, got.refused["t"], got.refused["t"]+got.served)
			}
		}
	}
}

// A partition that is full for five minutes is split, which halves what each part
// gets, unless one key makes it hot.
func TestSplitForHeat(t *testing.T) {
	for key, splits := range map[string]bool{"": true, ", key: {uniform: 500}": true, ", key: {uniform: 1}": false} {
		b := parse(t, `version: 1
name: x
limiters: [{id: t, kind: partitions, partitions: 1, rate: 100 RCU/s, split: 5m}]
operations: [{name: get, charges: [{limiter: t, amount: 1`+key+`}]}]
`).Start(1)
		var refused [10]int // by minute
		for n := range 10 * 60 * 170 {
			at := time.Duration(n) * time.Second / 170
			if out, _ := b.Serve(at, "get"); out.RefusedBy != "" {
				refused[at/time.Minute]++
			}
		}
		for _, minute := range []int{1, 4} {
			if got := refused[minute]; got < 69*60 || got > 71*60 {
				t.Errorf("%q: %d refused in minute %d, want 70 a second", key, got, minute)
			}
		}
		if got := refused[9]; splits != (got < 100) {
			t.Errorf("%q: %d refused in the last minute", key, got)
		}
	}
}

// Key 1 of 500 Zipf keys has the share 1 / (1 + 1/2 + ... + 1/500) = 14.72 %.
func TestZipfShare(t *testing.T) {
	share := func(key string, partitions int) float64 {
		return parse(t, fmt.Sprintf(`version: 1
name: x
limiters: [{id: t, kind: partitions, partitions: %d, rate: 100 RCU/s}]
operations: [{name: get, charges: [{limiter: t, amount: 1%s}]}]
`, partitions, key)).Operations[0].Charges[0].Hottest
	}
	// Few keys share one of 10,000 partitions with key 1, and none is as hot.
	if got := share(", key: {zipf: 500}", 10_000); got < 0.1472 || got > 0.1472*1.2 {
		t.Errorf("hottest share %v, want a little over 0.1472", got)
	}
	for _, c := range []struct {
		key        string
		partitions int
		want       float64
	}{
		{"", 4, 0.25}, {", key: {uniform: 1}", 4, 1}, {", key: {zipf: 500}", 1, 1}, {", key: {zipf: 1}", 4, 1},
	} {
		if got := share(c.key, c.partitions); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%q over %d partitions: hottest share %v, want %v", c.key, c.partitions, got, c.want)
		}
	}
	if got := share(", key: {uniform: 1000000}", 10); math.Abs(got-0.1) > 0.001 {
		t.Errorf("a million keys over 10 partitions: hottest share %v, want 0.1", got)
	}
}

func TestServeDoesNotAllocate(t *testing.T) {
	b := parse(t, rich).Start(1)
	var at time.Duration
	serve := func() {
		at += time.Millisecond
		b.Serve(at, "list")
	}
	for range 1000 {
		serve() // grow the lists of environments
	}
	if n := testing.AllocsPerRun(1000, serve); n > 0 {
		t.Errorf("%v allocations per request, want none", n)
	}
}

// BenchmarkServe serves 3,000/s through five limiters, none of which refuses. Ten
// million arrivals in 2 s are 200 ns each.
func BenchmarkServe(b *testing.B) {
	s := parse(b, strings.NewReplacer("300 ops", "9000 ops", "150 RCU", "9000 RCU", "1.5GB", "15GB", "10000", "100000", "limit: 120,", "limit: 1000,", "step: 20,", "step: 1000,").Replace(rich)).Start(1)
	b.ReportAllocs()
	var at time.Duration
	refused := 0
	list, _ := s.Operation("list")
	for b.Loop() {
		at += time.Second / 3000
		if s.ServeNumber(at, list).RefusedBy != "" {
			refused++
		}
	}
	if refused > 0 {
		b.Fatalf("%d refused", refused)
	}
}
