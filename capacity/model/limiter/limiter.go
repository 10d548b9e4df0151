// Package limiter is the room of the rules by which cloud services refuse
// load, one file each: TokenBucket, Window, Concurrency and Partitions.
//
// A limiter is a small state machine in explicit time. Every call carries its
// instant as an offset from the start of the System; offsets must not decrease.
// Nothing here reads a clock or draws a random number, so equal calls give
// equal answers. A limiter is not safe for concurrent use.
package limiter

// slack is the part of a limiter's capacity by which a charge may exceed what
// is left. It absorbs the rounding of refills computed in binary fractions of
// nanosecond steps, so that 200 tokens taken every 0.1 s from 2,000 tokens/s
// are never refused. What is admitted over any stretch of time exceeds the rule
// by at most this part of the capacity.
const slack = 1e-9
