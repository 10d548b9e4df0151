package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// inputWrong is the exit code of a run that ended before it sent anything.
const inputWrong = 104

// refusals lists what is wrong before the load begins, and what headroom says.
var refusals = []struct{ name, target, topic, record, says string }{
	{"unknown topic", brokers(address), "nowhere", "", "there is no topic nowhere"},
	{"record too large", brokers(address), "narrow", "", "records of up to 200 bytes are larger than topic narrow takes: its max.message.bytes is 200"},
	{"unreachable broker", brokers("127.0.0.1:1"), "ready", "", "127.0.0.1:1: connection refused"},
	{"wrong password, plain", wrong("plain"), "ready", "", "the credentials are wrong"},
	{"wrong password, scram", wrong("scram-sha-256"), "ready", "", "the credentials are wrong"},
	{"no SASL", brokers(addressSASL), "ready", "", "does it want TLS, or SASL?"},
	{"no TLS", brokers(addressTLS), "ready", "", "the broker speaks TLS: set target.kafka.tls"},
	{"a stranger's authority", brokers(addressTLS) + ", " + tlsKeys("stranger-ca.pem"), "ready", "", "the broker's certificate is not trusted: x509: certificate signed by unknown authority"},
	{"no client certificate", brokers(addressTLS) + ", tls: {ca: tls/ca.pem}", "ready", "", "certificate"},
	{"no rows", brokers(address), "ready", "rows: keys.csv, key: {rows: id}, ", "keys.csv"},
}

func wrong(mechanism string) string {
	return brokers(addressSASL) + ", " + strings.Replace(saslKeys(mechanism), "KAFKA_PASSWORD", "WRONG_PASSWORD", 1)
}

// refused tells of runs that must end with one clear error and send nothing.
func refused(dir string) error {
	err := errors.Join(os.WriteFile(filepath.Join(dir, "keys.csv"), []byte("id\n"), 0o644),
		topic("narrow", 1), largest("narrow", 200))
	if err != nil {
		return err
	}
	var failed []error
	for _, r := range refusals {
		file, out := filepath.Join(dir, "refused.yaml"), filepath.Join(dir, "refused")
		text := fmt.Sprintf(`version: 1
name: refused
target: {kafka: {%s}}
loads:
  - name: views
    profile: [{stage: steady, rate: 10/s, for: 1s}]
    operations:
      - {name: view, kafka: {topic: %s, %svalue: {bytes: 200B}}}
`, r.target, r.topic, r.record)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		c := headroom("run", file, "--out", out, "--quiet")
		said, _ := c.CombinedOutput()
		_, sent := os.Stat(out)
		if c.ProcessState.ExitCode() != inputWrong || !strings.Contains(string(said), r.says) || strings.Count(string(said), "error") > 1 || sent == nil {
			failed = append(failed, fmt.Errorf("%s: exit code %d, record: %t, said %q", r.name, c.ProcessState.ExitCode(), sent == nil, said))
			continue
		}
		fmt.Printf("ok    refused: %s: %s", r.name, said)
	}
	return errors.Join(failed...)
}
