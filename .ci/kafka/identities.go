package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// The user that the secured listeners let in; server.properties has it for PLAIN.
const (
	user     = "viewer"
	password = "of the play"
)

// tls is the path of a file of certificates or keys.
func (i installation) tls(name string) string { return filepath.Join(i.dir, "tls", name) }

// identities makes a certificate authority, and certificates of it for the
// broker (broker.pem, with its key) and for clients (client.pem, client.key);
// stranger-ca.pem is an authority that signed none of them.
func (i installation) identities() error {
	if err := os.MkdirAll(i.tls(""), 0o755); err != nil {
		return err
	}
	ca, err := newIdentity("headroom's stories", nil)
	if err != nil {
		return err
	}
	stranger, err1 := newIdentity("a stranger", nil)
	broker, err2 := newIdentity("broker", ca)
	client, err3 := newIdentity("client", ca)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(i.tls("ca.pem"), ca.cert, 0o644),
		os.WriteFile(i.tls("stranger-ca.pem"), stranger.cert, 0o644),
		os.WriteFile(i.tls("broker.pem"), bytes.Join([][]byte{broker.key, broker.cert}, nil), 0o600),
		os.WriteFile(i.tls("client.pem"), client.cert, 0o644),
		os.WriteFile(i.tls("client.key"), client.key, 0o600),
	)
}

// identity is a key and its certificate, as PEM.
type identity struct {
	cert, key []byte
	parsed    *x509.Certificate
	private   *ecdsa.PrivateKey
}

// newIdentity makes one that by has signed; nil: an authority, by itself.
func newIdentity(name string, by *identity) (*identity, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	wanted := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	signer, key := wanted, private
	if by == nil {
		wanted.IsCA, wanted.KeyUsage = true, x509.KeyUsageCertSign
	} else {
		signer, key = by.parsed, by.private
		wanted.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		wanted.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	der, err := x509.CreateCertificate(rand.Reader, wanted, signer, &private.PublicKey, key)
	if err != nil {
		return nil, err
	}
	parsed, err1 := x509.ParseCertificate(der)
	coded, err2 := x509.MarshalPKCS8PrivateKey(private)
	return &identity{
		cert:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key:    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: coded}),
		parsed: parsed, private: private,
	}, errors.Join(err1, err2)
}

// scramUsers lets the user in by SCRAM.
func scramUsers() error {
	return asked(func(ctx context.Context, admin *kadm.Client) error {
		for _, mechanism := range []kadm.ScramMechanism{kadm.ScramSha256, kadm.ScramSha512} { // one user, one at a time
			done, err := admin.AlterUserSCRAMs(ctx, nil, []kadm.UpsertSCRAM{{User: user, Mechanism: mechanism, Iterations: 4096, Password: password}})
			if err := errors.Join(err, done.Error()); err != nil {
				return err
			}
		}
		return nil
	})
}
