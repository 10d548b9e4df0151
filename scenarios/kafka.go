package scenarios

import (
	"fmt"
	"time"
)

// Kafka is a Kafka cluster.
type Kafka struct {
	Brokers []string // host:port
	// Literal says of each of Brokers that the file itself names it: no part of
	// it came from an environment variable.
	Literal []bool
	TLS     *TLS // nil: plaintext
	SASL    SASL
	// MSK is which cluster of Amazon MSK it is, as the catalogue of quotas names
	// it: "serverless", "express.m7g.large"; "": none that it knows.
	MSK string
}

// TLS says how connections are encrypted. Files are relative to the scenario;
// their contents were read with it.
type TLS struct {
	CA, Cert, Key []byte // PEM; empty: the system's roots, no certificate of the client's own
}

// SASL mechanisms.
const (
	Plain       = "plain"
	ScramSHA256 = "scram-sha-256"
	ScramSHA512 = "scram-sha-512"
	MSKIAM      = "msk_iam"
)

// SASL is how a client says who it is. Mechanism "": it doesn't. msk_iam takes
// the credentials of the AWS chain, so User and Password are empty.
type SASL struct{ Mechanism, User, Password string }

// KafkaOperation is a record that is produced to a topic.
type KafkaOperation struct {
	Topic    string
	Key      Key
	Value    Value
	Rows     *Rows // of Key.Column, Value.Column and Value.Template
	Headers  []Header
	Producer Producer
}

// Key says which key a record has. At most one field is set; none: records have
// no key.
type Key struct {
	Constant string
	Uniform  int64 // keys 0 to n-1, all as likely
	Zipf     int64 // keys 0 to n-1, the one of rank r with a probability in proportion to 1/r
	Column   string
}

// Value says what a record's value is. Exactly one field is set.
type Value struct {
	Bytes    int64 // as many, which don't compress
	Content  []byte
	File     string // that Content was read from
	Column   string
	Template string // with ${row.x} placeholders, and $${ for a literal ${
}

// String says what the keys are, for reports.
func (k Key) String() string {
	switch {
	case k.Constant != "":
		return "constant"
	case k.Uniform > 0:
		return fmt.Sprintf("uniform over %d", k.Uniform)
	case k.Zipf > 0:
		return fmt.Sprintf("zipf over %d", k.Zipf)
	case k.Column != "":
		return "column " + k.Column
	}
	return "none"
}

// String says what the values are, for reports.
func (v Value) String() string {
	switch {
	case v.Content != nil:
		return fmt.Sprintf("%s, %d B", v.File, len(v.Content))
	case v.Column != "":
		return "column " + v.Column
	case v.Template != "":
		return "template"
	}
	return fmt.Sprintf("%d B", v.Bytes)
}

// MetadataAge is how old a producer's knowledge of the cluster is at least when
// it asks again after an error. kgo's own 5 s would turn a moment without a
// leader into 5 s of response time.
const MetadataAge = 250 * time.Millisecond

// Producer is how records are gathered into requests. Operations with equal
// values share one producer.
type Producer struct {
	Acks        string // all or leader
	Linger      time.Duration
	BatchBytes  int64
	Compression string // none, gzip, snappy, lz4, zstd
	Idempotence bool
	BufferBytes int64
}

// Kafka reports whether the load's operations are records. All of a load's
// operations are of one kind.
func (l Load) Kafka() bool { return len(l.Operations) > 0 && l.Operations[0].Kafka != nil }
