# The few commands of this repository. `make` alone lists them.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

TARGET := $(or $(CARGO_TARGET_DIR),target)
DENY_VERSION := 0.20.2
DENY := $(TARGET)/tools/bin/cargo-deny

# Tests start real servers on loopback addresses; more at a time only makes them wait for each other.
export RUST_TEST_THREADS ?= 4

.PHONY: help
help: ## Lists these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: up
up: servers ## Builds, starts examples/cart.yaml and shows it; Ctrl-C stops it
	cargo build --release --locked --package redoubt-cli
	@$(TARGET)/release/redoubt up -f examples/cart.yaml

.PHONY: up-cluster
up-cluster: servers ## Builds, starts examples/cluster.yaml and shows it; Ctrl-C stops it
	cargo build --release --locked --package redoubt-cli
	@$(TARGET)/release/redoubt up -f examples/cluster.yaml

.PHONY: test
test: servers clients walls ## Runs every test
	cargo test --workspace --locked --no-fail-fast
	@echo "left out: the tests that need Kubernetes; make test-kubernetes runs them" >&2

.PHONY: test-versions
test-versions: servers ## Runs the core of the tests on Redis 6.2 and 8.0, Valkey 8.1 and 9.1
	@.ci/install curl unzip
	@mkdir -p $(TARGET) && cargo xtask servers >$(TARGET)/servers.tsv
	@failed=; while IFS=$$'\t' read -r name path version; do \
	    echo "== $$name ($$version)"; \
	    REDOUBT_TEST_SERVER=$$path cargo test --locked -p redoubt-redis -p redoubt-serverconf -p redoubt-slots --test real </dev/null && \
	    REDOUBT_TEST_SERVER=$$path cargo test --locked -p redoubt-agent --lib metrics </dev/null && \
	    REDOUBT_REDIS_SERVER=$$path cargo test --locked -p redoubt-cli --test e2e -- $(CORE) </dev/null || failed+=" $$name"; \
	done <$(TARGET)/servers.tsv; \
	[ -z "$$failed" ] || { echo "failed on:$$failed" >&2; exit 1; }

# What has to hold on every server: a beginning, a killed master, a hand-over, everything killed at once, an empty master.
CORE := $(addprefix promises::,death::a_killed_master death::killed_servers in_a_row::a_pure_cache \
    handover::no_client shards::a_killed_master shards::a_hand_over shards::all_nodes shards::without_persistence)

# Programs of a lab that come from Debian. Their services are not wanted: a lab starts its own.
LAB_PROGRAMS := cc busybox conntrack containerd etcd ip iptables mkfs.xfs redis-cli redis-server runc /usr/lib/cni/ptp

.PHONY: lab
lab: compiler
	@.ci/install $(LAB_PROGRAMS)
	@cargo build --quiet --locked --package redoubt-lab

.PHONY: lab-up
lab-up: lab ## Starts a Kubernetes of LAB_NODES (3) nodes on this machine, as root; prints how to reach it
	@$(TARGET)/debug/lab up

.PHONY: lab-down
lab-down: lab ## Ends it and leaves nothing behind
	@$(TARGET)/debug/lab down

# Makes $(1) on the cluster that KUBECONFIG names, as it is, with the image that REDOUBT_TEST_IMAGE names. Without one, a lab is
# started for that and removed again; two of these take turns, for they would start the same one. Everything is built before it
# starts, $(2) by cargo: the machine is busy enough then.
define on_a_cluster
	@if [ -n "$${KUBECONFIG:-}" ]; then exec $(MAKE) --no-print-directory $(1); fi; \
	$(MAKE) --no-print-directory lab; \
	export LAB_INSTANCE=$${LAB_INSTANCE:-1} LAB_NODES=3; \
	exec 9</var/lib; flock 9; \
	if ! lacks=$$($(TARGET)/debug/lab doctor 2>&1); then echo "left out: what needs Kubernetes; $$lacks" >&2; exit 0; fi; \
	trap '$(TARGET)/debug/lab down' EXIT; \
	$(TARGET)/debug/lab down; \
	$(TARGET)/debug/lab build; \
	$(TARGET)/debug/lab image redoubt; \
	cargo $(2); \
	eval "$$($(TARGET)/debug/lab up 9<&-)"; \
	REDOUBT_TEST_IMAGE=redoubt:lab $(MAKE) --no-print-directory $(1) 9<&-
