#!/usr/bin/env bash
# step.sh WHAT COMMAND...: says what a long step is, runs it, and says how long it took.
set -euo pipefail
what=$1; shift
echo "== $what" >&2
start=$SECONDS
"$@"
echo "== $what: done in $((SECONDS - start)) s" >&2
