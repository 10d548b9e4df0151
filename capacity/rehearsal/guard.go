package rehearsal

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/headroom-load/headroom/scenarios"
)

// Guard refuses a target that the scenario does not name. Loopback hosts, the
// hosts written out in the scenario and those in allow are let through; a host
// that came from an environment variable is not named, because the same file
// would reach somewhere else tomorrow.
func Guard(s *scenarios.Scenario, allow []string) error {
	if g := s.Target.GraphQL; g != nil {
		u, err := url.Parse(g.Endpoint)
		if err != nil {
			return err
		}
		if err := guard(u.Hostname(), g.Literal, "target.graphql.endpoint", allow); err != nil {
			return err
		}
	}
	if k := s.Target.Kafka; k != nil {
		for i, address := range k.Brokers {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return err
			}
			if err := guard(host, k.Literal[i], "target.kafka.brokers", allow); err != nil {
				return err
			}
		}
	}
	return nil
}

func guard(host string, named bool, key string, allow []string) error {
	host = strings.ToLower(host)
	ip := net.ParseIP(host)
	switch {
	case named, host == "localhost", strings.HasSuffix(host, ".localhost"), ip != nil && ip.IsLoopback():
		return nil
	case slices.ContainsFunc(allow, func(a string) bool { return strings.EqualFold(a, host) }):
		return nil
	}
	return fmt.Errorf("the scenario doesn't name the host %s that it would send load to: write it in %s, or pass --allow-host %s", host, key, host)
}
