package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/observe"
	"github.com/headroom-load/headroom/capacity/observe/cloudwatch"
	"github.com/headroom-load/headroom/capacity/observe/kafkabroker"
	"github.com/headroom-load/headroom/capacity/quotas"
	"github.com/headroom-load/headroom/capacity/quotas/servicequotas"
	"github.com/headroom-load/headroom/capacity/sandbox"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/graphql"
	"github.com/headroom-load/headroom/scenarios/kafka"
	"github.com/headroom-load/headroom/scenarios/load"
)

// target is what a run talks to: the only place where drivers, sources and
// look-ups are chosen.
type target struct {
	name    string // for readers, without secrets
	sandbox bool
	graphql scenarios.GraphQL
	kafka   scenarios.Kafka
	// accounts are what the cluster's brokers count of all the Kafka loads.
	accounts *kafka.Accounts
	// aws is how the account's quotas and metrics are reached; nil: not at all.
	aws   *aws.Config
	close func() error
}

// connect reaches the scenario's target: it starts the sandbox, or finds the
// AWS configuration of the account.
func (a app) connect(ctx context.Context, p *prepared) (*target, error) {
	s := p.scenario
	if p.system != nil {
		var e sandbox.Endpoints
		child, err := a.startChild("sandbox", &e, "sandbox", "--child", "--seed", strconv.FormatUint(p.sandboxSeed, 10), p.systemRef)
		if err != nil {
			return nil, err
		}
		return &target{
			name: "sandbox " + s.Target.Sandbox, sandbox: true,
			graphql: scenarios.GraphQL{Endpoint: e.GraphQL, Auth: scenarios.Auth{APIKey: e.APIKey}},
			kafka:   scenarios.Kafka{Brokers: e.Kafka}, accounts: kafka.NewAccounts(),
			aws: sandboxConfig(e), close: child.close,
		}, nil
	}
	t := &target{name: targetName(s.Target), close: func() error { return nil }}
	if s.Target.GraphQL != nil {
		t.graphql = *s.Target.GraphQL
	}
	if s.Target.Kafka != nil {
		t.kafka, t.accounts = *s.Target.Kafka, kafka.NewAccounts()
	}
	if s.Target.AWS.Region == "" && !t.graphql.Auth.IAM && t.kafka.SASL.Mechanism != scenarios.MSKIAM {
		return t, nil
	}
	var options []func(*config.LoadOptions) error
	if s.Target.AWS.Region != "" {
		options = append(options, config.WithRegion(s.Target.AWS.Region))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, failure(fmt.Errorf("AWS configuration: %w", err))
	}
	t.aws = &c
	return t, nil
}

// driver makes the driver of a load.
func (t *target) driver(l scenarios.Load, inFlight int) (load.Driver, error) {
	if l.Kafka() {
		c := kafka.Config{Target: t.kafka, Load: l, InFlight: inFlight, Version: tool().Version, Accounts: t.accounts}
		if t.aws != nil {
			c.Credentials = t.aws.Credentials
		}
		d, err := kafka.New(context.Background(), c)
		if err != nil {
			return nil, &exitError{code: exitInput, err: fmt.Errorf("nothing was sent: load %s: %w", l.Name, err)}
		}
		return d, nil
	}
	c := graphql.Config{Target: t.graphql, Load: l, InFlight: inFlight, UserAgent: userAgent()}
	if t.graphql.Auth.IAM {
		c.Credentials, c.Region = t.aws.Credentials, t.aws.Region
	}
	return graphql.New(c)
}

// brokers returns who reads the brokers' side of the scenario's Kafka loads, or
// nil where it has none.
func (t *target) brokers(s *scenarios.Scenario) (*kafkabroker.Brokers, error) {
	if !slices.ContainsFunc(s.Loads, scenarios.Load.Kafka) {
		return nil, nil
	}
	c := kafka.Config{Target: t.kafka, Version: tool().Version, Accounts: t.accounts}
	if t.aws != nil {
		c.Credentials = t.aws.Credentials
	}
	return kafkabroker.New(c, s)
}

// source returns where the cloud's series are read from, or nil.
func (t *target) source() observe.Source {
	if t.aws == nil || t.aws.Region == "" {
		return nil
	}
	return cloudwatch.New(*t.aws)
}

// remembers returns where the target's past is read from, or nil: a sandbox has
// none.
func (t *target) remembers() observe.Source {
	if t.sandbox {
		return nil
	}
	return t.source()
}

// applied returns where the account's applied quotas are looked up, or nil.
func (t *target) applied() quotas.Applied {
	if t.aws == nil || t.aws.Region == "" {
		return nil
	}
	return servicequotas.New(*t.aws)
}

// serveChild is the sandbox that connect starts as a child. It outlives a Ctrl-C in the
// terminal, which goes to parent and child alike: the parent still asks it what
// it counted.
func (a app) serveChild(sys *model.System, seed uint64) error {
	signal.Ignore(os.Interrupt)
	s, err := sandbox.Start(sandbox.Config{System: sys, Seed: seed})
	if err != nil {
		return failure(err)
	}
	if err := json.NewEncoder(a.stdout).Encode(s.Endpoints()); err != nil {
		return failure(errors.Join(err, s.Close()))
	}
	_, err = io.Copy(io.Discard, a.stdin)
	return errors.Join(err, s.Close())
}

// sandboxConfig is the AWS configuration that reaches a sandbox.
func sandboxConfig(e sandbox.Endpoints) *aws.Config {
	return &aws.Config{
		Region: e.Region,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: e.AccessKey, SecretAccessKey: e.SecretKey, Source: "sandbox"}, nil
		}),
		BaseEndpoint: aws.String(e.AWS),
	}
}

// targetName says for readers where the load goes, without secrets.
func targetName(t scenarios.Target) string {
	var names []string
	if t.GraphQL != nil {
		name := redactURL(t.GraphQL.Endpoint)
		if t.GraphQL.HTTP2 {
			name += " by HTTP/2"
		}
		names = append(names, name)
	}
	if t.Kafka != nil {
		names = append(names, "kafka "+strings.Join(t.Kafka.Brokers, ", "))
	}
	return strings.Join(names, " and ")
}

// redactURL prints a URL without its user, query and fragment, where secrets
// may hide.
func redactURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the endpoint"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
