// Package search is the room that looks for the highest rate that passes: up
// in steps until one fails, between the last pass and the first failure by
// bisection, and then again and again at the rate that was found, because one
// pass may be luck. What a trial is and when it passes is the caller's.
package search

import "math"

// Result is what came of one trial.
type Result string

// The results of a trial. Only the first two say something of its rate.
const (
	Pass Result = "pass"
	Fail Result = "fail"
	// Generator: the trial can't be judged because the generator fell short.
	Generator Result = "generator"
	// Undecided: the trial can't be judged because its data doesn't say.
	Undecided Result = "undecided"
	// Ended: the trial was ended from outside, and the search ends with it.
	Ended Result = "ended"
)

// Phase is what a trial is for.
type Phase string

// The phases of a search.
const (
	Step      Phase = "step"
	Bisection Phase = "bisection"
	Confirm   Phase = "confirmation"
)

// Config says how to search. Rates are in any one unit.
type Config struct {
	From float64 // the first rate, above 0
	// Limit is the highest rate that the generator may be asked for; 0: none.
	Limit float64
	// Floor is the lowest rate that is worth a trial; 0: a thousandth of From.
	Floor float64
}

// How a search goes.
const (
	// Factor lies between two steps up; steps down halve.
	Factor = 1.5
	// Precision is the width of the last bracket: the lowest rate that failed
	// is at most 5 % above the answer.
	Precision = 0.05
	// Confirmations must pass in a row at the rate that is the answer.
	Confirmations = 3
	// MaxTrials bounds a search, and attempts the trials of one rate in a row that
	// the generator spoils.
	MaxTrials = 40
	attempts  = 3
)

// Status says what an answer is worth.
type Status string

// The statuses of an answer.
const (
	Found Status = "found" // Rate passed Confirmations times in a row, and Failing failed
	// AtLeast: the generator was the limit. Rate passed at least once.
	AtLeast Status = "at_least"
	// None: no rate passed, down to the floor.
	None Status = "none"
	// Unfinished: a trial could not be judged, the search was ended, or the
	// number of trials was used up. Rate, if any, passed at least once.
	Unfinished Status = "unfinished"
)

// Answer is what a search found. A rate of 0 is none.
type Answer struct {
	Status Status
	Rate   float64
	// Confirmed counts the confirmations of Rate that passed in a row.
	Confirmed int
	// Failing is the lowest rate that failed.
	Failing float64
	// Last is the result that ended the search early; Fail: the number of
	// trials was used up. Empty for Found and None.
	Last Result
}

// Run searches. It calls trial for one rate at a time, at most MaxTrials times;
// an error of trial ends the search and is returned. A trial that the generator
// spoilt is made up to twice more, since a machine may hiccup. The answer's rate
// is below every rate that failed.
func Run(c Config, trial func(rate float64, phase Phase) (Result, error)) (Answer, error) {
	if c.Floor <= 0 {
		c.Floor = c.From / 1000
	}
	s := &searcher{config: c, trial: trial, failing: math.Inf(1)}
	err := s.run()
	if s.failing < math.Inf(1) {
		s.answer.Failing = s.failing
	}
	return s.answer, err
}

type searcher struct {
	config  Config
	trial   func(float64, Phase) (Result, error)
	trials  int
	passes  []float64
	failing float64 // the lowest rate that failed
	answer  Answer
}

// passed returns the highest rate that passed and is below all that failed, or
// 0.
func (s *searcher) passed() float64 {
	var best float64
	for _, rate := range s.passes {
		if rate < s.failing {
			best = max(best, rate)
		}
	}
	return best
}

// try makes a trial and reports whether it decided something; the search is
// over where it did not.
func (s *searcher) try(rate float64, phase Phase) (pass, decided bool, err error) {
	result := Generator
	for range attempts {
		switch {
		case s.config.Limit > 0 && rate > s.config.Limit:
			result = Generator
		case s.trials == MaxTrials:
			s.end(Unfinished, Fail)
			return false, false, nil
		default:
			s.trials++
			if result, err = s.trial(rate, phase); err != nil {
				return false, false, err
			}
		}
		if result != Generator {
			break
		}
	}
	switch result {
	case Pass:
		s.passes = append(s.passes, rate)
	case Fail:
		s.failing = min(s.failing, rate)
	case Generator:
		s.end(AtLeast, result)
	default:
		s.end(Unfinished, result)
	}
	return result == Pass, result == Pass || result == Fail, nil
}

func (s *searcher) end(status Status, last Result) {
	s.answer = Answer{Status: status, Rate: s.passed(), Last: last}
	if status == AtLeast && s.answer.Rate == 0 {
		s.answer.Status = Unfinished
	}
}

func (s *searcher) run() error {
	for rate := s.config.From; ; {
		pass, decided, err := s.try(rate, Step)
		switch {
		case err != nil || !decided:
			return err
		case pass && s.failing < math.Inf(1), !pass && s.passed() > 0:
			return s.bisect()
		case pass:
			rate *= Factor
		case rate/2 < s.config.Floor:
			s.answer = Answer{Status: None}
			return nil
		default:
			rate /= 2
		}
	}
}

func (s *searcher) bisect() error {
	for s.failing/s.passed() > 1+Precision {
		if _, decided, err := s.try(math.Sqrt(s.passed()*s.failing), Bisection); err != nil || !decided {
			return err
		}
	}
	return s.confirm(s.passed())
}

// confirm repeats the rate, and steps down from one that fails.
func (s *searcher) confirm(rate float64) error {
	for n := 0; n < Confirmations; {
		pass, decided, err := s.try(rate, Confirm)
		switch {
		case err != nil:
			return err
		case !decided:
			s.answer.Confirmed = n
			return nil
		case pass:
			n++
		case rate/(1+Precision) < s.config.Floor:
			s.answer = Answer{Status: None}
			return nil
		default:
			n, rate = 0, rate/(1+Precision)
		}
	}
	s.answer = Answer{Status: Found, Rate: rate, Confirmed: Confirmations}
	return nil
}
