# Every target installs what it needs first; nothing has to be prepared by hand.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
NODE_BIN := $(CURDIR)/node_modules/node/bin
export PATH := $(NODE_BIN):$(CURDIR)/node_modules/.bin:$(PATH)
NODE := node --disable-warning=ExperimentalWarning
UNIT_TESTS = $(shell find test/unit -name '*.test.ts' | sort)
# Of the cluster that cluster-up and cluster-down mean.
NAME ?= dev
PACKAGE_TESTS = $(shell find test/package -name '*.test.ts' | sort)
INTEROP_TESTS = $(shell find test/interop -name '*.test.ts' | sort)
# The others need a whole cluster: see test/cluster/README.md.
API_SERVER_TESTS = $(filter-out $(addprefix test/cluster/,bare-% mesh-% removal%),$(shell find test/cluster -name '*.test.ts' | sort))
NETNS_TESTS = $(shell find test/netns -name '*.test.ts' | sort)

.PHONY: help setup demo check test test-unit test-netns test-package test-interop kubernetes test-api-server test-cluster cluster-up cluster-down errors-page crds format

help: ## Lists the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: node_modules/.ambit-installed ## Installs Node 26, the npm packages and the system tools
	@scripts/system-tools.sh tests

node_modules/.ambit-installed: package.json package-lock.json
	@scripts/npm-install.sh
	@touch $@

demo: node_modules/.ambit-installed ## Two nodes and a shop on this machine: plain text, then mutual TLS, policy, failover (KEEP=1 leaves it up)
	@scripts/system-tools.sh
	@$(NODE) demo/demo.ts

check: setup ## Format, lint, types and the rules of the architecture
	biome check --error-on-warnings .
	tsc -p .
	$(NODE) --test test/architecture.test.ts

test: test-unit test-netns test-package test-interop ## Every test that needs no cluster

test-unit: setup ## Tests that need no network namespace
	@scripts/run-ring.sh 2 $(UNIT_TESTS)

test-netns: setup ## Tests in real network namespaces, and the demo
	@scripts/run-ring.sh 1 $(NETNS_TESTS)

test-package: setup ## Tests of the image and the npm package as they are given to users
	@scripts/run-ring.sh 1 $(PACKAGE_TESTS)

test-interop: setup ## Tests against Envoy, nghttp2, node:http2; with Go also h2spec, Helm and Istio's own message types
	@scripts/run-interop.sh $(INTEROP_TESTS)

kubernetes: setup ## Builds Kubernetes, etcd and CoreDNS from their Go modules, once for each version
	@test/cluster/testbed/build.sh >/dev/null

test-api-server: kubernetes ## Tests with a real API server that has no nodes
	@scripts/run-ring.sh 1 $(API_SERVER_TESTS)

test-cluster: kubernetes ## Tests on a real Kubernetes of three nodes, which is started and taken down (KEEP=1 leaves it up)
	@test/cluster/run.sh

cluster-up: setup ## A Kubernetes cluster of three nodes on this machine (NAME=dev, NODES=3, IP_FAMILIES=4 or 46)
	@CLUSTER=$(NAME) test/cluster/testbed/up.sh
	@echo "kubectl is there in: CLUSTER=$(NAME) test/cluster/testbed/enter.sh"

cluster-down: ## Takes such a cluster down (NAME=dev) and leaves nothing
	@CLUSTER=$(NAME) test/cluster/testbed/down.sh

.PHONY: bench profile bench-scale
bench: setup ## The data plane against haproxy, Envoy and no proxy (QUICK=1, ONLY=REGEXP of measures, BENCH_JSON=FILE)
	@scripts/system-tools.sh bench
	@$(NODE) test/bench/dataplane/dataplane-bench.ts

profile: setup ## Where a node proxy under load spends time and memory, as text in docs/profiles/
	@$(NODE) test/bench/dataplane/profile/profile-main.ts

bench-scale: setup ## The control plane with 10,000 pods and 200 proxies on a real API server (QUICK=1, BENCH_JSON=FILE)
	@$(NODE) test/bench/scale/scale-bench.ts

.PHONY: attack
attack: setup ## Every known attack on a node proxy, in network namespaces of its own (ONLY=regex, ATTACK_JSON=1)
	@$(NODE) test/attack/attack-main.ts $(if $(ONLY),--only '$(ONLY)') $(if $(ATTACK_JSON),-o json)

.PHONY: chaos
chaos: setup ## Faults under load on two nodes, and what held after each (CHAOS_SECONDS=240, SEED=n, CHAOS_FAULTS=REGEXP, OUTPUT=json)
	@$(NODE) test/chaos/chaos.ts $(if $(OUTPUT),-o $(OUTPUT))

.PHONY: soak
soak: setup ## A steady load for long: memory, descriptors and latency as docs/soak.svg and a section of docs/performance.md (SOAK_SECONDS=900)
	@$(NODE) test/soak/soak.ts
.PHONY: fuzz
fuzz: setup ## Every parser under changed inputs (FUZZ_SECONDS=600 for all, TARGET=name, SEED=1)
	@$(NODE) test/fuzz/fuzz-main.ts

.PHONY: image chart
image: setup ## The container image for amd64 and arm64 as archives in build/ (IMAGE=name:tag, ARCH=amd64,arm64)
	@$(NODE) scripts/packaging/build-image.ts $(if $(IMAGE),--name $(IMAGE)) $(if $(ARCH),--arch $(ARCH))

chart: setup ## The Helm chart in build/chart/, and packed
	@$(NODE) scripts/packaging/write-chart.ts

errors-page: setup ## Writes the tables of errors, checks and settings into docs/ out of the sources
	$(NODE) scripts/write-errors-page.ts
	$(NODE) scripts/write-checks-table.ts
	$(NODE) scripts/write-settings-table.ts

crds: setup ## Writes daemonset/crds/ out of the schemas in scripts/crds/
	$(NODE) scripts/write-crds.ts

format: setup ## Rewrites the sources in house format
	biome check --write .
