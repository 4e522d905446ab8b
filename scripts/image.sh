#!/usr/bin/env bash
# image.sh OUT.tar [BINARY] [NAME]: krt's image as an OCI archive, without a daemon and without root, for
# `ctr -n k8s.io images import`, `docker load` and the tests. Same binary, same bytes. Says how large it is.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "$1")
binary=${2:-${CARGO_TARGET_DIR:-target}/release/krt}
name=${3:-localhost/krt:dev}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
scripts/rootfs.sh "$binary" "$root"
scripts/oci-archive.py "$out" "$root" "$name" 65532:65532 /krt
