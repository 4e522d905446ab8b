#!/usr/bin/env bash
# Installs what builds and tests krt, where it is not there yet. Fast when everything is.
set -euo pipefail

if ! command -v cargo >/dev/null; then
  echo "krt needs Rust 1.95 or newer: install it with rustup, then run this again" >&2
  exit 1
fi

target=wasm32-wasip2
libdir=$(rustc --print target-libdir --target $target 2>/dev/null || true)
if [ ! -d "$libdir" ]; then
  if ! command -v rustup >/dev/null; then
    echo "guests need the standard library for $target; without rustup, install it as your distribution does" >&2
    exit 1
  fi
  echo "== installing the standard library for $target" >&2
  rustup target add $target
fi

# No package of Debian 12 is new enough: 1.26, or 1.21 that fetches it.
if ! command -v go >/dev/null; then
  echo "== there is no go: tests of nodes in Go will be skipped; to have them, install it from https://go.dev/dl" >&2
fi
