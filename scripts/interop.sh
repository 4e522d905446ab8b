#!/usr/bin/env bash
# Prints a folder with what interoperation is tested against, installed the first time and again when its sources change:
# `venv/bin/python3` with what tests/interop/python needs, and in `bin` the programs of tests/interop/go.
set -euo pipefail
cd "$(dirname "$0")/.."
sources=tests/interop
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
for tool in python3 go sha256sum; do
  command -v $tool >/dev/null || { echo "tests of interoperation need $tool" >&2; exit 1; }
done
key=$(cat $sources/python/requirements.txt $(find $sources/go -type f | LC_ALL=C sort) scripts/interop.sh | sha256sum | cut -c1-16)
tools=$target/tools/interop-$key
if [ ! -e "$tools/ready" ]; then
  mkdir -p "$tools"
  # Several tests may want it at once: one installs it.
  exec 9>"$tools/.lock"
  flock 9
  if [ ! -e "$tools/ready" ]; then
    python() {
      python3 -m venv --clear "$tools/venv" &&
        "$tools/venv/bin/pip" install --quiet --disable-pip-version-check -r $sources/python/requirements.txt
    }
    export -f python
    export tools sources
    scripts/step.sh "installing what the Python runner of the tests needs (once)" bash -ec python >&2
    scripts/step.sh "building the Go nodes of the tests (once)" go -C $sources/go build -trimpath -o "$tools/bin/" ./cmd/... >&2
    # Where the runner for Python looks for the command by which it uses object stores.
    ln -f "$tools/bin/nats" "$tools/venv/bin/nats"
    touch "$tools/ready"
  fi
fi
echo "$tools"
