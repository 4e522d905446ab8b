#!/usr/bin/env bash
# Licences, bans and sources of the dependencies. The advisory database needs a network that not every machine has,
# so `cargo deny check advisories` is left to those who have it.
set -euo pipefail
version=0.20.2
tools=${CARGO_TARGET_DIR:-target}/tools/cargo-deny-$version
if [ ! -x "$tools/bin/cargo-deny" ]; then
  scripts/step.sh "installing cargo-deny $version (once)" cargo install --quiet --locked --root "$tools" "cargo-deny@$version"
fi
# Crates for other targets, too, are looked at; no build ever fetched those.
cargo fetch --quiet --locked
"$tools/bin/cargo-deny" --offline check licenses bans sources
