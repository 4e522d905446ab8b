"""Writes envelopes with Python's protobuf runtime: golden.py FOLDER. Its twin is go/cmd/golden."""

import gzip
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "pb"))

import kre_nats_msg_pb2 as envelope
from probe_pb2 import Job

ID = "5f0c0a3e-7a40-4b3a-9a53-0f3f9d1b2c77"


def write(name, data):
    with open(os.path.join(sys.argv[1], f"{name}.py.bin"), "wb") as file:
        file.write(data)


def of(kind, payload=None):
    message = envelope.KreNatsMessage(request_id=ID, from_node="etl", message_type=kind)
    message.payload.Pack(payload or Job(path=["etl"], data=bytes([0, 1, 254, 255])))
    return message


write("ok", of(envelope.OK).SerializeToString())
write("early-reply", of(envelope.EARLY_REPLY).SerializeToString())
write("early-exit", of(envelope.EARLY_EXIT).SerializeToString())
failed = envelope.KreNatsMessage(
    request_id=ID, error="error in node 'etl': ünlesbar\n", from_node="etl", message_type=envelope.ERROR
)
write("error", failed.SerializeToString())
undefined = envelope.KreNatsMessage(request_id=ID, from_node="etl")
undefined.payload.SetInParent()
write("undefined", undefined.SerializeToString())
write("empty", envelope.KreNatsMessage().SerializeToString())
large = of(envelope.OK, Job(data=b"krt " * 1000)).SerializeToString()
write("large", large)
write("large-gzip", gzip.compress(large, compresslevel=9, mtime=0))
