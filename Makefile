.PHONY: run test bench costs package lint style compiled downloads binaries unit processes cloud fuzz fuzz-stack \
	fuzz-watch openapi client web page page-types smoke load deny

# Builds what is needed and starts everything on http://127.0.0.1:3000.
run:
	@echo "Building Tidings. The first build takes several minutes; later ones take seconds."
	@$(MAKE) --no-print-directory web/dist/index.html
	cargo run --release -- --demo

# Checks formatting, lints, and runs every test. Also installs the tools that these need, while it compiles. Tests that
# wait more than they compute run side by side.
test:
	$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint downloads
	$(MAKE) --no-print-directory unit processes
	$(MAKE) --no-print-directory --jobs 3 --output-sync=target cloud fuzz client page-types
	$(MAKE) --no-print-directory page

# Clippy compiles the crates of the workspace in place of rustc, so nothing is compiled a second time to be linted.
CHECKS = lint compiled unit processes cloud fuzz fuzz-stack fuzz-watch client web page binaries
$(CHECKS): export RUSTC_WORKSPACE_WRAPPER = clippy-driver
$(CHECKS): export CLIPPY_ARGS = -Dwarnings

# Tools in Python start many times: Python keeps what it has compiled, outside the folders of sources.
PYTHON_CHECKS = style cloud fuzz-stack fuzz-watch
$(PYTHON_CHECKS): export PYTHONDONTWRITEBYTECODE =
$(PYTHON_CHECKS): export PYTHONPYCACHEPREFIX = $(CURDIR)/.venv/compiled

# Some Regions do not know every type of resource, and some are in another partition.
REGIONS = us-east-1 eu-central-2 ap-southeast-4 mx-central-1 cn-north-1 us-gov-west-1

lint: style compiled

style: .venv/installed
	cargo fmt --all --check
	.venv/bin/typos
	.venv/bin/cfn-lint --regions $(REGIONS) --template infra/template.yaml
	SAM_CLI_TELEMETRY=0 .venv/bin/sam validate --lint

# Not `--all-targets`: as benchmarks, it would build an empty test of each function and each binary.
compiled:
	cargo build --quiet --workspace --lib --bins --tests --examples

# What the tests need besides Rust, Node and Python.
downloads: .venv/packager clients/typescript/node_modules/.package-lock.json web/dist/index.html \
	/usr/bin/chromium /usr/bin/chromium-headless-shell

# Builds the whole workspace: another selection of packages has other features, and cargo would compile the dependencies
# again.
binaries:
	cargo build --quiet --bins

# Tests wait for timers and files most of the time, so more of them run at once than there are cores.
export RUST_TEST_THREADS = 6

# There are no tests in the documentation, and to look for them takes half a minute.
unit: binaries
	rm -f target/debug/calls-of-functions
	cargo test --workspace --tests
	cargo test --quiet --package tests --test tests -- --ignored --exact roles::each_permission_is_used

# Runs the tests again, with each function as a process of the binary that Lambda starts. Leaves out those of crossing
# calls, faults, rate limits, random histories, bursts, search archives, large conversations, permissions and budgets:
# they test the store, and take longest.
STORE_TESTS = large:: crowds:: faults:: limits:: model:: racing:: queue::bursts searching::archives sync:: \
	permissions:: budgets::
processes: binaries
	TIDINGS_TEST_FUNCTIONS=1 cargo test --quiet --package tests --test tests -- $(STORE_TESTS:%=--skip %)

# Checks what belongs to AWS, without AWS: the translated template, the stages, the deployer's permissions, the commands
# of the guides, and the scripts that check a deployment from outside.
cloud: .venv/installed binaries
	MAKEFLAGS= .venv/bin/python -W ignore::ResourceWarning -m unittest discover --quiet --start-directory tests/cloud

# Fuzzes the local stack with calls generated from the API document: once with its own functions, and once with
# functions run by `cargo lambda watch`.
fuzz: fuzz-stack fuzz-watch

fuzz-stack: .venv/packager binaries
	tests/schemathesis.sh

fuzz-watch: .venv/packager binaries
	tests/schemathesis.sh --watch

# Generates the API documents from the functions' types, and the client's types from these documents.
openapi: clients/typescript/node_modules/.package-lock.json binaries
	target/debug/openapi
	cd clients/typescript && npm run types --silent

# Checks the TypeScript client: types, tests (some of them against the built binary), size.
client: clients/typescript/node_modules/.package-lock.json binaries
	cd clients/typescript && TIDINGS_BINARY=$(CURDIR)/target/debug/tidings npm test --silent

clients/typescript/node_modules/.package-lock.json: clients/typescript/package-lock.json
	cd clients/typescript && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# Checks the chat page: types, words, size, and tests in a browser.
web: page-types page

page-types: web/node_modules/.package-lock.json
	cd web && npm run check --silent

page: web/dist/index.html /usr/bin/chromium /usr/bin/chromium-headless-shell binaries
	cd web && npm test --silent

web/dist/index.html: web/node_modules/.package-lock.json web/index.html web/vite.config.ts \
		$(shell find web/src web/worker web/scripts clients/typescript/src -type f)
	cd web && npm run build --silent
	touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

/usr/bin/chromium:
	apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends chromium >/dev/null

# Tests without a window take half as long in this build. If it is missing, Chromium runs them.
/usr/bin/chromium-headless-shell: | /usr/bin/chromium
	-apt-get install --quiet=2 --yes --no-install-recommends chromium-headless-shell >/dev/null

# Measures the local stack's speed, size and costs from another process, beside a server of the usual kind. Builds it as
# for a server, which takes some minutes.
bench: bench/peer/node_modules/.package-lock.json
	cargo build --profile optimized --bin tidings
	cargo run --profile optimized -p bench

bench/peer/node_modules/.package-lock.json: bench/peer/package-lock.json
	cd bench/peer && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# Computes the costs in AWS from a run of the functions and infra/prices.json, and writes the README's tables.
costs: binaries
	target/debug/bench costs --write

# Checks a deployment: make smoke URL=https://… SOCKET_URL=wss://… ORIGIN=https://…
smoke:
	@python3 -B infra/smoke.py $(URL) $(if $(SOCKET_URL),--sockets $(SOCKET_URL)) $(if $(ORIGIN),--origin $(ORIGIN))

# Puts a bounded load on a deployment: make load URL=https://… SOCKET_URL=wss://… USERS=10 SECONDS=60
load:
	@python3 -B infra/load.py $(URL) $(if $(SOCKET_URL),--sockets $(SOCKET_URL)) $(if $(USERS),--users $(USERS)) \
		$(if $(SECONDS),--seconds $(SECONDS))

# Builds and zips the binary for Lambda, for arm64 and x86_64, into target/package, with sizes and start times.
# Takes minutes.
package: .venv/packager
	infra/package.sh

# uv takes a tenth of pip's time. It does not read pip's settings: where these name another index, or where uv does not
# run, pip installs.
install = .venv/bin/uv pip install --quiet --python .venv --requirement $(1) || \
	.venv/bin/pip install --quiet --requirement $(1)

.venv/installed: tests/requirements.txt
	python3 -m venv .venv
	-.venv/bin/pip install --quiet uv==0.13.9
	$(call install,tests/requirements.txt)
	touch .venv/installed

.venv/packager: infra/requirements.txt .venv/installed
	$(call install,infra/requirements.txt)
	touch .venv/packager

# Checks licences and sources of all dependencies. Not part of `test`: building cargo-deny takes longer than all tests.
deny:
	cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny --workspace check bans licenses sources
