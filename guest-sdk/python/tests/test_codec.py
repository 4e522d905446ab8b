"""What `_codec` reads and writes beside what protobuf itself does with classes of the same types."""

import io
import math
import random
import unittest

import google.protobuf
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory, struct_pb2, timestamp_pb2
from google.protobuf.internal import api_implementation, python_message
from google.protobuf.message import DecodeError, EncodeError

from krt_node import _codec, _writing

F = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    kind: getattr(F, f"TYPE_{kind.upper()}")
    for kind in (
        "double float int32 int64 uint32 uint64 sint32 sint64 fixed32 fixed64 sfixed32 sfixed64 bool string bytes"
    ).split()
}
ROUNDS = 100


def _file():
    """All kinds of fields there are, in proto3 and in proto2."""
    three = descriptor_pb2.FileDescriptorProto(name="three.proto", package="codec", syntax="proto3")
    colour = three.enum_type.add(name="Colour")
    for number, name in enumerate(("RED", "GREEN", "BLUE")):
        colour.value.add(name=name, number=number)
    kinds = three.message_type.add(name="Kinds")
    number = 0

    def field(message, name, kind, label=F.LABEL_OPTIONAL, type_name=None, **more):
        nonlocal number
        number += 1
        return message.field.add(name=name, number=number, type=kind, label=label, type_name=type_name, **more)

    every = {**SCALARS, "colour": F.TYPE_ENUM}
    for name, kind in every.items():
        field(kinds, f"one_{name}", kind, type_name=".codec.Colour" if kind == F.TYPE_ENUM else None)
    number = 100
    for name, kind in every.items():
        type_name = ".codec.Colour" if kind == F.TYPE_ENUM else None
        field(kinds, f"many_{name}", kind, F.LABEL_REPEATED, type_name)
        if kind not in (F.TYPE_STRING, F.TYPE_BYTES):
            field(kinds, f"loose_{name}", kind, F.LABEL_REPEATED, type_name).options.packed = False
    # Tags of three bytes.
    number = 3000
    for index, (name, kind) in enumerate(every.items()):
        kinds.oneof_decl.add(name=f"_maybe_{name}")
        type_name = ".codec.Colour" if kind == F.TYPE_ENUM else None
        field(kinds, f"maybe_{name}", kind, type_name=type_name, oneof_index=index, proto3_optional=True)

    mail = three.message_type.add(name="Mail")
    number = 0
    field(mail, "subject", F.TYPE_STRING)
    field(mail, "inner", F.TYPE_MESSAGE, type_name=".codec.Mail")
    field(mail, "all", F.TYPE_MESSAGE, F.LABEL_REPEATED, ".codec.Mail")
    field(mail, "kinds", F.TYPE_MESSAGE, type_name=".codec.Kinds")
    field(mail, "labels", F.TYPE_STRING, F.LABEL_REPEATED)
    for name, value, type_name in (
        ("counts", F.TYPE_INT32, None),
        ("mails", F.TYPE_MESSAGE, ".codec.Mail"),
    ):
        entry = mail.nested_type.add(name=f"{name.capitalize()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
        entry.field.add(name="value", number=2, type=value, label=F.LABEL_OPTIONAL, type_name=type_name)
        field(mail, name, F.TYPE_MESSAGE, F.LABEL_REPEATED, f".codec.Mail.{name.capitalize()}Entry")
    mail.oneof_decl.add(name="answer")
    field(mail, "text", F.TYPE_STRING, oneof_index=0)
    field(mail, "score", F.TYPE_INT32, oneof_index=0)
    field(mail, "forward", F.TYPE_MESSAGE, type_name=".codec.Mail", oneof_index=0)
    field(mail, "empty", F.TYPE_MESSAGE, type_name=".codec.Empty", oneof_index=0)
    field(mail, "late", F.TYPE_MESSAGE, type_name=".codec.Empty")
    three.message_type.add(name="Empty")

    two = descriptor_pb2.FileDescriptorProto(name="two.proto", package="codec", syntax="proto2")
    size = two.enum_type.add(name="Size")
    size.value.add(name="SMALL", number=2)
    size.value.add(name="LARGE", number=5)
    old = two.message_type.add(name="Old")
    number = 0
    field(old, "id", F.TYPE_INT32, F.LABEL_REQUIRED)
    field(old, "size", F.TYPE_ENUM, type_name=".codec.Size")
    field(old, "sizes", F.TYPE_ENUM, F.LABEL_REPEATED, ".codec.Size")
    field(old, "name", F.TYPE_STRING, default_value="nobody")
    field(old, "whole", F.TYPE_MESSAGE, type_name=".codec.Open")
    old.nested_type.add(name="Group").field.add(name="a", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    field(old, "group", F.TYPE_GROUP, type_name=".codec.Old.Group")
    field(old, "packed", F.TYPE_SINT64, F.LABEL_REPEATED).options.packed = True
    opened = two.message_type.add(name="Open")
    opened.field.add(name="a", number=1, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL)
    opened.extension_range.add(start=100, end=200)
    two.extension.add(
        name="more", number=100, type=F.TYPE_STRING, label=F.LABEL_OPTIONAL, extendee=".codec.Open"
    )
    return three, two


def _classes():
    pool = descriptor_pool.DescriptorPool()
    for file in _file():
        pool.Add(file)
    names = ("Kinds", "Mail", "Empty", "Old", "Old.Group", "Open")
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"codec.{name}")) for name in names}


