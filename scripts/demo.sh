#!/usr/bin/env bash
# Builds and runs the classificator of the documentation on the embedded bus, calls it over gRPC, prints the answers and
# the path of nodes that each took, and shows what an e-mail does that makes a node fail. Exits 0 if all was as it should.
set -euo pipefail
krt=$1
example=examples/classificator

"$krt" build "$example"
"$krt" graph "$example"

# The first line on standard output says that calls can be answered, and where.
exec {events}< <(exec "$krt" run "$example" --output json --grpc-addr 127.0.0.1:0 --web-addr 127.0.0.1:0)
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
read -r ready <&"$events" || { echo "krt run ended before it was ready" >&2; exit 1; }
grpc=$(sed -E 's/.*"grpc":"([^"]+)".*/\1/' <<<"$ready")

call() {
  echo
  echo "== $1"
  "$krt" call Classificator --data "@$example/requests/$2" --to "$grpc"
}
