# The front door: 'make' lists what it does. The build itself is CMake's; this file only calls it.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

CONFIG ?= conf/examples/quickstart.yaml
PREFIX ?= /usr/local
DESTDIR ?=
TIME ?= 60
ONLY ?=
TESTS ?=

BUILD := build/release
PROGRAM := $(BUILD)/apps/sallyport
DEPENDENCIES := packaging/dependencies.sh

# One compiler for each core, but no more than the free memory feeds (1.2 GB each).
JOBS ?= $(shell awk -v cores="$$(nproc 2>/dev/null || echo 1)" \
    '/MemAvailable/ {fit = int($$2 / 1200000)} END {print fit < 1 ? 1 : fit < cores ? fit : cores}' /proc/meminfo)

# Tests read the shared corpus where it lies beside this folder.
ifneq ($(wildcard ../shared/corpus),)
export SALLYPORT_SHARED ?= $(abspath ../shared)
endif

SOURCES = find . -path './build*' -prune -o \( -name '*.cpp' -o -name '*.hpp' \) -print | sort

.PHONY: help
help: ## This list
	@echo "Sallyport, an encrypted DNS gateway"
	@echo
	@grep -hE '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F'\t' '{printf "  make %-15s %s\n", $$1, $$2}'
	@echo
	@echo "  JOBS=$(JOBS) at a time; CXX=clang++-19 for another compiler on a fresh build folder"

# --- Packages. SALLYPORT_SKIP_DEPENDENCIES=1 leaves this out.

.PHONY: deps-build deps-test deps-tools deps-bench deps-clients deps-browser
deps-build deps-test deps-tools deps-bench deps-clients deps-browser: deps-%:
	@$(DEPENDENCIES) $*
	@for tool in cmake ninja $(CXX); do command -v "$$tool" >/dev/null || \
	    { echo "sallyport: $$tool is not installed ($(DEPENDENCIES) would)" >&2; exit 1; }; done

# --- Building

# $(call configure,<preset>,<further options>): only when something is asked for that the folder is not set up with.
define configure
	@if [ ! -f build/$(1)/build.ninja ] || ! $(call cache_has,build/$(1),$(2)); then \
	    echo "sallyport: configures build/$(1)"; \
	    cmake --preset $(1) $(2) $(if $(filter release,$(1)),$(if $(filter-out default,$(origin CXX)),-DCMAKE_CXX_COMPILER=$(CXX))) \
	        >build/configure-$(1).log 2>&1 || { grep -m3 -A4 -E 'Error|error' build/configure-$(1).log >&2; \
	        echo "sallyport: cmake could not configure build/$(1), see build/configure-$(1).log" >&2; exit 1; }; \
	    grep -A1 'CMake Warning' build/configure-$(1).log || true; fi
endef
cache_has = { true $(foreach option,$(2),&& grep -q '^$(subst -D,,$(firstword $(subst =, ,$(option)))):[A-Z]*=$(lastword $(subst =, ,$(option)))$$' $(1)/CMakeCache.txt); }

ninja = NINJA_STATUS="[%f/%t %es] " ninja -j $(JOBS) -C build/$(1) $(2)

.PHONY: build
build: deps-build | folder ## Build the program
	$(call configure,release,$(if $(wildcard $(BUILD)/CMakeCache.txt),,-DSALLYPORT_TESTS=OFF))
	@$(call ninja,release,sallyport)

.PHONY: folder
folder:
	@mkdir -p build

.PHONY: run
run: build ## Build and start the gateway with conf/examples/quickstart.yaml (CONFIG=file for another)
	@[ "$(CONFIG)" != conf/examples/quickstart.yaml ] || $(PROGRAM) cert dev --quiet
	@[ "$(CONFIG)" != conf/examples/quickstart.yaml ] || [ -s certs/dev/admin.token ] || \
	    (umask 077; od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >certs/dev/admin.token)
	@exec $(PROGRAM) run --hints --config $(CONFIG)

# --- Tests

# $(call ctest,<preset>,<ctest options>): runs the tests and says in one line how it went.
ctest = tests/run.sh build/$(1) -j $(JOBS) $(2) $(if $(TESTS),-R '$(TESTS)')

.PHONY: test
test: deps-test | folder ## Build and run all tests (TESTS=regex for some of them)
	$(call configure,release,-DSALLYPORT_TESTS=ON)
	@$(call ninja,release,)
	@$(call ctest,release,)

empty :=
space := $(empty) $(empty)

