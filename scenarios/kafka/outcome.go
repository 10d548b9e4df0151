package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/headroom-load/headroom/scenarios/measure"
)

// outcome says what became of a record, and why: reasons are Kafka's own names
// of errors or one of a few words.
func outcome(err error) (measure.Outcome, string) {
	var known *kerr.Error
	switch {
	case err == nil:
		return measure.OK, ""
	case errors.Is(err, kgo.ErrRecordTimeout):
		return measure.TimedOut, "not acknowledged in time"
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed), errors.Is(err, kgo.ErrAborting):
		return measure.Unfinished, ""
	case errors.As(err, &known):
		switch known.Code {
		case kerr.ThrottlingQuotaExceeded.Code:
			return measure.Throttled, known.Message
		case kerr.MessageTooLarge.Code, kerr.RecordListTooLarge.Code, kerr.InvalidRecord.Code, kerr.PolicyViolation.Code, kerr.InvalidTimestamp.Code, kerr.CorruptMessage.Code,
			kerr.TopicAuthorizationFailed.Code, kerr.ClusterAuthorizationFailed.Code, kerr.SaslAuthenticationFailed.Code, kerr.UnsupportedSaslMechanism.Code:
			return measure.Rejected, known.Message
		}
		return measure.Failed, known.Message
	}
	return measure.Failed, network(err)
}

// network names an error of the connection.
func network(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return "host not found"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return "connection closed"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return "no answer from the broker"
	case errors.Is(err, kgo.ErrRecordRetries):
		return "too many attempts"
	}
	return "other"
}
