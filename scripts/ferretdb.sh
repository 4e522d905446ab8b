#!/usr/bin/env bash
# Prints the path of a server that speaks MongoDB's protocol (tests/ferretdb), built the first time: some 90 CPU-seconds,
# SQLite in Go above all. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=tests/ferretdb
state=$(cat "$sources"/go.mod "$sources"/main.go | sha256sum | cut -c1-16)
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools/ferretdb-$state
binary=$tools/ferretdb
if [ ! -x "$binary" ]; then
  mkdir -p "$tools"
  # Several tests may want it at once: one builds it.
  exec 9>"$tools/.lock"
  flock 9
  if [ ! -x "$binary" ]; then
    scripts/step.sh "building ferretdb (once)" env GOFLAGS="-trimpath -buildvcs=false" \
      go -C "$sources" build -tags ferretdb_no_postgresql -ldflags "-s -w" -o "$binary.new" . >&2
    mv "$binary.new" "$binary"
  fi
fi
echo "$binary"
