"""What reads messages: a function for each field, and one for the message that they make up. protobuf's own where a field is
of a rare kind, or its bytes are not as they should be. Never decides what is read by it: that is `_codec`'s.
"""

from __future__ import annotations

import math
import weakref
from struct import Struct, unpack_from
from typing import Any, Callable

from google.protobuf.internal import decoder, encoder, message_listener, python_message
from google.protobuf.message import DecodeError

#: Reads one field's value: the bytes, where the value begins, where the message ends, the message, its fields, how deep it
#: lies. Returns where the value ends.
Read = Callable[[bytes, int, int, Any, dict[Any, Any], int], int]
#: Reads a message: it, the bytes, where they begin and end, how deep it lies. Returns where it ends.
ReadMessage = Callable[[Any, bytes, int, int, int], int]

#: A listener without a state serves all.
NOBODY = message_listener.NullMessageListener()

_Field = python_message._FieldDescriptor
_read_varint = decoder._DecodeVarint
_new = object.__new__


def fresh(kind: type[Any], listener: Any) -> Any:
    """A message without fields, as it is when reading into it has begun; without the calls that `kind()` makes."""
    message = _new(kind)
    message._cached_byte_size = 0
    message._cached_byte_size_dirty = True
    message._fields = {}
    message._unknown_fields = ()
    message._is_present_in_parent = True
    message._listener = listener
    message._oneofs = {}
    message._frozen = False
    own = _new(python_message._Listener)
    own._parent_message_weakref = weakref.proxy(message)
    own.dirty = True
    message._listener_for_children = own
    return message


def of_message(kind: type[Any], readers: dict[int, Read]) -> ReadMessage:
    """What reads messages of this class, by what reads its fields."""
    internal_parse = kind._InternalParse
    reader_of = readers.get

    def read(message: Any, data: bytes, pos: int, end: int, depth: int) -> int:
        if not message._cached_byte_size_dirty:
            message._Modified()
        fields = message._fields
        while pos != end:
            tag = data[pos]
            after = pos + 1
            if tag > 127:
                tag |= data[after] << 8
                after += 1
            read_field = reader_of(tag)
            if read_field is None:
                rest: int = internal_parse(message, memoryview(data), pos, end, depth)
                return rest
            pos = read_field(data, after, end, message, fields, depth)
        return pos

    return read


def of_field(field: Any, is_packed: bool, child: tuple[type[Any], ReadMessage] | None) -> Read:
    """What reads this field. `child`: the class of the messages in it, and what reads them."""
    read = _of_value(field, is_packed, child)
    return read if field.containing_oneof is None else _one_of(read, field)


def _of_value(field: Any, is_packed: bool, child: tuple[type[Any], ReadMessage] | None) -> Read:
    kind = field.type
    if kind == _Field.TYPE_ENUM and not field.enum_type.is_closed:
        kind = _Field.TYPE_INT32
    theirs = _library(field, is_packed)
    if kind == _Field.TYPE_MESSAGE and child is not None:
        return (_read_messages if field.is_repeated else _read_message)(field, child, theirs)
    if kind == _Field.TYPE_STRING:
        return (_read_texts if field.is_repeated else _read_text)(field, theirs)
    if kind == _Field.TYPE_BYTES and not field.is_repeated:
        return _read_bytes(field, theirs)
    if kind in _VARINTS and is_packed:
        return _read_packed_varints(field, _VARINTS[kind], theirs)
    if kind in _VARINTS and not field.is_repeated:
        return _read_varint_field(field, _VARINTS[kind], theirs)
    if kind in FIXED and is_packed:
        return _read_packed_fixed(field, FIXED[kind], theirs)
    if kind in FIXED and not field.is_repeated:
        return _read_fixed(field, FIXED[kind], theirs)
    return theirs


def _library(field: Any, is_packed: bool) -> Read:
    """protobuf's own: for what is rare, and for the words of its errors."""
    decode = field._decoders[is_packed]

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        after: int = decode(memoryview(data), pos, end, message, fields, depth)
        return after

    return read