_FAST = _classes()
_INSTALLED = _codec.install()
#: Made after it, and so as protobuf made them.
_PLAIN = _classes()


def scalar(chance, kind):
    narrow = {
        "int32": (-(2**31), 2**31 - 1),
        "int64": (-(2**63), 2**63 - 1),
        "uint32": (0, 2**32 - 1),
        "uint64": (0, 2**64 - 1),
    }
    narrow.update(sint32=narrow["int32"], sfixed32=narrow["int32"], sint64=narrow["int64"], sfixed64=narrow["int64"])
    narrow.update(fixed32=narrow["uint32"], fixed64=narrow["uint64"], colour=narrow["int32"])
    if kind in narrow:
        low, high = narrow[kind]
        return chance.choice((0, 1, low, high, chance.randint(low, high), chance.randint(0, 300), 127, 128))
    if kind in ("double", "float"):
        return chance.choice((0.0, -0.0, math.nan, math.inf, -math.inf, 1.5, chance.uniform(-1e30, 1e30), -1e-40))
    if kind == "bool":
        return chance.random() < 0.5
    # Lengths about those where one byte more says how long it is.
    text = chance.choice(("", "a", "ä€😀\0", "b" * 127, "é" * 64, "c" * chance.choice((16383, 16384, 300))))
    return text if kind == "string" else text.encode()


def fill(chance, message, depth=0):
    """Sets some fields."""
    for field in message.DESCRIPTOR.fields:
        if chance.random() < 0.6:
            continue
        prefix, _, kind = field.name.partition("_")
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            there = getattr(message, field.name)
            for _ in range(chance.randint(0, 2)):
                key = scalar(chance, "string")
                if field.name == "counts":
                    there[key] = scalar(chance, "int32")
                elif depth < 3:
                    fill(chance, there[key], depth + 1)
        elif field.message_type is not None:
            there = getattr(message, field.name)
            for one in [there.add() for _ in range(chance.randint(0, 3))] if field.is_repeated else [there]:
                one.SetInParent()
                if depth < 3:
                    fill(chance, one, depth + 1)
        elif field.name == "size":
            message.size = chance.choice((2, 5))
        elif field.name == "sizes":
            message.sizes.extend((2, 5, 2))
        elif field.is_repeated:
            kind = {"labels": "string", "packed": "sint64"}.get(field.name, kind)
            getattr(message, field.name).extend(scalar(chance, kind) for _ in range(chance.choice((0, 1, 2, 50))))
        else:
            texts = ("subject", "text", "name", "a")
            kind = "string" if field.name in texts else {"score": "int32", "id": "int32"}.get(field.name, kind)
            setattr(message, field.name, scalar(chance, kind))
    return message


