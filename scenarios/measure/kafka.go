package measure

// KafkaClient is the source of the series that a Kafka driver writes each second
// of its brokers and partitions, which stand in their labels. These are their
// metrics.
const (
	KafkaClient        = "kafka-client"
	KafkaThrottles     = "throttles"            // answers of a broker that told to wait
	KafkaThrottleTime  = "throttle-time"        // the longest of them, in seconds
	KafkaProducedBytes = "produce-bytes"        // of whole produce requests to a broker, as a byte rate quota counts them
	KafkaRequests      = "produce-requests"     // to a broker
	KafkaAcknowledged  = "acknowledged-records" // of a partition
)
