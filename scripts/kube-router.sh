#!/usr/bin/env bash
# Prints the path of what enforces NetworkPolicies on the node of a test cluster: kube-router's controller, built the first time
# from tests/cluster/kube-router, a module of its own so that what it needs moves nothing of the cluster's. Kept in the user's
# cache by content. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=tests/cluster/kube-router
cache=${KRT_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/krt}/tools
state=$(cat "$sources"/go.mod "$sources"/go.sum "$sources"/main.go "$0" | sha256sum | cut -c1-16)
binary=$cache/kube-router-$state
if [ ! -x "$binary" ]; then
  command -v go >/dev/null || { echo "kube-router.sh: it is built with Go 1.26, which is not installed" >&2; exit 1; }
  mkdir -p "$cache"
  # Several tests may want it at once: one builds it.
  exec 9>"$cache/.kube-router.lock"
  flock 9
  if [ ! -x "$binary" ]; then
    CGO_ENABLED=0 scripts/step.sh "building kube-router (once; about a minute)" nice -n 5 \
      go -C "$sources" build -trimpath -buildvcs=false -ldflags "-s -w" -o "$binary.new" . >&2
    mv "$binary.new" "$binary"
  fi
fi
echo "$binary"
