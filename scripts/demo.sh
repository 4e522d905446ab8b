#!/usr/bin/env bash
# demo.sh KRT [EXAMPLE]: builds and runs the classificator of the documentation (or EXAMPLE, which takes the same calls) on
# the embedded bus, calls it over gRPC, prints the answers and the path of nodes that each took, and shows what an e-mail
# does that makes a node fail. Exits 0 if all was as it should.
set -euo pipefail
krt=$1
example=${2:-examples/classificator}

"$krt" build "$example"
"$krt" graph "$example"

# The first line on standard output says that calls can be answered, and where.
# What nodes log is left out: the answers are the point here.
exec {events}< <(KRT_LOG=error exec "$krt" run "$example" --output json --grpc-addr 127.0.0.1:0 --web-addr 127.0.0.1:0)
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
read -r ready <&"$events" || { echo "krt run ended before it was ready" >&2; exit 1; }
grpc=$(sed -E 's/.*"grpc":"([^"]+)".*/\1/' <<<"$ready")

# answered WHAT REQUEST: prints the answer and the nodes that it went through.
answered() {
  local answer
  echo "== $1"
  answer=$("$krt" call Classificator --data "@$example/requests/$2" --to "$grpc")
  echo "$answer"
  sed -nE 's/.*"path": *\[([^]]*)\].*/   path: \1/p' <<<"$answer" | sed 's/","/ → /g; s/"//g'
  echo
}

answered "an early reply: the batch is acknowledged at once" acknowledge.json
answered "a batch of e-mails from the package" batch.json
answered "two e-mails in the request" emails.json

echo "== an e-mail that makes a node fail: its error reaches the caller, and nobody else"
if "$krt" call Classificator --data "@$example/requests/damaged.json" --to "$grpc"; then
  echo "the damaged batch should have failed" >&2
  exit 1
fi
echo

kill -TERM "$server"
wait "$server"
echo "== drained and ended"
