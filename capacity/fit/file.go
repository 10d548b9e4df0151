package fit

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/headroom-load/headroom/capacity"
	"github.com/headroom-load/headroom/scenarios/measure"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// file writes the System file.
func (f *fitter) file(name string) []byte {
	var w bytes.Buffer
	w.WriteString("# Fitted from recorded runs by headroom fit; what stands beside a figure says where\n# it comes from.\n")
	for _, r := range f.runs {
		fmt.Fprintf(&w, "#   %s\n", r)
	}
	if c := f.curve(); c != "" {
		fmt.Fprintf(&w, "# %s\n", c)
	}
	fmt.Fprintf(&w, "version: 1\nname: %s\nas_of: %s\n", strconv.Quote(name), f.last)
	var limiters []*quota
	for _, id := range f.quotaOrder {
		q := f.quotas[id]
		if q.OfSize() {
			if q.sizes.told() {
				limiters = append(limiters, q)
			} else {
				f.warn("the runs don't tell how large the items of %s are, or how many it refused: the System leaves it out", id)
			}
			continue
		}
		if v, ok := q.pooled(""); !ok || v <= 0 {
			f.warn("no run tells what a request costs of %s: the System leaves it out", id)
			continue
		}
		if q.Kind == capacity.RateQuota && q.Unit == unit.Arrivals {
			f.warn("%s counts nothing that has a name: the System leaves it out", id)
			continue
		}
		limiters = append(limiters, q)
	}
	if len(limiters) > 0 {
		w.WriteString("limiters:\n")
		for _, q := range limiters {
			q.limiter(&w)
		}
	}
	w.WriteString("operations:\n")
	for _, name := range f.order {
		f.write(&w, f.operations[name], limiters)
	}
	return w.Bytes()
}

func (q *quota) limiter(w *bytes.Buffer) {
	from := string(q.Origin)
	if q.Source != "" {
		from += ", " + q.Source
	}
	fmt.Fprintf(w, "  # limit: %s\n", oneLine(from))
	if q.Kind == capacity.LevelQuota {
		fmt.Fprintf(w, "  - {id: %s, kind: concurrency, limit: %.0f", q.ID, max(1, math.Floor(q.Limit)))
		if q.Provisioned > 0 {
			fmt.Fprintf(w, ", provisioned: %.0f", q.Provisioned)
		}
		if strings.HasPrefix(q.ID, "lambda.") {
			w.WriteString(", scaling: {step: 1000, per: 10s}} # scaling: Lambda's documented rule, not fitted; cold starts are not told apart\n")
		} else {
			w.WriteString("}\n")
		}
		return
	}
	if q.OfSize() {
		fmt.Fprintf(w, "  - {id: %s, kind: item_size, largest: %s}\n", q.ID, unit.Quantity{Amount: q.Limit, Thing: unit.Bytes})
		return
	}
	amount := func(v float64) string {
		return unit.Quantity{Amount: v, Thing: q.Unit}.String()
	}
	switch {
	case q.Partitions > 0:
		// Of the run's keys nothing is kept but how many the fullest partition gets, so it
		// stands for the table: it is full at the same use, and its savings last as long.
		fmt.Fprintf(w, "  - {id: %s, kind: partitions, partitions: 1, rate: %s/s", q.ID, amount(q.Limit))
		if q.Saved > 0 {
			fmt.Fprintf(w, ", burst: %ss", strconv.FormatFloat(q.Saved, 'f', -1, 64))
		}
		w.WriteString("}")
		if q.Partitions > 1 {
			fmt.Fprintf(w, " # of %d partitions the one that is charged most, by what the whole table uses when it is full; beyond that, others would still serve", q.Partitions)
		}
		w.WriteByte('\n')
		return
	case q.ID == measure.KafkaByteRate: // which holds back, and refuses nothing
		fmt.Fprintf(w, "  - {id: %s, kind: kafka_quota, rate: %s/s}\n", q.ID, amount(q.Limit))
		return
	case q.Windowed:
		fmt.Fprintf(w, "  - {id: %s, kind: window, rate: %s/s}\n", q.ID, amount(q.Limit))
		return
	}
	burst, why := q.Burst, ""
	if burst <= 0 {
		burst, why = max(q.Limit, q.largest()), " # burst: one second of the limit is supposed"
	}
	fmt.Fprintf(w, "  - {id: %s, kind: token_bucket, rate: %s/s, burst: %s}%s\n", q.ID, amount(q.Limit), amount(burst), why)
}

// largest is the largest mean that one operation charges, with room for what a
// single request may charge above it.
func (q *quota) largest() (v float64) {
	for _, c := range q.costs {
		v = max(v, 4*c.UnitCost.Value)
		for _, o := range c.ByOperation {
			v = max(v, 4*o.UnitCost)
		}
	}
	return v
}

func (f *fitter) write(w *bytes.Buffer, op *operation, limiters []*quota) {
	fmt.Fprintf(w, "  - name: %s\n", op.name)
	times, comment, timed := op.serviceTime()
	if timed {
		fmt.Fprintf(w, "    service_time: %s # %s\n", times, comment)
		if op.timedOut > 0 {
			f.warn("%s requests of %s timed out, and would have taken longer than its service time has it: fit runs with a longer timeout", unit.HumanCount(float64(op.timedOut), ""), op.name)
		}
	} else {
		f.warn("%s has too few ok answers for its service time", op.name)
	}
	if op.n > 0 && op.bytes > 0 {
		fmt.Fprintf(w, "    response: {bytes: %.0fB} # mean\n", op.bytes/op.n)
	}
	var charges bytes.Buffer
	for _, q := range limiters {
		if !q.charges[op.name] {
			continue
		}
		switch {
		case q.OfSize():
			q.charge(&charges)
		case q.Kind == capacity.LevelQuota:
			if !timed {
				continue
			}
			fmt.Fprintf(&charges, "      - {limiter: %s, hold: service_time}", q.ID)
			if v, ok := q.pooled(op.name); ok {
				fmt.Fprintf(&charges, " # the service's own durations have a mean of %s", unit.HumanSeconds(v))
			}
			charges.WriteByte('\n')
		case q.ID == capacity.RequestTokens:
			mean := 0.0
			switch v, ok := q.own(op.name); {
			case ok && q.refused:
				mean = v
			case q.hidden:
				f.warn("%s refused so many requests, dear ones first, that what they charge isn't known: the charges of those admitted stand in their place, which is too little", q.ID)
			}
			if amount, comment, ok := op.tokenAmount(q.refused, mean); ok {
				fmt.Fprintf(&charges, "      - {limiter: %s, amount: %s} # %s\n", q.ID, amount, comment)
			} else {
				f.warn("no answer of %s told its tokens", op.name)
			}
		default:
			v, own := q.own(op.name)
			why := "mean"
			if !own {
				var ok bool
				if v, ok = q.pooled(op.name); !ok {
					continue
				}
			}
			if !own && !q.apart(op.name) {
				why = "mean of all operations that charge it: the runs don't tell them apart"
				if !slices.Contains(f.pooled, q.ID) {
					f.pooled = append(f.pooled, q.ID)
				}
				f.warn("%s: the runs tell only what its operations cost together; rehearse them alone to tell them apart", q.ID)
			}
			fmt.Fprintf(&charges, "      - {limiter: %s, amount: %s} # %s\n", q.ID, strconv.FormatFloat(v, 'g', 9, 64), why)
		}
	}
	if charges.Len() > 0 {
		fmt.Fprintf(w, "    charges:\n%s", charges.Bytes())
	}
}

// oneLine makes a text fit into a comment.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
