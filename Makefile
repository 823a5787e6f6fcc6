# The project's commands. `make help` lists them. Everything that a command needs, its script installs.
SHELL := /bin/bash
.DEFAULT_GOAL := help

export XDG_CACHE_HOME ?= $(HOME)/.cache
# Build output lives outside the work tree, so that a fresh clone starts warm.
export CARGO_TARGET_DIR ?= $(XDG_CACHE_HOME)/mediaorigin/target
# One optimised profile for everything that runs here; releases use `release`.
export MEDIAORIGIN_PROFILE ?= ci

.PHONY: help run test up down bench soak generate lint sbom images plugin

help:           ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run:            ## a live stream in and out of an origin, without a cluster (RUN_SECONDS=20 stops by itself)
	@tests/sample/run

test:           ## everything: format, lints, unit tests, scenarios, end to end on a kind cluster
	@tests/run-all

up:             ## kind cluster + chart + examples/live.yaml + sample stream
	@tests/sample/up

down:           ## stop the sample stream and delete the cluster
	@tests/sample/down

bench:          ## what requests cost beside nginx and Varnish, as ratios; delays; storms; what a fleet costs (BENCH_ONLY=fleet)
	@tests/bench/run

soak:           ## what `make test` does for seconds, for SOAK_SECONDS (600) each, and what takes the whole machine (SOAK_ONLY=processes or cluster); prints its seeds
	@tests/soak/run

generate:       ## rewrite generated files: CRD YAML, chart copy, golden plans
	@UPDATE=1 cargo test -q --profile $(MEDIAORIGIN_PROFILE) -p mediaorigin-operator -p mediaorigin-tests generated_

lint:           ## format and clippy, as in `make test`
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

sbom:           ## what operator and origin are built from, as CycloneDX JSON
	@deploy/sbom

images:         ## container images of operator and origin for the test cluster, from this checkout
	@tests/images

plugin:         ## install `kubectl mediaorigin` where cargo puts programs (docs/kubectl-plugin.md)
	@cargo install --locked --path kubectl
