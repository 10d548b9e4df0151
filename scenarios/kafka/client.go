package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/aws"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/headroom-load/headroom/scenarios"
)

const (
	connectWait = 10 * time.Second
	// metadataMost is how long the knowledge of a cluster lasts without an error.
	metadataMost = time.Minute
	// inFlightRequests per broker without idempotence, as the Java client has it.
	inFlightRequests = 5
)

// connection returns how the cluster is reached, and as whom.
func connection(cfg Config) ([]kgo.Opt, error) {
	dial, err := dialer(cfg)
	if err != nil {
		return nil, err
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(cfg.Target.Brokers...),
		kgo.SoftwareNameAndVersion(ClientID, softwareVersion(cfg.Version)),
		kgo.Dialer(dial),
		kgo.MetadataMinAge(scenarios.MetadataAge),
		kgo.MetadataMaxAge(metadataMost),
	}
	mechanism, err := mechanism(cfg)
	if err != nil {
		return nil, err
	}
	if mechanism != nil {
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

// Connect returns a client that produces nothing, for questions to the brokers.
// They know it by an id of its own, so that it has no part in the quotas of
// ClientID. Nothing is asked before its first question.
func Connect(cfg Config) (*kgo.Client, error) {
	options, err := connection(cfg)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append(options, kgo.ClientID(observerID))...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return client, nil
}

func newClient(cfg Config, p scenarios.Producer, m *meter) (*kgo.Client, error) {
	options, err := connection(cfg)
	if err != nil {
		return nil, err
	}
	// A request that is not answered is given up early enough for the record's
	// own timeout to count.
	request := min(max(cfg.Load.Timeout/2, time.Second), 10*time.Second)
	options = append(options,
		kgo.ClientID(ClientID),
		kgo.WithHooks(m),

		kgo.ProducerLinger(p.Linger),
		kgo.ProducerBatchMaxBytes(int32(p.BatchBytes)),
		kgo.ProducerBatchCompression(codec(p.Compression)),
		kgo.RecordPartitioner(kgo.UniformBytesPartitioner(64<<10, true, true, nil)), // keys by murmur2, as the Java client does
		// The runner bounds the records; the producer counts each for a moment
		// longer.
		kgo.MaxBufferedRecords(2*cfg.InFlight+1000),
		kgo.MaxBufferedBytes(int(p.BufferBytes)),
		kgo.RecordDeliveryTimeout(max(cfg.Load.Timeout, time.Second)),
		kgo.ProduceRequestTimeout(request),
		kgo.RequestTimeoutOverhead(request),
	)
	if p.Acks == "all" {
		options = append(options, kgo.RequiredAcks(kgo.AllISRAcks()))
	} else {
		options = append(options, kgo.RequiredAcks(kgo.LeaderAck()))
	}
	if p.Idempotence {
		options = append(options, kgo.AllowIdempotentProduceCancellation()) // nothing is produced again
	} else {
		options = append(options, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(inFlightRequests))
	}
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return client, nil
}

// Principal returns whom brokers take the client for where their quotas name
// users, and false where that isn't known here: it is the broker's rules that
// make a user of a certificate or of an AWS identity.
func Principal(target scenarios.Kafka) (user string, known bool) {
	switch {
	case target.SASL.Mechanism == scenarios.MSKIAM, target.SASL.Mechanism == "" && target.TLS != nil && len(target.TLS.Cert) > 0:
		return "", false
	case target.SASL.Mechanism == "":
		return "ANONYMOUS", true
	}
	return target.SASL.User, true
}

// softwareVersion is a version as brokers accept it.
func softwareVersion(v string) string {
	if v == "" {
		return "dev"
	}
	b := []byte(v)
	for i, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '.' {
			b[i] = '-'
		}
	}
	return "v" + string(b)
}

func codec(compression string) kgo.CompressionCodec {
	switch compression {
	case "gzip":
		return kgo.GzipCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "lz4":
		return kgo.Lz4Compression()
	case "zstd":
		return kgo.ZstdCompression()
	}
	return kgo.NoCompression()
}

func mechanism(cfg Config) (sasl.Mechanism, error) {
	s := cfg.Target.SASL
	switch s.Mechanism {
	case "":
		return nil, nil
	case scenarios.Plain:
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism(), nil
	case scenarios.ScramSHA256:
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha256Mechanism(), nil
	case scenarios.ScramSHA512:
		return scram.Auth{User: s.User, Pass: s.Password}.AsSha512Mechanism(), nil
	case scenarios.MSKIAM:
		if cfg.Credentials == nil {
			return nil, errors.New("kafka: msk_iam needs AWS credentials")
		}
		return aws.ManagedStreamingIAM(func(ctx context.Context) (aws.Auth, error) {
			c, err := cfg.Credentials.Retrieve(ctx)
			if err != nil {
				return aws.Auth{}, errors.New("no AWS credentials")
			}
			return aws.Auth{AccessKey: c.AccessKeyID, SecretKey: c.SecretAccessKey, SessionToken: c.SessionToken, UserAgent: ClientID}, nil
		}), nil
	}
	return nil, fmt.Errorf("kafka: unknown SASL mechanism %q", s.Mechanism)
}

// dialer returns how connections are opened.
func dialer(cfg Config) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	dial := (&net.Dialer{Timeout: connectWait}).DialContext
	switch t := cfg.Target.TLS; {
	case cfg.Dial != nil:
		dial = cfg.Dial
	case t != nil:
		c := &tls.Config{MinVersion: tls.VersionTLS12}
		if len(t.CA) > 0 {
			c.RootCAs = x509.NewCertPool()
			if !c.RootCAs.AppendCertsFromPEM(t.CA) {
				return nil, errors.New("kafka: the file of certificate authorities holds none")
			}
		}
		if len(t.Cert) > 0 {
			pair, err := tls.X509KeyPair(t.Cert, t.Key)
			if err != nil {
				return nil, errors.New("kafka: the client's certificate and key don't belong together")
			}
			c.Certificates = []tls.Certificate{pair}
		}
		dial = (&tls.Dialer{NetDialer: &net.Dialer{Timeout: connectWait}, Config: c}).DialContext
	}
	accounts := cfg.Accounts
	if accounts == nil {
		accounts = NewAccounts()
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		return accounts.connections.dial(ctx, cfg.Target, address, func() (net.Conn, error) { return dial(ctx, network, address) })
	}, nil
}
