package limiter

import "time"

// Window admits up to a limit in each aligned second: charges count from zero
// again whenever the whole seconds since the start of the System change. Around
// a boundary it admits twice the limit within less than a second.
type Window struct {
	limit  float64
	second time.Duration // the current window, in whole seconds
	used   float64
}

// NewWindow returns a window of the given limit per second.
func NewWindow(limit float64) *Window { return &Window{limit: limit} }

// Admit adds cost to the second that at lies in, if it still fits.
func (w *Window) Admit(at time.Duration, cost float64) bool {
	if second := at / time.Second; second != w.second {
		w.second, w.used = second, 0
	}
	if w.used+cost > w.limit*(1+slack) {
		return false
	}
	w.used += cost
	return true
}
