package search_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/headroom-load/headroom/capacity/search"
)

// upTo passes every rate up to a highest one.
func upTo(highest float64) func(float64, search.Phase) (search.Result, error) {
	return func(rate float64, _ search.Phase) (search.Result, error) {
		if rate <= highest {
			return search.Pass, nil
		}
		return search.Fail, nil
	}
}

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		config search.Config
		trial  func(float64, search.Phase) (search.Result, error)
		tried  string // each rate with the first letter of its phase
		want   search.Answer
	}{
		"up": {
			search.Config{From: 40},
			upTo(92),
			"s40 s60 s90 s135 b110 b99.6 b94.7 b92.3 c90 c90 c90",
			search.Answer{Status: search.Found, Rate: 90, Confirmed: 3, Failing: 92},
		},
		"down": {
			search.Config{From: 400},
			upTo(110),
			"s400 s200 s100 b141 b119 b109 b114 c109 c109 c109",
			search.Answer{Status: search.Found, Rate: 109, Confirmed: 3, Failing: 114},
		},
		"a confirmation fails": {
			search.Config{From: 100},
			func() func(float64, search.Phase) (search.Result, error) {
				confirmed := 0
				return func(rate float64, phase search.Phase) (search.Result, error) {
					if phase == search.Confirm {
						if confirmed++; confirmed == 2 {
							return search.Fail, nil
						}
					}
					return upTo(102)(rate, phase)
				}
			}(),
			"s100 s150 b122 b111 b105 b103 c100 c100 c95.2 c95.2 c95.2",
			search.Answer{Status: search.Found, Rate: 95.24, Confirmed: 3, Failing: 100},
		},
		"the generator is the limit": {
			search.Config{From: 100},
			func(rate float64, _ search.Phase) (search.Result, error) {
				if rate > 200 {
					return search.Generator, nil
				}
				return search.Pass, nil
			},
			"s100 s150 s225 s225 s225",
			search.Answer{Status: search.AtLeast, Rate: 150, Last: search.Generator},
		},
		"the ceiling is the limit": {
			search.Config{From: 100, Limit: 200},
			upTo(1e9), "s100 s150",
			search.Answer{Status: search.AtLeast, Rate: 150, Last: search.Generator},
		},
		"nothing is known": {
			search.Config{From: 100, Limit: 50},
			upTo(1e9), "",
			search.Answer{Status: search.Unfinished, Last: search.Generator},
		},
		"a hiccup": {
			search.Config{From: 100},
			func() func(float64, search.Phase) (search.Result, error) {
				n := 0
				return func(rate float64, phase search.Phase) (search.Result, error) {
					if n++; n == 2 {
						return search.Generator, nil
					}
					return upTo(120)(rate, phase)
				}
			}(),
			"s100 s150 s150 b122 b111 b116 b119 c119 c119 c119",
			search.Answer{Status: search.Found, Rate: 119.4, Confirmed: 3, Failing: 122},
		},
		"undecided": {
			search.Config{From: 100},
			func(rate float64, phase search.Phase) (search.Result, error) {
				if phase == search.Bisection {
					return search.Undecided, nil
				}
				return upTo(120)(rate, phase)
			},
			"s100 s150 b122",
			search.Answer{Status: search.Unfinished, Rate: 100, Failing: 150, Last: search.Undecided},
		},
		"everything fails": {
			search.Config{From: 1024},
			upTo(0), "s1024 s512 s256 s128 s64 s32 s16 s8 s4 s2",
			search.Answer{Status: search.None, Failing: 2},
		},
		"everything down to the floor fails": {
			search.Config{From: 100, Floor: 20},
			upTo(15), "s100 s50 s25",
			search.Answer{Status: search.None, Failing: 25},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var tried []string
			got, err := search.Run(c.config, func(rate float64, phase search.Phase) (search.Result, error) {
				text := fmt.Sprintf("%.3g", rate)
				if rate >= 100 {
					text = fmt.Sprintf("%.0f", rate)
				}
				tried = append(tried, string(phase[0])+text)
				return c.trial(rate, phase)
			})
			if err != nil {
				t.Fatal(err)
			}
			if text := strings.Join(tried, " "); text != c.tried {
				t.Errorf("tried %s, want %s", text, c.tried)
			}
			near := func(a, b float64) bool { return a >= b*0.99 && a <= b*1.01 }
			if !near(got.Rate, c.want.Rate) || !near(got.Failing, c.want.Failing) {
				t.Errorf("rate %v, failing %v; want %v", got.Rate, got.Failing, c.want)
			}
			got.Rate, got.Failing = c.want.Rate, c.want.Failing
			if got != c.want {
				t.Errorf("answer %+v, want %+v", got, c.want)
			}
		})
	}
}