def state(message):
    """All of a message that somebody might see, and what protobuf goes by when it changes."""
    fields = {}
    for field, value in message._fields.items():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            seen = {key: state(value[key]) if hasattr(value[key], "_fields") else value[key] for key in value}
        elif field.message_type is not None:
            seen = [state(one) for one in value] if field.is_repeated else state(value)
        else:
            seen = [value] if not field.is_repeated else value._values
            seen = [(type(one), repr(one)) for one in seen]
        fields[field.name] = seen
    oneofs = {oneof.name: field.name for oneof, field in message._oneofs.items()}
    flags = (
        message._cached_byte_size_dirty,
        message._is_present_in_parent,
        message._listener_for_children.dirty,
        message._frozen,
        type(message._listener).__name__,
    )
    return list(fields.items()), oneofs, list(message._unknown_fields), flags


def outcome(action):
    try:
        return action()
    except Exception as error:
        return type(error), str(error)


def plain_bytes(message):
    out = io.BytesIO()
    message._InternalSerialize(out.write)
    return out.getvalue()


class Codec(unittest.TestCase):
    def both(self, name, data, parse=lambda kind, data: kind.FromString(data)):
        """What both make of the same bytes; the messages, if they are some."""
        made = []

        def read(kind):
            made.append(parse(kind, data))
            return state(made[-1])

        theirs, ours = outcome(lambda: read(_PLAIN[name])), outcome(lambda: read(_FAST[name]))
        self.assertEqual(ours, theirs, f"{name} {data!r}")
        return made

    def test_it_knows_the_protobuf_that_is_here_and_leaves_others_alone(self):
        self.assertEqual((google.protobuf.__version__, api_implementation.Type()), (_codec.RELEASE, "python"))
        # Not the one that is open, nor entries of maps.
        known = {name for name, kind in _FAST.items() if kind in _codec._codecs}
        self.assertEqual(known, set(_FAST) - {"Open"})
        self.assertGreaterEqual(_INSTALLED, 5)
        release, _codec.RELEASE = _codec.RELEASE, "0.0.0"
        try:
            self.assertEqual(_codec.install(), 0)
        finally:
            _codec.RELEASE = release
        self.assertNotIn(_PLAIN["Mail"], _codec._codecs)

    def test_what_is_written_is_what_protobuf_writes_and_reads(self):
        chance = random.Random(1)
        for name in ("Kinds", "Mail", "Old"):
            for _ in range(ROUNDS // 4):
                message = fill(chance, _FAST[name]())
                data = message.SerializePartialToString()
                self.assertEqual(data, plain_bytes(message))
                plain = _PLAIN[name].FromString(data)
                self.assertEqual(data, plain.SerializePartialToString())
                self.assertEqual(outcome(message.SerializeToString), outcome(plain.SerializeToString))
                self.assertEqual(len(data), message.ByteSize())
                sorted_data = plain.SerializePartialToString(deterministic=True)
                self.assertEqual(message.SerializePartialToString(deterministic=True), sorted_data)

    def test_what_is_read_is_what_protobuf_reads_down_to_the_state_that_changes_go_by(self):
        chance = random.Random(2)
        for name in ("Kinds", "Mail", "Old"):
            for _ in range(ROUNDS // 4):
                data = fill(chance, _PLAIN[name]()).SerializePartialToString()
                plain, fast = self.both(name, data)
                self.assertEqual(fast.SerializePartialToString(), plain.SerializePartialToString())
                # Read into what is there already, and what was counted before.
                more = fill(chance, _PLAIN[name]()).SerializePartialToString()
                for message in (plain, fast):
                    message.ByteSize()
                self.assertEqual(outcome(lambda: fast.MergeFromString(more)), outcome(lambda: plain.MergeFromString(more)))
                self.assertEqual(state(fast), state(plain))
                self.assertEqual(fast.ByteSize(), plain.ByteSize())
                self.both(name, data, lambda kind, data: kind.FromString(bytearray(data)))

    def test_what_is_malformed_or_unknown_comes_out_as_protobuf_has_it(self):
        chance = random.Random(3)
        kinds = list(_FAST)
        for _ in range(ROUNDS):
            data = bytearray(fill(chance, _PLAIN[chance.choice(kinds)]()).SerializePartialToString()[:400])
            for _ in range(chance.randint(0, 4)):
                at = chance.randint(0, len(data))
                change = chance.randint(0, 3)
                if change == 0:
                    del data[at:]
                elif change == 1:
                    data[at:at] = chance.randbytes(chance.randint(1, 12))
                elif change == 2:
                    data[at : at + 1] = bytes((chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randint(0, 255))),))
                else:
                    del data[at : at + chance.randint(1, 3)]
            self.both(chance.choice(kinds), bytes(data))
        for _ in range(ROUNDS * 5):
            self.both(chance.choice(kinds), chance.randbytes(chance.randint(0, 24)))

    def test_nesting_ends_where_it_does_for_protobuf(self):
        for depth in (5, 99, 100, 101, 150):
            for tag in (b"\x12", b"\x1a"):
                data = b""
                for _ in range(depth):
                    data = tag + _writing._varint(len(data)) + data
                self.both("Mail", data)

    def test_what_changes_after_it_was_read_is_written(self):
        made = _PLAIN["Mail"](subject="a", labels=["x"], inner={"subject": "b"}, all=[{"subject": "c"}], text="t")
        for message in self.both("Mail", made.SerializeToString()):
            message.ByteSize()
            message.all[0].inner.subject = "deep"
            message.labels.append("y")
            message.forward.SetInParent()
            message.inner.kinds.many_double.append(1.0)
            self.assertEqual(len(message.SerializeToString()), message.ByteSize())
            self.assertEqual(message.WhichOneof("answer"), "forward")
            self.assertFalse(message.HasField("late"))
            again = type(message).FromString(message.SerializeToString())
            self.assertEqual(again, message)
            self.assertEqual(again.all[0].inner.subject, "deep")

    def test_a_child_outlives_the_message_that_it_was_read_with(self):
        child = _FAST["Mail"].FromString(b"\x12\x03\x0a\x01a").inner
        child.subject = "b"
        child.labels.append("c")
        self.assertEqual(child.SerializeToString(), b"\x0a\x01b\x2a\x01c")

    def test_what_must_be_there_is_asked_for_as_ever(self):
        with self.assertRaisesRegex(EncodeError, "missing required fields: id"):
            _FAST["Old"]().SerializeToString()
        self.assertEqual(_FAST["Old"](id=3).SerializeToString(), b"\x08\x03")
        self.assertRaises(DecodeError, _FAST["Old"].FromString, b"\x08")
        self.assertRaises(TypeError, _FAST["Mail"].FromString, "text")

    def test_messages_that_came_with_protobuf_are_read_and_written_too(self):
        self.assertTrue({any_pb2.Any, struct_pb2.Struct, timestamp_pb2.Timestamp} <= set(_codec._codecs))
        value = struct_pb2.Struct()
        value.update({"a": [1, "b", None, {"c": True}]})
        packed = any_pb2.Any()
        packed.Pack(value)
        self.assertEqual(packed.SerializeToString(), plain_bytes(packed))
        again = struct_pb2.Struct()
        self.assertTrue(any_pb2.Any.FromString(packed.SerializeToString()).Unpack(again))
        self.assertEqual(again, value)

    def test_messages_know_what_read_them(self):
        self.assertIsInstance(_FAST["Mail"].FromString(b"")._listener_for_children, python_message._Listener)


if __name__ == "__main__":
    unittest.main()
