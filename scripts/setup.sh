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
  echo "== there is no go: tests of nodes in Go will be skipped; to have them, install Go 1.26" >&2
fi

# What krt build wants of the system for guests in Python, in C (whose compiler comes from Python's registry) and in
# JavaScript.
packages=()
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3 python3-venv)
command -v npm >/dev/null || packages+=(nodejs npm)
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "== installing ${packages[*]}" >&2
    apt-get update -qq && apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
  else
    echo "guests in some languages want ${packages[*]}: install them as your distribution does" >&2
  fi
fi
