// Package limiter is the room of the rules by which cloud services refuse
// load, one file each: TokenBucket (API Gateway, and by assumption AppSync),
// Window, Concurrency and Account (Lambda), Partitions and OnDemand (DynamoDB),
// Queue and Slot (a Redis node and cluster), Tasks and TargetTracking (ECS),
// KafkaQuota.
//
// A limiter is a small state machine in explicit time. Every call carries its
// instant as an offset from the start of the System; offsets must not decrease.
// Nothing here reads a clock or draws a random number, so equal calls give
// equal answers. A limiter is not safe for concurrent use.
package limiter

// slack absorbs rounding, so that 200 tokens every third of a second from
// 600 tokens/s are never refused though no instant falls on an exact third. A
// charge may exceed what is left by this part of the capacity and by what the
// rate refills in two nanoseconds; the excess is owed, so that it doesn't add
// up.
const slack = 1e-9
