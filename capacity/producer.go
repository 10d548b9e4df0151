package capacity

import (
	"fmt"

	"github.com/headroom-load/headroom/scenarios/unit"
)

// Producer is how the records of an operation are produced to Kafka. All of it
// shapes their response times, so reports print it beside them.
type Producer struct {
	Topic       string  `json:"topic"`
	Key         string  `json:"key"`
	Value       string  `json:"value"`
	Acks        string  `json:"acks"` // "all", "leader"
	Linger      float64 `json:"linger_s"`
	BatchBytes  int64   `json:"batch_bytes"`
	Compression string  `json:"compression"`
	Idempotence bool    `json:"idempotence"`
	BufferBytes int64   `json:"buffer_bytes"`
	// MetadataAge is how old the client's knowledge of the cluster is at least
	// when it is asked for again after an error.
	MetadataAge float64 `json:"metadata_age_s"`
}

// String says it in one line.
func (p Producer) String() string {
	idempotence := "idempotent"
	if !p.Idempotence {
		idempotence = "not idempotent"
	}
	return fmt.Sprintf("topic %s, key %s, value %s; acks %s, linger %s, batches to %s, compression %s, %s, buffer %s, metadata again after %s",
		p.Topic, p.Key, p.Value, p.Acks, unit.HumanSeconds(p.Linger), unit.HumanBytes(float64(p.BatchBytes)), p.Compression, idempotence,
		unit.HumanBytes(float64(p.BufferBytes)), unit.HumanSeconds(p.MetadataAge))
}