# What people have at home, unchanged: browsers, stub resolvers, forwarders; and servers of other makes as our upstreams.
CLIENTS := browser firefox stubs upstreams

.PHONY: test-clients
test-clients: deps-test deps-clients deps-browser | folder ## The tests with real browsers and stub resolvers, installed if missing
	$(call configure,release,-DSALLYPORT_TESTS=ON)
	@$(call ninja,release,sallyport)
	@NO_SKIP=1 $(call ctest,release,-R '^e2e\.($(subst $(space),|,$(CLIENTS)))$$')
	@# Its own namespaces are not to be had in every container: skipped there, with the reason.
	@$(call ctest,release,-R '^e2e\.resolved$$')

.PHONY: test-sanitized
test-sanitized: deps-test deps-tools | folder ## All tests under AddressSanitizer and UndefinedBehaviorSanitizer
	$(call configure,fuzz,)
	@$(call ninja,fuzz,)
	@$(call ctest,fuzz,-LE 'browser|check')

# Modules without threads of their own are left to the other sanitizers; the program itself is where most threads meet.
THREADED := sallyport base_tests net_tests certs_tests policy_tests zones_tests cache_tests resolver_tests pipeline_tests \
    listeners_tests admin_tests integration_tests

.PHONY: test-threads
test-threads: deps-test deps-tools | folder ## The tests where threads meet, under ThreadSanitizer
	$(call configure,tsan,)
	@$(call ninja,tsan,$$(ninja -C build/tsan -t targets all | sed -n 's/^\($(subst $(space),\|,$(THREADED))\): phony$$/\1/p'))
	@$(call ctest,tsan,-LE browser -R '^($(subst _tests,,$(subst $(space),|,$(THREADED:sallyport=e2e))))\.')

.PHONY: soak
soak: deps-test | folder ## Mixed load with reloads and killed upstreams for TIME=60 seconds (3600: the hour)
	$(call configure,release,-DSALLYPORT_TESTS=ON)
	@$(call ninja,release,sallyport sallyport-load)
	@python3 -B tests/soak/soak.py $(PROGRAM) --seconds $(TIME)

.PHONY: fuzz
fuzz: deps-tools | folder ## Run every fuzz harness for TIME=60 seconds (ONLY=name for one)
	$(call configure,fuzz,)
	@$(call ninja,fuzz,fuzzers)
	@fuzz/run.sh build/fuzz $(TIME) $(JOBS) $(ONLY)

.PHONY: bench
bench: deps-bench | folder ## Build and run the benchmarks, then load on every door (ONLY=name for one module's)
	$(call configure,release,-DSALLYPORT_BENCH=ON)
	@$(call ninja,release,benches)
	@shopt -s nullglob; for program in $(BUILD)/bench/$(or $(ONLY),*)_bench; do \
	    echo "== $${program##*/}"; "$$program" --benchmark_min_time=$(or $(BENCH_TIME),0.5); done
	@[ -n "$(ONLY)" ] || { $(call ninja,release,sallyport load_tools) && python3 bench/run_doors.py $(PROGRAM); }

# --- The look of the sources

.PHONY: format
format: deps-tools ## Lay out all sources with clang-format 19
	@$(SOURCES) | xargs -r clang-format-19 -i

.PHONY: tidy
tidy: deps-tools deps-test | folder ## Look for mistakes with clang-tidy 19 (the checks of .clang-tidy)
	$(call configure,tidy,)
	@python3 -B .ci/tidy.py build/tidy $(JOBS) $(ONLY)

.PHONY: check
check: deps-tools ## Format, include directions, paths and marks: what needs no build
	@odd=$$($(SOURCES) | xargs -r clang-format-19 --dry-run 2>&1 | sed -nE 's/^(\.\/)?([^ :]+\.[ch]pp):[0-9].*/\2/p' | sort -u); \
	status=0; if [ -n "$$odd" ]; then printf '%s\n' "$$odd"; status=1; \
	    echo "sallyport: $$(wc -l <<<"$$odd") files are not laid out as .clang-format says (make format does it)" >&2; fi; \
	for check in tests/check_*.py; do python3 -B "$$check" . || status=1; done; exit $$status

# --- The rest

.PHONY: install
install: deps-build | folder ## Install program, example configuration, service, man page (PREFIX, DESTDIR)
	$(call configure,release,-DCMAKE_INSTALL_PREFIX=$(PREFIX))
	@$(call ninja,release,sallyport)
	@DESTDIR=$(DESTDIR) cmake --install build/release

.PHONY: clean
clean: ## Remove everything that was built; the development certificates stay
	@rm -rf build
