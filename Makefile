# What people type. `make help` lists it.
SHELL := /bin/bash -o pipefail
LATENCIFY_CACHE ?= $(HOME)/.cache/latencify
# Outside the tree, so that dependencies are built once a machine, whatever the clone.
CARGO_TARGET_DIR ?= $(LATENCIFY_CACHE)/target
export LATENCIFY_CACHE CARGO_TARGET_DIR
# promtool, when set-up had to bring it.
export PATH := $(PATH):$(LATENCIFY_CACHE)/bin

SCRIPTS = deploy/setup deploy/kafka/run .ci/run

.DEFAULT_GOAL := help
.PHONY: help setup run build test soak bench fleet-bench lint deny format

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: ## everything that building, running and testing needs; skips what is there
	@deploy/setup

run: ## a small CDN on this machine: control, three edges, an origin; Ctrl-C ends it
	@deploy/setup build geoip
	@echo "==> Build (the first time takes minutes: dependencies)"
	@cargo build --workspace --bins
	@"$(CARGO_TARGET_DIR)/debug/latencify" dev $(ARGS)

build: ## the programs, for development
	cargo build --workspace --bins

test: setup ## every test, with real processes and a real Kafka
	@echo "==> Build"
	cargo build --workspace --bins
	@echo "==> Tests"
	cargo test --workspace $(ARGS)

soak: setup ## many simulated fleets (SEEDS=100000), then the suites of the fleet and of faults again and again (ROUNDS=10)
	cargo build --release --workspace --example simulate
	"$(CARGO_TARGET_DIR)/release/examples/simulate" 1..$$(($(or $(SEEDS),100000) + 1))
	cargo build --workspace --bins
	@for round in $$(seq $(or $(ROUNDS),10)); do echo "==> Round $$round"; \
	  cargo test -p latencify-tests --test fleet --test crash --test events --test faults --test control_faults \
	  --test restart || exit 1; done

bench: setup ## beside nginx, varnish, trafficserver and haproxy (ARGS='--works hit-1k --rounds 3' for parts); purges, attacks, idle connections
	@deploy/setup bench
	cargo build --release --workspace --bins --example purge_latency --example idle_connections --example attacks \
	  --example purge_by_tag
	"$(CARGO_TARGET_DIR)/release/examples/purge_latency"
	"$(CARGO_TARGET_DIR)/release/examples/idle_connections"
	"$(CARGO_TARGET_DIR)/release/examples/attacks"
	"$(CARGO_TARGET_DIR)/release/latencify-bench" run $(ARGS)

fleet-bench: setup ## what 10, 100 and 1,000 played edges ask of one control (SIZES='100 500' for others)
	cargo build --release --workspace --bins --example many_edges
	"$(CARGO_TARGET_DIR)/release/examples/many_edges" $(SIZES)

lint: ## format, clippy, documentation, shell scripts, licences and advisories
	@deploy/setup build tools
	cargo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items --quiet
	@if command -v shellcheck >/dev/null; then echo shellcheck $(SCRIPTS); shellcheck $(SCRIPTS); \
	  else echo "shellcheck is not here: scripts not checked (deploy/setup tools)"; fi
	@if command -v cargo-deny >/dev/null; then $(MAKE) -s deny; \
	  else echo "cargo-deny is not here: licences and advisories not checked (deploy/setup tools)"; fi

deny: ## licences, bans, sources; advisories when their database can be reached
	cargo deny --log-level error check bans licenses sources
	@if cargo deny --log-level off fetch db 2>/dev/null; then cargo deny --log-level error check advisories; \
	  else echo "the advisory database can't be reached: advisories not checked"; fi

format: ## rewrites the code in the house's format
	cargo fmt
