# Run make without a target to see what there is.
GO ?= go

.DEFAULT_GOAL := help
.PHONY: help build demo test check race honesty arrivals fuzz bench bench-peers bench-kafka interop kafka-up kafka-down kafka-stories schema clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/headroom
	$(GO) build -trimpath -o bin/headroom ./cmd/headroom

# A run that this machine stalled is INVALID (120), and is rehearsed again.
rehearse = for try in 1 2 3 4 5 6; do \
	echo "bin/headroom run $(1) --out $(2)"; bin/headroom run $(1) --out $(2); code=$$?; \
	[ $$code -eq 120 ] || exit $$code; done; exit $$code

demo: build ## rehearse two ready-made scenarios on the embedded sandbox, compare them, print the reports' paths
	@$(call rehearse,premiere,runs/before)
	@$(call rehearse,premiere-cached,runs/after)
	bin/headroom compare runs/before runs/after
	@echo
	@echo "reports: runs/before/report.html  runs/after/report.html"

test: ## run all tests; needs Go alone
	$(GO) test -timeout 20m ./...
	$(GO) test -tags synctests -run Virtual ./scenarios/kafka ./capacity/observe/kafkabroker ./capacity/sandbox/broker

check: bin/staticcheck bin/gofumpt ## formatting, vet, staticcheck, a tidy go.mod, an up-to-date schema
	@out=$$(bin/gofumpt -l cmd scenarios capacity reports); if [ -n "$$out" ]; then echo "run gofumpt -w on:"; echo "$$out"; exit 1; fi
	$(GO) vet ./...
	bin/staticcheck ./...
	$(GO) mod tidy -diff

race: ## run the tests of everything concurrent under the race detector
	$(GO) test -race -short ./scenarios/... $(addprefix ./capacity/,calibration observe/... quotas/... record rehearsal sandbox/...)

honesty: ## hold the printed intervals against the truth of 2,000 random Systems; takes minutes
	$(GO) test ./capacity -run TestHonesty -v -systems 2000

ARRIVALS ?=

arrivals: ## hold what arrives at a server against the plan, request by request; needs Linux and a machine that does nothing else
	$(GO) test ./cmd/headroom -run 'TestArrivalsAtTheServer/($(ARRIVALS))' -v -arrivals

fuzz: ## fuzz every parser for FUZZTIME (10s each)
	.ci/fuzz $(or $(FUZZTIME),10s)

bench: ## run the benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./scenarios/... ./capacity/... ./reports/...

BENCH ?=

bench-peers: build ## measure every goal beside vegeta, k6, wrk and h2load (the last two from the system); three quarters of an hour, or BENCH='-rounds 1 -long 10'
	GOBIN=$(CURDIR)/bin $(GO) install go.k6.io/k6@v1.8.1
	cd .ci/bench && $(GO) build -o ../../bin/ tool && $(GO) build -o ../../bin/bench .
	$(GO) build -o bin/ceiling ./.ci/ceiling
	bin/bench -bin bin $(BENCH)

bench-kafka: build kafka-up ## measure Kafka load beside kafka-producer-perf-test, against a real broker; takes minutes
	bin/kafka bench; code=$$?; bin/kafka down; exit $$code

interop: build ## run against a GraphQL server and AWS SDKs written by others; needs node and npm
	cd .ci/interop && npm ci --ignore-scripts --no-audit --no-fund && node interop.mjs

KAFKA ?= 4.x

kafka-up: ## start a real Kafka broker on loopback, KAFKA=4.x or 3.9; needs java 17 and mvn
	$(GO) build -o bin/kafka ./.ci/kafka
	bin/kafka up $(KAFKA)

kafka-down: ## stop that broker and delete its data
	$(GO) build -o bin/kafka ./.ci/kafka
	bin/kafka down

kafka-stories: build kafka-up ## hold runs against that broker to what it holds itself; needs kcat, takes minutes
	bin/kafka stories; code=$$?; bin/kafka down; exit $$code

schema: ## write the JSON Schema of scenario files anew
	$(GO) generate ./scenarios

clean: ## remove what was built and rehearsed
	rm -rf bin runs

bin/staticcheck bin/gofumpt: .tools/go.mod .tools/go.sum
	cd .tools && $(GO) build -o ../bin/ tool
