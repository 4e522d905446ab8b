#!/usr/bin/env bash
# Prints the path of a registry for OCI artifacts, the distribution's docker-registry, fetched the first time. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools/registry-debian
binary=$tools/docker-registry
if [ ! -x "$binary" ]; then
  mkdir -p "$tools"
  # Several tests may want it at once: one fetches it.
  exec 9>"$tools/.lock"
  flock 9
  if [ ! -x "$binary" ]; then
    new=$(mktemp -d "$tools/new.XXXX")
    fetch() { (cd "$new" && apt-get download -qq docker-registry >&2); }
    fetch 2>/dev/null || { apt-get update -qq >&2; fetch; }
    dpkg -x "$new"/docker-registry_*.deb "$new"
    mv "$new/usr/bin/docker-registry" "$binary"
    chmod -R u+w "$new" && rm -rf "$new"
  fi
fi
echo "$binary"
