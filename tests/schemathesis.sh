#!/bin/sh
# Calls the local stack by its OpenAPI document, with what schemathesis makes up from it: every check, and each
# exception with its reason in tests/schemathesis.toml. Arguments are passed on.
set -eu
cd "$(dirname "$0")/.."
server=${TIDINGS_BINARY:-target/debug/tidings}
folder=$(mktemp -d)
trap 'kill "$pid" 2>/dev/null || true; rm -rf "$folder"' EXIT
TIDINGS_JWT_SECRET="a secret that only this test knows, of more than 32 bytes"
TIDINGS_RATE_LIMITS=off
export TIDINGS_JWT_SECRET TIDINGS_RATE_LIMITS
mkfifo "$folder/said"
"$server" --in-memory --demo=10 --port 0 >"$folder/said" &
pid=$!
url=$(grep -m 1 '^ready ' <"$folder/said" | cut -d ' ' -f 2)
TIDINGS_TOKEN=$("$server" token alice)
export TIDINGS_TOKEN
.venv/bin/schemathesis --config-file tests/schemathesis.toml run docs/openapi.json --url "$url" "$@"
