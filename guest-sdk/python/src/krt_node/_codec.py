"""Reads and writes protobuf messages in fewer steps than protobuf's own implementation in Python, which is the one that
components have: classes, values and errors are protobuf's, and so is every byte.

`install` gives the classes of messages that are loaded functions made for their fields. What messages are mostly made of
is read and written here; the rest (unknown fields, maps, groups, closed enums, what is malformed) is handed to protobuf's
own function for it, at the place where it begins. A class that may be extended is left alone.

Knows the inside of one release of protobuf, and does nothing beside another.
"""

from __future__ import annotations

from struct import error as StructError
from typing import Any

import google.protobuf
from google.protobuf.internal import api_implementation, python_message
from google.protobuf.message import DecodeError, Message

from . import _reading, _writing, messages

#: The release whose inside this is written for: the one that `krt build` puts into components.
RELEASE = "7.36.2"


class _Codec:
    """What one class of messages is read and written by."""

    def __init__(self, kind: type[Any]) -> None:
        self.kind = kind
        #: By the first byte of a tag, or its two bytes, the lower one first.
        self.readers: dict[int, _reading.Read] = {}
        #: In the order of the fields' numbers.
        self.writers: dict[Any, _writing.Write] = {}
        self.read = _reading.of_message(kind, self.readers)
        self.write = _writing.of_message(self.writers)

    def fill(self) -> None:
        for field in sorted(self.kind.DESCRIPTOR.fields, key=lambda field: field.number):
            python_message._MaybeAddDecoder(self.kind, field)
            python_message._MaybeAddEncoder(self.kind, field)
            child = _codecs.get(getattr(field.message_type, "_concrete_class", None))  # type: ignore[arg-type]
            for tag, (owner, is_packed) in self.kind._fields_by_tag.items():
                if owner is field and len(tag) <= 2:
                    inner = None if child is None else (child.kind, child.read)
                    self.readers[int.from_bytes(tag, "little")] = _reading.of_field(field, is_packed, inner)
            self.writers[field] = _writing.of_field(field, None if child is None else child.write)


_codecs: dict[type[Any], _Codec] = {}


def install() -> int:
    """Makes functions for all classes of messages that are loaded and have none: for how many. 0 beside another release."""
    if google.protobuf.__version__ != RELEASE or api_implementation.Type() != "python":
        return 0
    found = [kind for kind in Message.__subclasses__() if kind not in _codecs and _is_plain(kind.DESCRIPTOR)]
    # All of them first: they contain each other.
    for kind in found:
        _codecs[kind] = _Codec(kind)
    for kind in found:
        _codecs[kind].fill()
        _replace(_codecs[kind])
    return len(found)


def _is_plain(descriptor: Any) -> bool:
    if descriptor is None or descriptor.file.name == "google/protobuf/descriptor.proto":
        return False
    # Entries of maps have all their fields, set or not.
    return not descriptor.is_extendable and not descriptor._is_map_entry


def _replace(codec: _Codec) -> None:
    kind, read, write = codec.kind, codec.read, codec.write
    merge, to_string, partial_to_string = kind.MergeFromString, kind.SerializeToString, kind.SerializePartialToString
    is_always_whole = not messages.has_required(kind.DESCRIPTOR, set())

    def from_string(s: bytes) -> Any:
        if type(s) is bytes:
            message = _reading.fresh(kind, _reading.NOBODY)
            parse(message, s)
        else:
            message = kind()
            merge(message, s)
        return message

    def merge_from_string(self: Any, serialized: bytes) -> Any:
        if type(serialized) is not bytes or self._frozen:
            return merge(self, serialized)
        return parse(self, serialized)

    def parse(message: Any, data: bytes) -> int:
        end = len(data)
        try:
            if read(message, data, 0, end, 0) != end:
                raise DecodeError("Unexpected end-group tag.")
        except (IndexError, TypeError):
            raise DecodeError("Truncated message.")
        except StructError as error:
            raise DecodeError(error)
        return end

    def serialize_partial_to_string(self: Any, **kwargs: Any) -> Any:
        return partial_to_string(self, **kwargs) if kwargs else write(self)

    def serialize_to_string(self: Any, **kwargs: Any) -> Any:
        return write(self) if is_always_whole and not kwargs else to_string(self, **kwargs)

    kind.FromString = staticmethod(from_string)
    kind.MergeFromString = merge_from_string
    kind.SerializePartialToString = serialize_partial_to_string
    kind.SerializeToString = serialize_to_string
    if is_always_whole:
        messages.know(kind, write)
