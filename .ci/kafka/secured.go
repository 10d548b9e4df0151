package main

import (
	"errors"
	"fmt"
	"time"
)

// secured lists a short run for each way of being let in.
var secured = []story{
	letIn("tls", brokers(addressTLS)+", "+tlsKeys("ca.pem")),
	letIn("sasl-plain", brokers(addressSASL)+", "+saslKeys("plain")),
	letIn("sasl-scram-256", brokers(addressSASL)+", "+saslKeys("scram-sha-256")),
	letIn("sasl-scram-512", brokers(addressSASL)+", "+saslKeys("scram-sha-512")),
	letIn("tls-and-scram", brokers(addressBoth)+", "+tlsKeys("ca.pem")+", "+saslKeys("scram-sha-512")),
}

func letIn(name, target string) story {
	return story{name: name, rate: 500, length: 3 * time.Second, target: target, anyVerdict: true, check: func(o *told) error {
		return errors.Join(o.conserved(), o.readBack())
	}}
}

// tlsKeys is the client's certificate, beside the authorities that it believes.
// Stories' files lie beside a link to the certificates.
func tlsKeys(ca string) string {
	return fmt.Sprintf("tls: {ca: tls/%s, cert: tls/client.pem, key: tls/client.key}", ca)
}

func saslKeys(mechanism string) string {
	return fmt.Sprintf(`sasl: {mechanism: %s, user: %s, password: "${KAFKA_PASSWORD}"}`, mechanism, user)
}
