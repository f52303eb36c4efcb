#!/bin/sh
# Fuzzes the local stack with calls that schemathesis generates from the OpenAPI document. tests/schemathesis.toml has
# the exceptions to its checks, each with a reason. With `--watch` as the first argument, `cargo lambda watch` runs the
# functions. The other arguments are passed to schemathesis.
set -eu
cd "$(dirname "$0")/.."
server=${TIDINGS_BINARY:-target/debug/tidings}
folder=$(mktemp -d)
started=
trap 'kill $started 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
TIDINGS_JWT_SECRET="a secret that only this test knows, of more than 32 bytes"
TIDINGS_RATE_LIMITS=off
# Generated subscriptions are of a port at which nothing listens. The other host is that of the document's example.
TIDINGS_PUSH_HOSTS=127.0.0.1,updates.push.services.mozilla.com
export TIDINGS_JWT_SECRET TIDINGS_RATE_LIMITS TIDINGS_PUSH_HOSTS
watch=
if [ "${1:-}" = --watch ]; then
  shift
  watch=$((20000 + $$ % 20000))
  # Build the functions now, or the first call of each would wait for its build.
  cargo build --quiet --bins
fi
mkfifo "$folder/output"
"$server" --data-dir "$folder" --demo=10 --port 0 ${watch:+--invoke-url "http://127.0.0.1:$watch"} >"$folder/output" &
started=$!
url=$(grep -m 1 '^ready ' <"$folder/output" | cut -d ' ' -f 2)
if [ "$watch" ]; then
  PATH="$PWD/.venv/bin:$PATH" cargo lambda watch --wait --ignore-changes --invoke-port "$watch" \
    --env-file "$folder/functions.env" >"$folder/watch" 2>&1 &
  watching=$!
  started="$started $watching"
  until curl --silent --fail --output /dev/null "$url/health"; do
    kill -0 "$watching" || { cat "$folder/watch"; exit 1; }
    sleep 1
  done
fi
TIDINGS_TOKEN=$("$server" token alice)
export TIDINGS_TOKEN
.venv/bin/schemathesis --config-file tests/schemathesis.toml run docs/openapi.json --url "$url" "$@"
