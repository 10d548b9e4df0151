package scenarios

import (
	"regexp"

	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// The Kafka parts of a scenario file as they are written.
type (
	kafkaFile struct {
		Brokers []text[brokers] `yaml:"brokers,required" doc:"Addresses to find the cluster by, each HOST:PORT; several may stand in one text, separated by commas." eg:"[\"${KAFKA_BROKERS}\"]"`
		TLS     *tlsChoice      `yaml:"tls" doc:"true for the system's certificate authorities, or which files to use; plaintext where left out." eg:"{ca: ca.pem}"`
		MSK     *text[label]    `yaml:"msk" doc:"Which cluster of Amazon MSK it is, whose limits the load is held against: serverless, or the kind and size of its brokers, such as standard.m7g.large." eg:"express.m7g.large"`
		SASL    *saslFile       `yaml:"sasl" doc:"How the client says who it is; not at all where left out."`
	}
	tlsFile struct {
		CA   text[file] `yaml:"ca" doc:"PEM file of the certificate authorities; the system's where left out." eg:"ca.pem"`
		Cert text[file] `yaml:"cert" doc:"PEM file of the client's certificate; with key." eg:"client.pem"`
		Key  text[file] `yaml:"key" doc:"PEM file of the client's private key; with cert." eg:"client.key"`
	}
	saslFile struct {
		Mechanism text[mechanism] `yaml:"mechanism,required" doc:"plain, scram-sha-256, scram-sha-512, or msk_iam, which takes the credentials of the AWS chain." eg:"scram-sha-512"`
		User      *text[secret]   `yaml:"user" doc:"User name." eg:"\"${KAFKA_USER}\""`
		Password  *text[secret]   `yaml:"password" doc:"Password; from the environment." eg:"\"${KAFKA_PASSWORD}\""`
	}
	kafkaOperationFile struct {
		Topic       text[topic]        `yaml:"topic,required" doc:"The topic, which must exist." eg:"views"`
		Key         keyChoice          `yaml:"key" doc:"none (the default), or which keys records have; a key's partition is the one that the Java client chooses." eg:"{zipf: 1000}"`
		Value       *valueFile         `yaml:"value,required" doc:"What the records hold."`
		Rows        *text[file]        `yaml:"rows" doc:"A CSV file with a header or a JSON Lines file; each arrival takes the next row." eg:"views.csv"`
		Acks        text[acks]         `yaml:"acks" doc:"all (the default) waits for all replicas in sync, leader for the leader alone."`
		Linger      *unit.Duration     `yaml:"linger" doc:"How long a batch waits for further records, which is part of the response time; 5ms where left out." eg:"5ms"`
		Batch       *unit.Size         `yaml:"batch" doc:"Largest batch of records for one partition; 1000012B where left out." eg:"16KiB"`
		Compression text[compression]  `yaml:"compression" doc:"none (the default), gzip, snappy, lz4 or zstd."`
		Idempotence *bool              `yaml:"idempotence" doc:"Whether the broker drops records that were sent twice; true where left out, unless acks is leader."`
		Buffer      *unit.Size         `yaml:"buffer" doc:"Most bytes that wait in the client; arrivals beyond are dropped and counted. 256MiB where left out." eg:"256MiB"`
		Headers     strict.Map[string] `yaml:"headers" doc:"Headers of every record."`
	}
	keyFile struct {
		Constant *string     `yaml:"constant" doc:"The same key for every record."`
		Uniform  *int64      `yaml:"uniform" doc:"As many keys, all as likely." eg:"1000"`
		Zipf     *int64      `yaml:"zipf" doc:"As many keys; the one of rank r comes in proportion to 1/r." eg:"1000"`
		Rows     *text[file] `yaml:"rows" doc:"A column of rows." eg:"id"`
	}
	valueFile struct {
		Bytes    *unit.Size  `yaml:"bytes" doc:"So many bytes, which don't compress." eg:"200B"`
		File     *text[file] `yaml:"file" doc:"What is in a file." eg:"view.json"`
		Rows     *text[file] `yaml:"rows" doc:"A column of rows." eg:"body"`
		Template *string     `yaml:"template" doc:"Text that may hold ${row.column}." eg:"'{\"program\": \"${row.id}\"}'"`
	}
)

// tlsChoice is true, or files.
type tlsChoice struct {
	on    bool
	files *tlsFile
}

// Choose implements strict.Choice.
func (t *tlsChoice) Choose(k strict.Kind) any {
	if k == strict.Mapping {
		t.files = new(tlsFile)
		return t.files
	}
	return &t.on
}

// keyChoice is the word none, or which keys there are.
type keyChoice struct {
	word text[none]
	keys *keyFile
}

// Choose implements strict.Choice.
func (c *keyChoice) Choose(k strict.Kind) any {
	if k == strict.Mapping {
		c.keys = new(keyFile)
		return c.keys
	}
	return &c.word
}

var (
	brokersForm     = form{regexp.MustCompile(`^[^\s,/@]+:[0-9]+(?: *, *[^\s,/@]+:[0-9]+)*$`), "a broker's address", "write HOST:PORT", 0}
	topicForm       = form{regexp.MustCompile(`^[a-zA-Z0-9._-][a-zA-Z0-9._-]*$`), "the name of a topic", "use up to 249 letters, digits and . _ -", 249}
	mechanismForm   = form{regexp.MustCompile(`^(?:plain|scram-sha-256|scram-sha-512|msk_iam)$`), "a SASL mechanism", "mechanisms are plain, scram-sha-256, scram-sha-512 and msk_iam", 0}
	acksForm        = form{regexp.MustCompile(`^(?:all|leader)$`), "a kind of acknowledgement", "acks are all or leader; what is not acknowledged can't be measured", 0}
	compressionForm = form{regexp.MustCompile(`^(?:none|gzip|snappy|lz4|zstd)$`), "a compression", "compressions are none, gzip, snappy, lz4 and zstd", 0}
	noneForm        = form{regexp.MustCompile(`^none$`), "a key", "write none, or {constant: TEXT}, {uniform: N}, {zipf: N} or {rows: COLUMN}", 0}
)

type (
	brokers     struct{}
	topic       struct{}
	mechanism   struct{}
	acks        struct{}
	compression struct{}
	none        struct{}
)

func (brokers) form() form     { return brokersForm }
func (topic) form() form       { return topicForm }
func (mechanism) form() form   { return mechanismForm }
func (acks) form() form        { return acksForm }
func (compression) form() form { return compressionForm }
func (none) form() form        { return noneForm }

func (*kafkaFile) constrain(s *schema) { s.property("brokers").MinItems = 1 }

func (*saslFile) constrain(s *schema) {
	s.property("password").Pattern = `\$\{[A-Z_][A-Z0-9_]*(?::-)?\}` // nothing secret stands in the file
}

func (*keyFile) constrain(s *schema) {
	s.MinProperties, s.MaxProperties = 1, 1
	for _, key := range []string{"uniform", "zipf"} {
		n := s.property(key).AnyOf[0]
		n.Minimum, n.Maximum = at(1), at(maxKeys)
	}
}

func (*valueFile) constrain(s *schema) { s.MinProperties, s.MaxProperties = 1, 1 }

func (*kafkaOperationFile) constrain(s *schema) {
	s.property("headers").PropertyNames = &schema{Pattern: `\S`}
}
