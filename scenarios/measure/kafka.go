package measure

// KafkaClient is the source of the series that a Kafka driver writes each second
// of its brokers and partitions, which stand in their labels. These are their
// metrics.
const (
	KafkaClient        = "kafka-client"
	KafkaThrottles     = "throttles"            // answers of a broker that told to wait
	KafkaThrottleTime  = "throttle-time"        // the longest of them, in seconds
	KafkaProducedBytes = "produce-bytes"        // of whole produce requests that a broker answered, as a byte rate quota counts them
	KafkaRequests      = "produce-requests"     // that a broker answered
	KafkaAcknowledged  = "acknowledged-records" // of a partition
)
