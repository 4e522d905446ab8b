#!/usr/bin/env bash
# Prints a folder with a Python (`venv/bin/python3`) that checks Kubernetes objects against the schemas of Kubernetes 1.36
# without a cluster, installed the first time. Needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
version=1.37.0
tools=$(realpath -m "${CARGO_TARGET_DIR:-target}")/tools/kubernetes-validate-$version
if [ ! -e "$tools/ready" ]; then
  mkdir -p "$tools"
  # Several tests may want it at once: one installs it.
  exec 9>"$tools/.lock"
  flock 9
  if [ ! -e "$tools/ready" ]; then
    install() {
      python3 -m venv --clear "$tools/venv" &&
        "$tools/venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$1"
    }
    export -f install
    export tools
    scripts/step.sh "installing kubernetes-validate $version (once)" bash -ec "install $version" >&2
    touch "$tools/ready"
  fi
fi
echo "$tools"
