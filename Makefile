# What a person types. Every target does the set-up it needs; slow one-time steps say so and are cached.
.DEFAULT_GOAL := help
.PHONY: api-docs help setup build demo demo-polyglot serve test check fmt clippy doc deny bench ledger image bless

CARGO ?= cargo
KRT   := $(or $(CARGO_TARGET_DIR),target)/debug/krt

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

setup: ## Install what builds guests (idempotent)
	@scripts/setup.sh

build: setup ## Build the krt binary (the first time: some minutes for the dependencies)
	@scripts/step.sh "building krt" $(CARGO) build --workspace --bin krt

demo: build ## Run the classificator of the documentation and call it over gRPC
	@scripts/demo.sh $(KRT)

demo-polyglot: build ## The same with its nodes in Python, TypeScript, Go, C and Rust
	@scripts/demo.sh $(KRT) examples/classificator-polyglot

serve: build ## Run the classificator on 127.0.0.1:9000 (gRPC) and :8080 (web) until Ctrl-C
	$(KRT) build examples/classificator
	$(KRT) run examples/classificator

test: setup ## Run all tests
	@scripts/nats-server.sh 2.15.2 >/dev/null
	@scripts/nats-server.sh debian >/dev/null
	@scripts/ferretdb.sh >/dev/null
	@scripts/interop.sh >/dev/null
	@scripts/kubernetes-validate.sh >/dev/null
	@scripts/registry.sh >/dev/null
	@scripts/cluster.sh kube-apiserver >/dev/null
	@scripts/node.sh >/dev/null
	@scripts/kube-router.sh >/dev/null
	@scripts/step.sh "building the tests" $(CARGO) test --workspace --no-run --quiet
	$(CARGO) test --workspace

check: fmt clippy doc ## Format, lints and documentation, all without a warning

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --quiet

api-docs: ## The SDKs' API documentation, each by its ecosystem's tool (wants doxygen)
	@scripts/api-docs.sh

deny: ## Licences, bans and sources of all dependencies (installs cargo-deny the first time)
	@scripts/deny.sh

bench: setup ## Benchmarks side by side; prints ratios and rewrites benches/RESULTS.md
	@scripts/step.sh "building the benchmarks (release)" $(CARGO) build --release --workspace --bin krt --bin benches
	$${CARGO_TARGET_DIR:-target}/release/benches

ledger: setup ## 20 000 requests while hosts, entrypoints and servers are killed: every effect counted (REQUESTS=, SEED=)
	@scripts/nats-server.sh 2.15.2 >/dev/null
	KRT_LEDGER_REQUESTS=$(or $(REQUESTS),20000) KRT_LEDGER_SEED=$(or $(SEED),1) \
	  $(CARGO) test --workspace --test nats_ledger -- --nocapture

image: ## krt's container image as an OCI archive, without a daemon: target/krt-image.tar; says its size
	@scripts/step.sh "building krt (release)" $(CARGO) build --release --workspace --bin krt
	@scripts/image.sh $(or $(CARGO_TARGET_DIR),target)/krt-image.tar

bless: ## Rewrite goldens and generated files from what the code says now; review the diff
	BLESS=1 $(CARGO) test --workspace --test goldens --test schema --test guest_conformance --test tree_generated --test cluster_render --test cluster_chart --test cluster_operator
