"""Message types for the tests, without a generator."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_FILE = descriptor_pb2.FileDescriptorProto(name="tests.proto", package="tests", syntax="proto3")


def _message(name, **fields):
    message = _FILE.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields.items(), 1):
        message.field.add(name=field, number=number, type=kind, label=1)


_message("Ping", number=13, text=9, data=12)
_message("Pong", number=13)
_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_FILE)
Ping = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("tests.Ping"))
Pong = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("tests.Pong"))