def _one_of(read: Read, field: Any) -> Read:
    oneof = field.containing_oneof

    def read_one(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        pos = read(data, pos, end, message, fields, depth)
        if message._oneofs.setdefault(oneof, field) is not field:
            message._UpdateOneofState(field)
        return pos

    return read_one


def _read_text(field: Any, theirs: Read) -> Read:
    keeps_empty = field.has_presence

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        size = data[pos]
        start = pos + 1
        if size > 127:
            size, start = _read_varint(data, pos)
        stop = start + size
        if stop > end:
            return theirs(data, pos, end, message, fields, depth)
        if size or keeps_empty:
            try:
                fields[field] = str(data[start:stop], "utf-8")
            except UnicodeDecodeError:
                return theirs(data, pos, end, message, fields, depth)
        else:
            fields.pop(field, None)
        return stop

    return read


def _read_bytes(field: Any, theirs: Read) -> Read:
    keeps_empty = field.has_presence

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        size = data[pos]
        start = pos + 1
        if size > 127:
            size, start = _read_varint(data, pos)
        stop = start + size
        if stop > end:
            return theirs(data, pos, end, message, fields, depth)
        if size or keeps_empty:
            fields[field] = data[start:stop]
        else:
            fields.pop(field, None)
        return stop

    return read


def _read_texts(field: Any, theirs: Read) -> Read:
    tag = encoder.TagBytes(field.number, 2)
    length = len(tag)
    first = tag[0]
    make = field._default_constructor

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        container = fields.get(field)
        if container is None:
            container = fields[field] = make(message)
        append = container._values.append
        while True:
            size = data[pos]
            start = pos + 1
            if size > 127:
                size, start = _read_varint(data, pos)
            stop = start + size
            if stop > end:
                return theirs(data, pos, end, message, fields, depth)
            try:
                append(str(data[start:stop], "utf-8"))
            except UnicodeDecodeError:
                return theirs(data, pos, end, message, fields, depth)
            # Most often the next one is another of the same field.
            if stop == end or data[stop] != first or data[stop : stop + length] != tag:
                return stop
            pos = stop + length

    return read


def _read_message(field: Any, child: tuple[type[Any], ReadMessage], theirs: Read) -> Read:
    kind, read_child = child
    make = field._default_constructor
    is_in_oneof = field.containing_oneof is not None

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        size = data[pos]
        start = pos + 1
        if size > 127:
            size, start = _read_varint(data, pos)
        stop = start + size
        if stop > end or depth >= decoder._recursion_limit:
            return theirs(data, pos, end, message, fields, depth)
        inner = fields.get(field)
        if inner is None:
            inner = make(message) if is_in_oneof else fresh(kind, message._listener_for_children)
            fields[field] = inner
        if read_child(inner, data, start, stop, depth + 1) != stop:
            raise DecodeError("Unexpected end-group tag.")
        return stop

    return read


def _read_messages(field: Any, child: tuple[type[Any], ReadMessage], theirs: Read) -> Read:
    kind, read_child = child
    tag = encoder.TagBytes(field.number, 2)
    length = len(tag)
    first = tag[0]
    make = field._default_constructor

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        container = fields.get(field)
        if container is None:
            container = fields[field] = make(message)
        append, listener = container._values.append, container._message_listener
        while True:
            size = data[pos]
            start = pos + 1
            if size > 127:
                size, start = _read_varint(data, pos)
            stop = start + size
            if stop > end or depth >= decoder._recursion_limit:
                return theirs(data, pos, end, message, fields, depth)
            inner = fresh(kind, listener)
            append(inner)
            if read_child(inner, data, start, stop, depth + 1) != stop:
                raise DecodeError("Unexpected end-group tag.")
            if stop == end or data[stop] != first or data[stop : stop + length] != tag:
                return stop
            pos = stop + length

    return read


#: Types whose values are varints: what reads one of more than a byte, and what becomes of the number.
_VARINTS: dict[int, tuple[Callable[[bytes, int], tuple[int, int]], Callable[[int], Any] | None]] = {
    _Field.TYPE_INT32: (decoder._DecodeSignedVarint32, None),
    _Field.TYPE_INT64: (decoder._DecodeSignedVarint, None),
    _Field.TYPE_UINT32: (decoder._DecodeVarint32, None),
    _Field.TYPE_UINT64: (decoder._DecodeVarint, None),
    _Field.TYPE_SINT32: (decoder._DecodeVarint32, decoder.wire_format.ZigZagDecode),
    _Field.TYPE_SINT64: (decoder._DecodeVarint, decoder.wire_format.ZigZagDecode),
    _Field.TYPE_BOOL: (decoder._DecodeVarint, bool),
}


def _read_varint_field(field: Any, how: Any, theirs: Read) -> Read:
    read_long, modify = how
    keeps_zero = field.has_presence

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        value = data[pos]
        if value > 127:
            value, after = read_long(data, pos)
        else:
            after = pos + 1
        if after > end:
            return theirs(data, pos, end, message, fields, depth)
        if value or keeps_zero:
            fields[field] = value if modify is None else modify(value)
        else:
            fields.pop(field, None)
        return after

    return read


def _read_packed_varints(field: Any, how: Any, theirs: Read) -> Read:
    read_long, modify = how
    make = field._default_constructor

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        size, start = _read_varint(data, pos)
        stop = start + size
        if stop > end or (size and data[stop - 1] > 127):
            return theirs(data, pos, end, message, fields, depth)
        container = fields.get(field)
        if container is None:
            container = fields[field] = make(message)
        values = data[start:stop]
        numbers: Any = values
        if not values.isascii():
            numbers, at, append = [], start, None
            append = numbers.append
            try:
                while at < stop:
                    number = data[at]
                    if number > 127:
                        number, at = read_long(data, at)
                    else:
                        at += 1
                    append(number)
            except DecodeError:
                return theirs(data, pos, end, message, fields, depth)
        container._values.extend(numbers if modify is None else map(modify, numbers))
        return stop

    return read


#: Types whose values have a fixed size: the letter of `struct`, and the size.
FIXED = {
    _Field.TYPE_FIXED32: ("I", 4),
    _Field.TYPE_SFIXED32: ("i", 4),
    _Field.TYPE_FLOAT: ("f", 4),
    _Field.TYPE_FIXED64: ("Q", 8),
    _Field.TYPE_SFIXED64: ("q", 8),
    _Field.TYPE_DOUBLE: ("d", 8),
}


def _read_fixed(field: Any, how: tuple[str, int], theirs: Read) -> Read:
    letter, size = how
    unpack = Struct("<" + letter).unpack_from
    keeps_zero = field.has_presence

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        stop = pos + size
        if stop > end:
            return theirs(data, pos, end, message, fields, depth)
        (value,) = unpack(data, pos)
        # Of numbers that are no numbers, protobuf knows one.
        if value != value:
            value = math.nan
        # Minus zero is a value, too.
        if value or keeps_zero or data[stop - 1] > 127:
            fields[field] = value
        else:
            fields.pop(field, None)
        return stop

    return read


def _read_packed_fixed(field: Any, how: tuple[str, int], theirs: Read) -> Read:
    letter, width = how
    make = field._default_constructor

    def read(data: bytes, pos: int, end: int, message: Any, fields: dict[Any, Any], depth: int) -> int:
        size, start = _read_varint(data, pos)
        stop = start + size
        if stop > end or size % width:
            return theirs(data, pos, end, message, fields, depth)
        container = fields.get(field)
        if container is None:
            container = fields[field] = make(message)
        values = unpack_from(f"<{size // width}{letter}", data, start)
        if math.isnan(sum(values)):
            values = tuple(math.nan if value != value else value for value in values)
        container._values.extend(values)
        return stop

    return read
