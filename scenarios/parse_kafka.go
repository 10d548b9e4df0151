package scenarios

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/headroom-load/headroom/scenarios/strict"
	"github.com/headroom-load/headroom/scenarios/unit"
)

// Bounds of what is said of Kafka.
const (
	maxKeys   = 10_000_000
	maxRecord = 16 << 20
	maxLinger = time.Minute
	maxBuffer = 16 << 30
)

// What a producer does where the file doesn't say.
const (
	defaultLinger = 5 * time.Millisecond
	defaultBatch  = 1_000_012 // Kafka's default for the largest message, max.message.bytes, without its overhead
	defaultBuffer = 256 << 20
)

func (p *parser) kafka(at string, f *kafkaFile) *Kafka {
	k := &Kafka{}
	if len(f.Brokers) == 0 && p.fine(at+".brokers") {
		p.fault(at+".brokers", "names no broker", "write [HOST:PORT]")
	}
	for i, list := range f.Brokers {
		path := fmt.Sprintf("%s.brokers[%d]", at, i)
		for _, address := range strings.Split(string(list), ",") {
			address = strings.TrimSpace(address)
			if host, port, err := net.SplitHostPort(address); p.fine(path) && (err != nil || host == "" || !portForm.MatchString(port)) {
				p.fault(path, "is not a broker's address", "write HOST:PORT")
			}
			k.Brokers = append(k.Brokers, address)
			k.Literal = append(k.Literal, !p.environment[path])
		}
	}
	if f.TLS != nil {
		k.TLS = p.tls(at+".tls", f.TLS)
	}
	if f.MSK != nil {
		k.MSK = string(*f.MSK)
	}
	if f.SASL != nil {
		k.SASL = p.sasl(at+".sasl", f.SASL)
	}
	return k
}

func (p *parser) tls(at string, f *tlsChoice) *TLS {
	if f.files == nil {
		if !f.on && p.fine(at) {
			p.fault(at, "can only be true, or {ca: FILE}", "leave it out for plaintext")
		}
		return &TLS{}
	}
	t := &TLS{}
	if f.files.CA != "" {
		t.CA = p.read(at+".ca", string(f.files.CA))
		if t.CA != nil && !x509.NewCertPool().AppendCertsFromPEM(t.CA) {
			p.fault(at+".ca", "file holds no certificate", "it is a PEM file")
		}
	}
	if (f.files.Cert == "") != (f.files.Key == "") {
		p.fault(at, "has only one of cert and key", "a client's certificate needs both")
		return t
	}
	if f.files.Cert != "" {
		t.Cert, t.Key = p.read(at+".cert", string(f.files.Cert)), p.readSecret(at+".key", string(f.files.Key))
		if t.Cert != nil && t.Key != nil {
			if _, err := tls.X509KeyPair(t.Cert, t.Key); err != nil {
				p.fault(at+".cert", "is no certificate of the key", "both are PEM files")
			}
		}
	}
	return t
}

func (p *parser) sasl(at string, f *saslFile) SASL {
	s := SASL{Mechanism: string(f.Mechanism)}
	if f.User != nil {
		s.User = string(*f.User)
	}
	if f.Password != nil {
		s.Password = string(*f.Password)
		p.secret(at + ".password")
	}
	switch {
	case !p.fine(at):
	case s.Mechanism == MSKIAM && (f.User != nil || f.Password != nil):
		p.fault(at, "has a user or a password beside msk_iam", "it takes the credentials of the AWS chain")
	case s.Mechanism != MSKIAM && (f.User == nil || f.Password == nil):
		p.fault(at, "lacks a user or a password", "write both")
	}
	return s
}

func (p *parser) kafkaOperation(at string, f *kafkaOperationFile) *KafkaOperation {
	o := &KafkaOperation{Topic: string(f.Topic)}
	for _, e := range f.Headers {
		path := strict.Path(at+".headers", e.Key)
		if strings.TrimSpace(e.Key) == "" {
			p.fault(path, "is no header's name", "")
		}
		if secretName.MatchString(e.Key) {
			p.secret(path)
		}
		o.Headers = append(o.Headers, Header{Name: e.Key, Value: e.Value})
	}
	if f.Rows != nil {
		o.Rows = p.rows(at+".rows", string(*f.Rows))
	}
	if f.Key.keys != nil {
		o.Key = p.key(at+".key", f.Key.keys)
	}
	if f.Value != nil {
		o.Value = p.value(at+".value", f.Value)
	}
	p.kafkaColumns(at, f, o)
	o.Producer = p.producer(at, f)
	return o
}

