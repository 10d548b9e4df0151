package limiter

import "time"

// Account is the concurrency that all functions of an account share. A function
// with reserved concurrency has that much to itself: nobody else can use it, and
// it can use no more. The others share what is left, of which each claims what is
// provisioned for it even while that is idle (Lambda Developer Guide,
// "Understanding Lambda function scaling").
type Account struct {
	limit     int
	reserved  int
	functions []*Concurrency // without reserved concurrency
}

// NewAccount returns an account of which some concurrency is reserved.
func NewAccount(limit, reserved int) *Account { return &Account{limit: limit, reserved: reserved} }

// Join makes a function without reserved concurrency one of those that share.
func (a *Account) Join(c *Concurrency) { a.functions = append(a.functions, c) }

// Shared reports whether more than one function has a part in the account.
func (a *Account) Shared() bool { return a.reserved > 0 || len(a.functions) > 1 }

// Room reports whether c, which has joined, may use one more environment.
func (a *Account) Room(at time.Duration, c *Concurrency) bool {
	if c.advance(at); c.ready > 0 {
		return true // claimed already
	}
	return a.Claimed(at) < a.limit
}

// Claimed returns what is reserved, provisioned or in use.
func (a *Account) Claimed(at time.Duration) int {
	claimed := a.reserved
	for _, f := range a.functions {
		f.advance(at)
		claimed += f.busy.n + f.ready
	}
	return claimed
}
