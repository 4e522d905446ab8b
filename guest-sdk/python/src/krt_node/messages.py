"""Messages as a handler meets them: their kinds, and protobuf types by name. Never touches the host."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from google.protobuf.message import DecodeError, Message

from .errors import UnpackError

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage

    T = TypeVar("T", bound=Message)

#: What a type URL starts with, as every other runner writes it.
TYPE_URL_PREFIX = "type.googleapis.com/"


class MessageType(IntEnum):
    """What kind of message was received."""

    UNDEFINED = 0
    OK = 1
    ERROR = 2
    EARLY_REPLY = 3
    EARLY_EXIT = 4


class OutputType(IntEnum):
    """The kinds of message that a handler may send."""

    OK = 0
    EARLY_REPLY = 1
    EARLY_EXIT = 2


class Scope(str, Enum):
    """Who shares a setting. Its values are the words that the original takes: `"node"`, `"workflow"`, `"project"`."""

    NODE = "node"
    WORKFLOW = "workflow"
    PROJECT = "project"


def message_name(type_url: str) -> str:
    """Full protobuf name: what follows the last `/` of a type URL."""
    return type_url.rpartition("/")[2]


#: By message class: its type URL, and what serialises one.
_TYPES: dict[type, tuple[str, Callable[[Message], bytes]]] = {}


def packed(message: Message) -> tuple[str, bytes]:
    """Type URL and bytes of a message."""
    url, serialise = _TYPES.get(type(message)) or _learn(message)
    return url, serialise(message)


def _learn(message: Message) -> tuple[str, Callable[[Message], bytes]]:
    kind = type(message)
    if not isinstance(message, Message):
        raise TypeError(f"a protobuf message is wanted, not {kind.__qualname__}")
    # Looking for required fields that are missing goes through the whole message; without any it finds nothing.
    whole = not has_required(kind.DESCRIPTOR, set())
    return know(kind, kind.SerializePartialToString if whole else kind.SerializeToString)


def know(kind: type[Message], serialise: Callable[[Any], bytes]) -> tuple[str, Callable[[Any], bytes]]:
    """Has messages of this class serialised so, from now on."""
    _TYPES[kind] = known = TYPE_URL_PREFIX + kind.DESCRIPTOR.full_name, serialise
    return known


def has_required(descriptor: Any, seen: set[str]) -> bool:
    """Whether a message of this type may lack something that it must have, here or deeper."""
    seen.add(descriptor.full_name)
    if descriptor.extension_ranges:
        return True
    for field in descriptor.fields:
        if field.is_required:
            return True
        inner = field.message_type
        if inner is not None and inner.full_name not in seen and has_required(inner, seen):
            return True
    return False


def decode(message_class: type[T], type_url: str | None, data: bytes | None) -> T:
    """The payload as a message of this class, or an error that names both types."""
    expected = message_class.DESCRIPTOR.full_name
    if type_url is None or data is None:
        raise UnpackError(f"the message has no payload, a {expected!r} was expected")
    found = message_name(type_url)
    if found != expected:
        raise UnpackError(f"the payload is a {found!r}, not a {expected!r}")
    try:
        return message_class.FromString(data)
    except DecodeError as error:
        raise UnpackError(f"the payload is not a valid {expected!r}: {error}") from None


def unpack(payload: AnyMessage, message_class: type[T]) -> T:
    """A packed message as one of this class.

    `payload.Unpack(message)` says no more than False when it is another one, as protobuf has it; this raises.

    Raises:
        UnpackError: it is another message (both names are in the text), or its bytes are not one of this class.
    """
    return decode(message_class, payload.type_url or None, payload.value)
