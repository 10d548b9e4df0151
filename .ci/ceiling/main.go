// Ceiling sends requests to a server in a closed loop with 64 connections for a
// number of seconds, as calibrate does, with outcome, tokens and histograms on.
// It is run by make bench-peers beside wrk and vegeta.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/headroom-load/headroom/capacity/calibration"
	"github.com/headroom-load/headroom/scenarios"
	"github.com/headroom-load/headroom/scenarios/graphql"
	"github.com/headroom-load/headroom/scenarios/load"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: ceiling URL SECONDS")
	}
	seconds, err := strconv.ParseFloat(os.Args[2], 64)
	if err != nil {
		log.Fatal(err)
	}
	rate, err := calibration.Ceiling(context.Background(), calibration.Config{
		Driver: func(l scenarios.Load, inFlight int) (load.Driver, error) {
			return graphql.New(graphql.Config{Target: scenarios.GraphQL{Endpoint: os.Args[1]}, Load: l, InFlight: inFlight, UserAgent: "headroom/bench"})
		},
		// A quarter more goes by before it counts.
		Steps: calibration.Steps{Connections: 64, Ceiling: time.Duration(seconds * 0.8 * float64(time.Second))},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.0f requests/s\n", rate)
}
