"""What writes messages: a function for each field, and one for the message that they make up. protobuf's own where a field
is of a rare kind. Never decides what is written by it: that is `_codec`'s.
"""

from __future__ import annotations

from struct import Struct, pack
from typing import Any, Callable

from google.protobuf.internal import api_implementation, encoder, python_message, wire_format

from ._reading import FIXED

#: Appends the bytes of one field that is set.
Write = Callable[[list[bytes], Any], None]
#: The bytes of a message.
WriteMessage = Callable[[Any], bytes]

_Field = python_message._FieldDescriptor
_SHORT = tuple(bytes((size,)) for size in range(128))


def of_message(writers: dict[Any, Write]) -> WriteMessage:
    """What writes messages, by what writes their fields in the order of their numbers."""

    def write(message: Any) -> bytes:
        parts: list[bytes] = []
        fields = message._fields
        if len(fields) * 4 < len(writers):
            for field, value in sorted(fields.items(), key=_number):
                writers[field](parts, value)
        else:
            for field, write_field in writers.items():
                value = fields.get(field)
                if value is not None:
                    write_field(parts, value)
        for unknown in message._unknown_fields:
            parts += unknown
        return b"".join(parts)

    return write


def _number(item: tuple[Any, Any]) -> Any:
    return item[0].number


def of_field(field: Any, child: WriteMessage | None) -> Write:
    """What writes this field. `child`: what writes the messages in it."""
    kind = field.type
    if kind == _Field.TYPE_MESSAGE and child is not None:
        return (_write_messages if field.is_repeated else _write_message)(field, child)
    if kind == _Field.TYPE_STRING:
        return (_write_texts if field.is_repeated else _write_text)(field)
    if kind == _Field.TYPE_BYTES and not field.is_repeated:
        return _write_bytes(field)
    if kind in _VARINTS and not field.is_repeated:
        return _write_varint(field, _VARINTS[kind])
    if kind in FIXED and field.is_packed:
        return _write_packed_fixed(field, FIXED[kind])
    if kind in FIXED and not field.is_repeated:
        return _write_fixed(field, FIXED[kind])
    return _library(field)


def _library(field: Any) -> Write:
    encode = field._encoder
    is_deterministic = api_implementation.IsPythonDefaultSerializationDeterministic

    if field.is_repeated or field.message_type is None:

        def write(parts: list[bytes], value: Any) -> None:
            # A map, or a list, that was looked at and stayed empty is no field that is set.
            if value or not field.is_repeated:
                encode(parts.append, value, is_deterministic())

    else:

        def write(parts: list[bytes], value: Any) -> None:
            if value._is_present_in_parent:
                encode(parts.append, value, is_deterministic())

    return write


def _varint(value: int) -> bytes:
    if value < 128:
        return _SHORT[value]
    if value < 16384:
        return bytes((value & 127 | 128, value >> 7))
    more = []
    while value > 127:
        more.append(value & 127 | 128)
        value >>= 7
    more.append(value)
    return bytes(more)


def _write_text(field: Any) -> Write:
    tag = encoder.TagBytes(field.number, 2)

    def write(parts: list[bytes], value: str) -> None:
        data = value.encode()
        size = len(data)
        parts += (tag, _SHORT[size] if size < 128 else _varint(size), data)

    return write


def _write_bytes(field: Any) -> Write:
    tag = encoder.TagBytes(field.number, 2)

    def write(parts: list[bytes], value: bytes) -> None:
        size = len(value)
        parts += (tag, _SHORT[size] if size < 128 else _varint(size), value)

    return write


def _write_texts(field: Any) -> Write:
    tag = encoder.TagBytes(field.number, 2)

    def write(parts: list[bytes], value: Any) -> None:
        for text in value._values:
            data = text.encode()
            size = len(data)
            parts += (tag, _SHORT[size] if size < 128 else _varint(size), data)

    return write


def _write_message(field: Any, write_child: WriteMessage) -> Write:
    tag = encoder.TagBytes(field.number, 2)

    def write(parts: list[bytes], value: Any) -> None:
        if value._is_present_in_parent:
            data = write_child(value)
            size = len(data)
            parts += (tag, _SHORT[size] if size < 128 else _varint(size), data)

    return write


def _write_messages(field: Any, write_child: WriteMessage) -> Write:
    tag = encoder.TagBytes(field.number, 2)

    def write(parts: list[bytes], value: Any) -> None:
        for child in value._values:
            data = write_child(child)
            size = len(data)
            parts += (tag, _SHORT[size] if size < 128 else _varint(size), data)

    return write


#: What becomes of a number before it is written as a varint.
_VARINTS: dict[int, Callable[[int], int] | None] = {
    **dict.fromkeys((_Field.TYPE_INT32, _Field.TYPE_INT64, _Field.TYPE_UINT32, _Field.TYPE_UINT64, _Field.TYPE_ENUM)),
    _Field.TYPE_SINT32: wire_format.ZigZagEncode,
    _Field.TYPE_SINT64: wire_format.ZigZagEncode,
    _Field.TYPE_BOOL: None,
}


def _write_varint(field: Any, modify: Callable[[int], int] | None) -> Write:
    tag = encoder.TagBytes(field.number, 0)

    def write(parts: list[bytes], value: int) -> None:
        if modify is not None:
            value = modify(value)
        elif value < 0:
            value += 1 << 64
        parts += (tag, _SHORT[value] if value < 128 else _varint(value))

    return write


def _write_fixed(field: Any, how: tuple[str, int]) -> Write:
    letter, size = how
    tag = encoder.TagBytes(field.number, 5 if size == 4 else 1)
    pack_one = Struct("<" + letter).pack

    def write(parts: list[bytes], value: Any) -> None:
        parts += (tag, pack_one(value))

    return write


def _write_packed_fixed(field: Any, how: tuple[str, int]) -> Write:
    letter, width = how
    tag = encoder.TagBytes(field.number, 2)

    def write(parts: list[bytes], value: Any) -> None:
        values = value._values
        if values:
            size = len(values)
            parts += (tag, _varint(size * width), pack(f"<{size}{letter}", *values))

    return write