// Where each rate has one result, the answer is within the precision of the
// highest rate that passes.
func TestFindsTheThreshold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Float64Range(1, 1e5).Draw(t, "from")
		highest := from * rapid.Float64Range(1.0/400, 1000).Draw(t, "highest/from")
		a, err := search.Run(search.Config{From: from}, upTo(highest))
		if err != nil || a.Status != search.Found || a.Confirmed != search.Confirmations {
			t.Fatalf("%+v, %v", a, err)
		}
		if a.Rate > highest || a.Failing <= highest || a.Rate < highest/(1+search.Precision)*(1-1e-9) {
			t.Errorf("%+v, but the highest is %g", a, highest)
		}
	})
}

// Whatever the trials say, the search ends within its bound, and its answer is
// a rate that passed, never failed, and lies below every rate that did.
func TestNoise(t *testing.T) {
	results := []search.Result{search.Pass, search.Fail, search.Pass, search.Fail, search.Pass, search.Fail, search.Pass, search.Generator, search.Undecided}
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		kinds := rapid.IntRange(2, len(results)).Draw(t, "kinds")
		highest := rapid.Float64Range(0.1, 1e4).Draw(t, "highest")
		noise := rapid.Float64Range(0, 1).Draw(t, "noise")
		limit := rapid.SampledFrom([]float64{0, 50, 5000}).Draw(t, "limit")
		failed, passed := map[float64]bool{}, map[float64]int{}
		inRow := map[float64]int{}
		trials := 0
		a, err := search.Run(search.Config{From: 100, Limit: limit}, func(rate float64, _ search.Phase) (search.Result, error) {
			trials++
			if limit > 0 && rate > limit {
				t.Errorf("tried %g, above the limit", rate)
			}
			r, _ := upTo(highest)(rate, "")
			if random.Float64() < noise {
				r = results[random.IntN(kinds)]
			}
			switch r {
			case search.Pass:
				passed[rate]++
				inRow[rate]++
			case search.Fail:
				failed[rate] = true
				inRow[rate] = 0
			}
			return r, nil
		})
		if err != nil || trials > search.MaxTrials {
			t.Fatalf("%d trials, %v", trials, err)
		}
		if failed[a.Rate] || a.Rate > 0 && passed[a.Rate] == 0 {
			t.Errorf("the answer %+v failed or was never tried", a)
		}
		for rate := range failed {
			if rate <= a.Rate || a.Failing > rate {
				t.Errorf("the answer is %+v, but %g failed", a, rate)
			}
		}
		if a.Status == search.Found && (inRow[a.Rate] < search.Confirmations || a.Failing > a.Rate*(1+search.Precision)*(1+1e-9)) {
			t.Errorf("%+v was found after %d passes in a row", a, inRow[a.Rate])
		}
		if a.Status == search.AtLeast && a.Rate == 0 {
			t.Errorf("%+v says nothing", a)
		}
	})
}

func TestError(t *testing.T) {
	broken := errors.New("broken")
	if _, err := search.Run(search.Config{From: 1}, func(float64, search.Phase) (search.Result, error) { return search.Pass, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
