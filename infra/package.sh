#!/usr/bin/env bash
# Builds the binary for Lambda, for each architecture whose Rust standard library can be installed, and reports its size
# and start times. Writes target/package/ARCHITECTURE/{bootstrap,functions.zip} and target/package/table.txt.
set -eu
cd "$(dirname "$0")/.."
out=target/package
host=$(uname -m)
export PATH="$PWD/.venv/bin:$PATH"
rm -rf "$out"
for machine in ${ARCHITECTURES:-x86_64 aarch64}; do
  target=$machine-unknown-linux-gnu
  if ! rustup target add "$target" >&2; then
    echo "$machine: skipped, there is no standard library for it here" >&2
    continue
  fi
  began=$SECONDS
  (cd functions/all && cargo lambda build --release --target "$target" --bin bootstrap >&2)
  echo "$machine: built in $((SECONDS - began)) s" >&2
  mkdir -p "$out/$machine"
  cp target/lambda/bootstrap/bootstrap "$out/$machine/"
  # The zip is reproducible: the same binary always gives the same zip.
  python3 - "$out/$machine" <<'PYTHON'
import sys, zipfile
folder = sys.argv[1]
with zipfile.ZipFile(f"{folder}/functions.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    entry = zipfile.ZipInfo("bootstrap")
    entry.external_attr, entry.compress_type = 0o755 << 16, zipfile.ZIP_DEFLATED
    archive.writestr(entry, open(f"{folder}/bootstrap", "rb").read())
PYTHON
done
{
  for zip in "$out"/*/functions.zip; do
    folder=$(dirname "$zip")
    printf '%-8s one binary for all functions: %s kB, zipped %s kB\n' "$(basename "$folder")" \
      "$(($(stat -c %s "$folder/bootstrap") / 1000))" "$(($(stat -c %s "$zip") / 1000))"
  done
  echo
  names=$(ls functions | grep -vx all | paste -sd,)
  if [ -x "$out/$host/bootstrap" ]; then
    echo "Starts of $host, medians of 20; ready is from exec to the first request for work:"
    cargo run --quiet -p bench -- starts --handlers "$names" "$out/$host/bootstrap"
  else
    echo "Starts were not measured: nothing was built for $host."
  fi
} | tee "$out/table.txt"
