"""What a handler did with one message."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from ..messages import OutputType, decode

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from ..errors import Failure

    T = TypeVar("T", bound=Message)


@dataclass(frozen=True)
class Output:
    """One message that a handler sent."""

    #: Its kind.
    output_type: OutputType
    #: The channel it was sent on; None for the node's default output.
    channel: str | None
    #: Type URL and bytes of the payload; None only when an ERROR was relayed.
    payload: tuple[str, bytes] | None

    def decode(self, message_class: type[T]) -> T:
        """The message as one of this class.

        Raises:
            UnpackError: it is another one, or none.
        """
        return decode(message_class, *(self.payload or (None, None)))


@dataclass(frozen=True)
class LogLine:
    """One line that a handler logged."""

    #: `trace`, `debug`, `info`, `warn` or `error`.
    level: str
    text: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Point:
    """One measurement that a handler saved."""

    name: str
    fields: dict[str, Any]
    tags: dict[str, str]
    #: None is the time when it was saved.
    time: datetime | None


@dataclass(frozen=True)
class Predicted:
    """One prediction that a handler saved."""

    predicted_value: str
    true_value: str
    #: JSON that was kept with it.
    extra: str | None
    time: datetime | None
    #: Why there was none: `missing-values`, `new-labels`; else empty.
    problem: str = ""


@dataclass
class Outcome:
    """What a handler did with one message."""

    #: Why it failed, if it did: `Rejected` or `Transient`, with the text that goes out.
    failure: Failure | None = None
    #: What it sent, in order. A handler that fails has sent what it sent before.
    outputs: list[Output] = field(default_factory=list)
    #: What it logged, `init`'s lines first if that ran.
    logs: list[LogLine] = field(default_factory=list)
    #: What it measured.
    measurements: list[Point] = field(default_factory=list)
    #: The predictions it saved.
    predictions: list[Predicted] = field(default_factory=list)

    def sent(self, message_class: type[T]) -> list[T]:
        """All that it sent, as messages of this class.

        Raises:
            Failure: the handler failed.
            UnpackError: it sent something else.
        """
        if self.failure is not None:
            raise self.failure
        return [output.decode(message_class) for output in self.outputs]


def moment(nanoseconds: int | None) -> datetime | None:
    """A time of the contract as a `datetime`."""
    return None if nanoseconds is None else datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc)
