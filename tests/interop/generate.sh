#!/usr/bin/env bash
# Writes the Python and Go code of the .proto files anew (python/pb, go/pb), with protoc from PyPI and protoc-gen-go. Only
# needed after one of them has changed; what it writes is checked in.
set -euo pipefail
cd "$(dirname "$0")"
tools=$(mktemp -d)
trap 'chmod -R u+w "$tools" && rm -rf "$tools"' EXIT
python3 -m venv "$tools/venv"
# The generator of the protobuf runtime that python/requirements.txt pins.
"$tools/venv/bin/pip" install --quiet grpcio-tools==1.62.3 protobuf==4.25.9 setuptools
(cd go && GOBIN="$tools" go install google.golang.org/protobuf/cmd/protoc-gen-go)
example=../../examples/classificator
typed=../guests/typed
module=krt.test/interop/pb
rm -rf python/pb/*_pb2.py go/pb
mkdir -p go/pb
PATH="$tools:$PATH" "$tools/venv/bin/python" -m grpc_tools.protoc -Iproto -I"$example" -I"$typed" \
  --python_out=python/pb --go_out=go --go_opt=module=krt.test/interop \
  --go_opt=Mkre_nats_msg.proto=$module/envelope --go_opt=Mprobe.proto=$module/probe \
  --go_opt=Mpublic_input.proto=$module/public --go_opt=Minternal_nodes.proto=$module/internal_nodes --go_opt=Mmail.proto=$module/mails \
  kre_nats_msg.proto probe.proto public_input.proto internal_nodes.proto mail.proto
