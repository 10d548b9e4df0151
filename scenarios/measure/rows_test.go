package measure_test

import (
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// extremes are counts that take any number of bytes, and the ends of what there is.
var extremes = rapid.OneOf(rapid.Int64Range(-3, 300), rapid.Int64(), rapid.SampledFrom([]int64{math.MinInt64, math.MaxInt64}))

// TestRowsAreTheSum: rows that were packed, opened and packed again are the sum of
// what was added, to the bit, in whatever order it came.
func TestRowsAreTheSum(t *testing.T) {
	second := rapid.OneOf(rapid.IntRange(-70, 700), rapid.SampledFrom([]int{math.MinInt, 1 << 60}))
	rapid.Check(t, func(t *rapid.T) {
		var rows []measure.Row
		for range rapid.IntRange(0, 60).Draw(t, "rows") {
			row := measure.Row{
				Second: second.Draw(t, "second"), Load: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "load"),
				Operation: rapid.SampledFrom([]string{"x", "y"}).Draw(t, "operation"), Measured: rapid.Bool().Draw(t, "measured"),
				OK: extremes.Draw(t, "ok"), BytesIn: extremes.Draw(t, "bytes"),
				InFlight: rapid.SampledFrom([]float64{0, 0.5, 3, 1e300}).Draw(t, "in flight"),
			}
			row.PlannedSlots[3], row.SentSlots[9] = extremes.Draw(t, "planned"), extremes.Draw(t, "sent")
			if rapid.Bool().Draw(t, "with reasons") {
				row.Reasons = map[string]int64{rapid.SampledFrom([]string{"failed HTTP 500", "throttled HTTP 429", ""}).Draw(t, "reason"): extremes.Draw(t, "n"), "more": 1}
			}
			rows = append(rows, row)
		}
		packed, want := measure.RowsOf(rows...), measure.Sum(rows)
		if d := cmp.Diff(want, packed.Slice(), cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		op := measure.Operation{Load: "a", Name: "y"}
		want = slices.DeleteFunc(want, func(r measure.Row) bool { return r.Load != op.Load || r.Operation != op.Name })
		var got []measure.Row
		for r := range packed.Of(op) {
			got = append(got, measure.RowsOf(*r).Slice()...)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateEmpty()); d != "" {
			t.Fatal(d)
		}
		for r := range packed.All() { // what was yielded is nobody's
			r.OK++
			clear(r.Reasons)
			break
		}
		packed.Edit(func(rows []measure.Row) []measure.Row { return append(rows, rows...) })
		for i, r := range packed.Slice() {
			if all := measure.Sum(rows); r.OK != 2*all[i].OK || len(r.Reasons) != len(all[i].Reasons) {
				t.Fatalf("%+v is not twice %+v", r, all[i])
			}
		}
	})
}

// TestRowsKeepEveryCounter: a counter that the packing forgot would come back as 0.
func TestRowsKeepEveryCounter(t *testing.T) {
	var rows []measure.Row
	for s := range 300 {
		rows = append(rows, everyField(s))
	}
	if d := cmp.Diff(rows, measure.RowsOf(rows...).Slice()); d != "" {
		t.Error(d)
	}
}

// TestPointsKeepEverything: packed, written or sorted, points keep their instants to
// the nanosecond and their values to the bit.
func TestPointsKeepEverything(t *testing.T) {
	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	value := rapid.OneOf(rapid.Float64(), rapid.Map(rapid.IntRange(-3, 70_000), func(n int) float64 { return float64(n) }),
		rapid.SampledFrom([]float64{0, math.Copysign(0, -1), 1 << 53, 1<<53 + 2, math.MaxFloat64}))
	rapid.Check(t, func(t *rapid.T) {
		values := value
		if rapid.Bool().Draw(t, "whole") {
			values = rapid.Map(rapid.IntRange(0, 5000), func(n int) float64 { return float64(n) })
		}
		step := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, -time.Second}).Draw(t, "step")
		late := time.Duration(rapid.IntRange(0, 1e9-1).Draw(t, "late"))
		var points []measure.Point
		for i := range rapid.IntRange(0, 800).Draw(t, "points") {
			at := noon.Add(time.Duration(i)*step + late*time.Duration(i%3))
			points = append(points, measure.Point{At: at, Value: values.Draw(t, "value")})
		}
		if len(points) > 0 && rapid.Bool().Draw(t, "far") {
			points[0].At = time.Time{}
		}
		same := func(what string, got []measure.Point) {
			if !slices.EqualFunc(points, got, func(a, b measure.Point) bool {
				return a.At.Equal(b.At) && math.Float64bits(a.Value) == math.Float64bits(b.Value)
			}) {
				t.Fatalf("%s: %v, want %v", what, got, points)
			}
		}
		kept := measure.PointsOf(points...)
		if kept.Len() != len(points) {
			t.Fatalf("%d points, want %d", kept.Len(), len(points))
		}
		same("at once", kept.Slice())
		var one measure.Points
		for _, p := range points {
			one.Add(p)
		}
		same("one by one", one.Slice())
		slices.SortStableFunc(points, func(a, b measure.Point) int { return a.At.Compare(b.At) })
		one.SortByTime()
		same("sorted", one.Slice())
	})
}

// everyField returns a row of a second of which no field is 0, and no two are equal.
func everyField(second int) measure.Row {
	row := measure.Row{Second: second, Load: "l", Operation: "o", Measured: true, Reasons: map[string]int64{"failed HTTP 500": int64(second) + 1}}
	n := int64(1000 * second)
	v := reflect.ValueOf(&row).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case v.Type().Field(i).Name == "Second":
		case f.Kind() == reflect.Int64:
			n++
			f.SetInt(n)
		case f.Kind() == reflect.Float64:
			n++
			f.SetFloat(float64(n) / 3)
		case f.Kind() == reflect.Array:
			for k := range f.Len() {
				n++
				f.Index(k).SetInt(n)
			}
		}
	}
	return row
}
