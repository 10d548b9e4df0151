package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headroom-load/headroom/capacity/model"
	"github.com/headroom-load/headroom/capacity/sandbox"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/strict"
)

func (a app) sandbox() *cobra.Command {
	var child bool
	var seed uint64
	cmd := &cobra.Command{
		Use:   "sandbox SYSTEM",
		Short: "Keep a backend with quotas up on this machine's loopback",
		Long: fmt.Sprintf(`Sandbox serves a System file, or a ready-made System (%s),
as a GraphQL endpoint with AppSync's headers and errors, with CloudWatch,
Service Quotas and Lambda's account settings beside it and, where the System has
Kafka, a cluster on loopback (an embedded stand-in), until it is interrupted.
It prints the variables that point any AWS SDK at it.`, strings.Join(model.Names(), ", ")),
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sys, err := openSystem(args[0])
			if err != nil {
				return err
			}
			if child {
				return a.serveChild(sys, seed)
			}
			ctx, _, done := interruptible(cmd.Context())
			defer done()
			s, err := sandbox.Start(sandbox.Config{System: sys, Seed: seed})
			if err != nil {
				return failure(err)
			}
			e := s.Endpoints()
			fmt.Fprintf(a.stdout, `# sandbox %s is up; Ctrl-C ends it
# GraphQL endpoint: %s

export APPSYNC_URL=%s
export APPSYNC_API_KEY=%s
export AWS_ENDPOINT_URL=%s
export AWS_REGION=%s
export AWS_ACCESS_KEY_ID=%s
export AWS_SECRET_ACCESS_KEY=%s

# curl -i "$APPSYNC_URL" -H "x-api-key: $APPSYNC_API_KEY" -H 'content-type: application/json' \
#   -d '{"query": "%s"}'
`, sys.Name, e.GraphQL, e.GraphQL, e.APIKey, e.AWS, e.Region, e.AccessKey, e.SecretKey, sampleQuery(sys))
			if len(e.Kafka) > 0 {
				fmt.Fprintf(a.stdout, "\n# Kafka, of an embedded stand-in for a cluster\nexport KAFKA_BROKERS=%s\n", strings.Join(e.Kafka, ","))
			}
			<-ctx.Done()
			if err := s.Close(); err != nil {
				return failure(err)
			}
			return nil
		},
	}
	cmd.Flags().Uint64Var(&seed, "seed", 1, "seed of service times and keys")
	cmd.Flags().BoolVar(&child, "child", false, "print the endpoints as JSON and end when standard input closes")
	_ = cmd.Flags().MarkHidden("child")
	return cmd
}

// sampleQuery is a query that the System serves under its first operation's
// name, where it has one.
func sampleQuery(sys *model.System) string {
	if len(sys.Operations) == 0 {
		return "{ __typename }"
	}
	return fmt.Sprintf("query %s { __typename }", sys.Operations[0].Name)
}

// openSystem opens a ready-made System or a System file of this machine.
func openSystem(ref string) (*model.System, error) {
	sys, err := model.Open(ref, scenarios.OSFiles())
	var faults strict.Faults
	if errors.As(err, &faults) {
		return nil, inputFaults(faults)
	}
	if err != nil {
		return nil, &exitError{code: exitInput, err: err}
	}
	return sys, nil
}