// alone reports whether exactly one of several keys is set, or a fault.
func (p *parser) alone(at, hint string, set ...bool) {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	if n != 1 && p.fine(at) {
		p.fault(at, "must have exactly one key", hint)
	}
}

func (p *parser) key(at string, f *keyFile) (k Key) {
	p.alone(at, "write constant, uniform, zipf or rows", f.Constant != nil, f.Uniform != nil, f.Zipf != nil, f.Rows != nil)
	if f.Constant != nil {
		if k.Constant = *f.Constant; k.Constant == "" {
			p.fault(at+".constant", "is empty", "write key: none for records without a key")
		}
	}
	number := func(key string, from *int64) int64 {
		if from == nil {
			return 0
		}
		if *from < 1 || *from > maxKeys {
			p.fault(at+"."+key, fmt.Sprintf("must be from 1 to %d", int64(maxKeys)), "")
		}
		return *from
	}
	k.Uniform, k.Zipf = number("uniform", f.Uniform), number("zipf", f.Zipf)
	if f.Rows != nil {
		k.Column = string(*f.Rows)
	}
	return k
}

func (p *parser) value(at string, f *valueFile) (v Value) {
	p.alone(at, "write bytes, file, rows or template", f.Bytes != nil, f.File != nil, f.Rows != nil, f.Template != nil)
	if f.Bytes != nil {
		v.Bytes = p.size(at+".bytes", f.Bytes, maxRecord)
	}
	if f.File != nil {
		v.File = string(*f.File)
		if v.Content = p.read(at+".file", v.File); v.Content != nil && len(v.Content) == 0 {
			p.fault(at+".file", "file is empty", "")
		}
	}
	if f.Rows != nil {
		v.Column = string(*f.Rows)
	}
	if f.Template != nil {
		if v.Template = *f.Template; v.Template == "" {
			p.fault(at+".template", "is empty", "")
		}
	}
	return v
}

// kafkaColumns checks that the columns that an operation takes are in its rows.
func (p *parser) kafkaColumns(at string, f *kafkaOperationFile, o *KafkaOperation) {
	uses := p.columns[at]
	if o.Key.Column != "" {
		uses = append(uses, columnUse{at + ".key.rows", o.Key.Column})
	}
	if o.Value.Column != "" {
		uses = append(uses, columnUse{at + ".value.rows", o.Value.Column})
	}
	for _, use := range uses {
		switch {
		case f.Rows == nil:
			p.fault(use.path, fmt.Sprintf("column %.60q has no rows to come from", use.column), "write rows: with a CSV or JSON Lines file beside topic")
		case o.Rows != nil && !slices.Contains(o.Rows.Columns, use.column):
			p.fault(use.path, fmt.Sprintf("%s has no column %.60q", p.quote(at+".rows", o.Rows.File), use.column), suggest("columns", use.column, o.Rows.Columns))
		}
	}
	if uses == nil && f.Rows != nil && p.fine(at) {
		p.fault(at+".rows", "is not used", "take a column as key or value, or leave rows out")
	}
}

func (p *parser) size(path string, from *unit.Size, most int64) int64 {
	n := int64(*from)
	switch {
	case n < 1:
		p.fault(path, "must be greater than 0", "")
	case n > most:
		p.fault(path, "is too large", "the largest is "+unit.FormatBytes(float64(most)))
	}
	return n
}

func (p *parser) producer(at string, f *kafkaOperationFile) Producer {
	o := Producer{
		Acks: cmp.Or(string(f.Acks), "all"), Linger: defaultLinger, BatchBytes: defaultBatch,
		Compression: cmp.Or(string(f.Compression), "none"), BufferBytes: defaultBuffer,
	}
	if f.Linger != nil {
		if o.Linger = time.Duration(*f.Linger); o.Linger > maxLinger {
			p.fault(at+".linger", "is too long", "the longest is "+unit.FormatDuration(maxLinger))
		}
	}
	if f.Batch != nil {
		if o.BatchBytes = p.size(at+".batch", f.Batch, maxRecord); o.BatchBytes < 1024 && p.fine(at+".batch") {
			p.fault(at+".batch", "is too small", "the smallest is 1KiB")
		}
	}
	if f.Buffer != nil {
		o.BufferBytes = p.size(at+".buffer", f.Buffer, maxBuffer)
	}
	o.Idempotence = o.Acks == "all"
	if f.Idempotence != nil {
		if o.Idempotence = *f.Idempotence; o.Idempotence && o.Acks != "all" {
			p.fault(at+".idempotence", "needs acks: all", "leave it out")
		}
	}
	return o
}
