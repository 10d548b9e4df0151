package measure

// KafkaClient is the source of the series that a Kafka driver writes each second
// of its brokers and partitions, which stand in their labels. These are their
// metrics.
const (
	KafkaClient        = "kafka-client"
	KafkaThrottles     = "throttles"            // answers of a broker that told to wait
	KafkaThrottleTime  = "throttle-time"        // the longest of them, in seconds
	KafkaThrottledTo   = "throttled-to"         // the byte rate quota that a broker's throttles tell of, in bytes a second; no point without a throttle
	KafkaProducedBytes = "produce-bytes"        // of whole produce requests that a broker answered, as a byte rate quota counts them
	KafkaRequests      = "produce-requests"     // that a broker answered
	KafkaAcknowledged  = "acknowledged-records" // of a partition
	KafkaWritten       = "written-bytes"        // of a partition: of record batches, as they were compressed, that its broker acknowledged
	// Of all of the run's clients together, whichever load tells of them.
	KafkaConnections    = "connections"     // that are open to a broker
	KafkaNewConnections = "new-connections" // at most, in any second so far
)

// KafkaBroker is the source of the series that are read from the brokers each
// second, of the topics that the run produces to and of the consumer groups that
// the scenario observes. Their labels are topic, partition and, of a group's,
// group; a second that could not be read is absent. These are their metrics.
const (
	KafkaBroker    = "kafka-broker"
	KafkaLag       = "consumer-lag"      // records of a partition that a group has not committed
	KafkaLagTime   = "consumer-lag-time" // of a topic, the longest of its partitions: seconds since the committed offset was the end
	KafkaEnd       = "end-offset"        // of a partition: that of the next record
	KafkaCommitted = "committed-offset"  // of a partition, by a group
	KafkaInForce   = "quota-in-force"    // the byte rate quota that the load's client is held to, in bytes a second; no point where there is none
	// Once, before the load, of all topics that the client may see.
	KafkaPartitions = "partitions" // that a broker has, with replicas; without a broker, that there are
)

// MSK is the namespace of what CloudWatch says of clusters of Amazon MSK, and these
// are the names of its dimensions.
const (
	MSK        = "AWS/Kafka"
	MSKCluster = "Cluster Name"
	MSKBroker  = "Broker ID"
	MSKTopic   = "Topic"
	MSKGroup   = "Consumer Group"
)

// KafkaByteRate is the id of the quota of bytes a second that a client may
// produce to each broker.
const KafkaByteRate = "kafka.producer-byte-rate"