endef

.PHONY: test-kubernetes
test-kubernetes: ## Runs the tests that need Kubernetes, on a lab of its own or on what KUBECONFIG names
	$(call on_a_cluster,test-cluster,test --locked --no-run $(KUBERNETES_TESTS))

KUBERNETES_TESTS := --package redoubt-lab --package redoubt-cli --test kubernetes
# Every wait of a test has a limit of its own; this one is for what hangs outside of them.
TEST_CLUSTER_LIMIT := 45m
# Each has seven pods; on a machine that also is the cluster, more of them only wait for each other.
TESTS_AT_ONCE ?= 2

.PHONY: test-cluster
test-cluster:
	timeout $(TEST_CLUSTER_LIMIT) cargo test --locked --no-fail-fast $(KUBERNETES_TESTS) -- --test-threads $(TESTS_AT_ONCE)

.PHONY: lint
lint: compiler $(DENY) ## Checks format, lints, licenses and banned crates; warnings are errors
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	cargo clippy $(KUBERNETES_TESTS) --locked -- --deny warnings
	$(DENY) --locked check bans licenses sources

# A cargo-deny that is installed already serves as well. It runs for a second, so it is built without optimisation.
$(DENY):
	@mkdir -p $(@D)
	if command -v cargo-deny >/dev/null; then \
	    ln -s "$$(command -v cargo-deny)" $@; \
	else \
	    cargo install --locked --debug --root $(TARGET)/tools cargo-deny --version $(DENY_VERSION); \
	fi

.PHONY: bench-agent
bench-agent: servers ## Measures a scrape and the agent at rest, beside prometheus-redis-exporter
	@.ci/install prometheus-redis-exporter
	cargo bench --locked --package redoubt-cli --bench agent

.PHONY: bench-failover
bench-failover: servers ## Measures write gaps of failovers beside plain Sentinel: medians of ROUNDS (10)
	cargo bench --locked --package redoubt-cli --bench failover -- --rounds $(or $(ROUNDS),10)

.PHONY: bench-slots
bench-slots: servers ## Measures how fast slots move beside redis-cli --cluster: medians of ROUNDS (5), ONLY
	cargo bench --locked --package redoubt-cli --bench slots -- --rounds $(or $(ROUNDS),5) $(addprefix --only ,$(ONLY))

.PHONY: bench-kubernetes
bench-kubernetes: ## Measures creation, write gaps and the operator at rest on a lab: ROUNDS (3), TENANTS (30), ONLY
	$(call on_a_cluster,bench-cluster,bench --locked --no-run $(KUBERNETES_BENCH))

KUBERNETES_BENCH := --package redoubt-cli --bench kubernetes

.PHONY: bench-cluster
bench-cluster:
	cargo bench --locked $(KUBERNETES_BENCH) -- \
	    --rounds $(or $(ROUNDS),3) --tenants $(or $(TENANTS),30) $(addprefix --only ,$(ONLY))

.PHONY: simulate
simulate: compiler ## Runs the engine through new random histories of faults: HISTORIES (5000)
	REDOUBT_SIM_HISTORIES=$(or $(HISTORIES),5000) \
	    cargo test --locked --package redoubt-engine --profile simulate --lib -- --nocapture sim::the_laws_hold

.PHONY: generate
generate: ## Writes the files made from the types: schema and field reference
	cargo xtask generate

.PHONY: servers
servers: compiler
	@.ci/install redis-server redis-sentinel redis-cli

# Packet filters, for the tests that cut members off from each other. Those take root, and say so where it is missing.
.PHONY: walls
walls:
	@.ci/install nft

# redis-py and ioredis, for the tests that ride with them.
.PHONY: clients
clients:
	@.ci/install pip3 npm
	@crates/cli/tests/clients/install $(TARGET)/clients

.PHONY: compiler
compiler:
	@.ci/install cc
