.PHONY: run test bench costs package lint binaries unit processes fuzz openapi client web deny

# Builds what is needed and starts everything on http://127.0.0.1:3000.
run: web/dist/index.html
	cargo run --release -- --demo

# Formats, lints and every test, set-up included.
test: lint unit processes fuzz client web

lint: .venv/installed
	cargo fmt --all --check
	.venv/bin/typos
	.venv/bin/cfn-lint infra/template.yaml
	SAM_CLI_TELEMETRY=0 .venv/bin/sam validate --lint
	cargo clippy --workspace --all-targets --quiet -- -D warnings

# Always together: each selection of packages is another set of features, with which everything is compiled again.
binaries:
	cargo build --quiet --package local --package functions --package bench

unit: binaries
	rm -f target/debug/calls-of-functions
	cargo test --workspace
	cargo test --quiet --package tests --test tests -- --ignored --exact roles::each_permission_is_used

# The tests once more, with functions that are processes of the binary that Lambda starts. Large conversations take as
# long again, and are left out.
processes: binaries
	TIDINGS_TEST_FUNCTIONS=1 cargo test --quiet --package tests --test tests -- --skip large::

# Calls made up from the API's document, against the local stack: with its own functions, and with those that
# `cargo lambda watch` runs.
fuzz: .venv/packager binaries
	tests/schemathesis.sh
	tests/schemathesis.sh --watch

# Writes the API's documents from the types of the functions, and the client's types from those.
openapi: clients/typescript/node_modules/.package-lock.json
	cargo run --quiet -p openapi
	cd clients/typescript && npm run types --silent

# The TypeScript client: types, its tests (some of them against the built binary), its size.
client: clients/typescript/node_modules/.package-lock.json binaries
	cd clients/typescript && TIDINGS_BINARY=$(CURDIR)/target/debug/tidings npm test --silent

clients/typescript/node_modules/.package-lock.json: clients/typescript/package-lock.json
	cd clients/typescript && npm ci --no-audit --no-fund --loglevel=error
	touch $@

# The chat page: its types, its size, and its tests in a browser.
web: web/dist/index.html /usr/bin/chromium binaries
	cd web && npm run check --silent && npm test --silent

web/dist/index.html: web/node_modules/.package-lock.json web/index.html web/vite.config.ts \
		$(shell find web/src web/scripts clients/typescript/src -type f)
	cd web && npm run build --silent
	touch $@

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	touch $@

/usr/bin/chromium:
	apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends chromium >/dev/null

# The local stack's speed, size and costs, measured from another process.
bench:
	cargo build --release --bin tidings
	cargo run --release -p bench

# What it costs in AWS, from a run of the functions and infra/prices.json; writes the README's tables.
costs: binaries
	target/debug/bench costs --write

# What Lambda runs, for arm64 and x86_64, zipped, with its sizes and start times: target/package. Takes minutes.
package: .venv/packager
	infra/package.sh

.venv/installed: tests/requirements.txt
	python3 -m venv .venv
	.venv/bin/pip install --quiet --requirement tests/requirements.txt
	touch .venv/installed

.venv/packager: infra/requirements.txt .venv/installed
	.venv/bin/pip install --quiet --requirement infra/requirements.txt
	touch .venv/packager

# Licences and sources of all dependencies. Not part of `test`: building the checker takes longer than all of it.
deny:
	cargo deny --version >/dev/null 2>&1 || cargo install --locked cargo-deny
	cargo deny --workspace check bans licenses sources
