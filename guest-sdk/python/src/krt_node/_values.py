"""What handlers give, made fit for the contract: a text that is no UTF-8 or a number out of range would end the instance."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
_SIGNED = 1 << 63
_UNSIGNED = 1 << 64


def text(value: Any, what: str) -> str:
    """A text that can be passed on; lone surrogates cannot."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is a text, not {type(value).__qualname__}")
    if not value.isascii():
        value.encode()
    return value


def lossy(value: str) -> str:
    """A text for people: what cannot be passed on is escaped."""
    return value if value.isascii() else value.encode(errors="backslashreplace").decode()


def data(value: Any, what: str) -> bytes:
    """Bytes that can be passed on."""
    if type(value) is bytes:
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    raise TypeError(f"{what} is bytes, not {type(value).__qualname__}")


def channel(value: str | None) -> str | None:
    """A channel; the empty text is none, as in the original."""
    return text(value, "a channel") if value else None


def field(value: Any) -> tuple[str, float | int | bool | str]:
    """A measurement's value as a case of the contract's `value`."""
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, str):
        return "text", lossy(value)
    if isinstance(value, float):
        return "float", float(value)
    if hasattr(value, "__index__"):
        number = value.__index__()
        if -_SIGNED <= number < _SIGNED:
            return "signed", number
        if 0 <= number < _UNSIGNED:
            return "unsigned", number
        return "float", float(number)
    if hasattr(value, "__float__"):
        return "float", float(value)
    raise TypeError(f"a field is a number, a truth value or a text, not {type(value).__qualname__}")


def nanoseconds(time: datetime | int | None, unit: int = 1) -> int | None:
    """A time as nanoseconds since 1970. A `datetime` without a zone is UTC; a number counts `unit` nanoseconds."""
    if time is None:
        return None
    if isinstance(time, datetime):
        if time.tzinfo is None:
            time = time.replace(tzinfo=timezone.utc)
        number = (time - _EPOCH) // _MICROSECOND * 1000
    else:
        number = time.__index__() * unit
    if not -_SIGNED <= number < _SIGNED:
        raise ValueError(f"{time} is out of the range of times")
    return number
