"""What a handler may do, and the facts about the message in hand."""

from __future__ import annotations

import logging
import posixpath
from typing import TYPE_CHECKING, Any, Awaitable

from . import _values
from ._host import CLOSED
from .capability import (
    NOTHING,
    AsyncConfiguration,
    AsyncDatabase,
    AsyncPrediction,
    Configuration,
    Database,
    Measurement,
    ObjectStore,
    Prediction,
)
from .errors import PathError
from .messages import MessageType, OutputType, message_name, packed

if TYPE_CHECKING:
    from google.protobuf.any_pb2 import Any as AnyMessage
    from google.protobuf.message import Message

    from ._host import Host, Metadata
    from .node import Node


class Parts:
    """What all contexts of one instance share."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.configuration = Configuration(host)
        self.async_configuration = AsyncConfiguration(host)
        self.object_store = ObjectStore(host)
        self.measurement = Measurement(host)
        self.prediction = Prediction(host)
        self.async_prediction = AsyncPrediction(host)
        self.db = Database(host)
        self.async_db = AsyncDatabase(host)
        self.metadata = host.metadata()
        self.logger = logging.getLogger(self.metadata.node)
        self.data: dict[str, Any] = {}


class BaseContext:
    """The message in hand, and what both kinds of handlers use alike."""

    # What the handler's loop sets for every message: plain attributes, no calls.
    __slots__ = ("_data", "_error", "_host", "_kind", "_parts", "_type_url", "from_node", "request_id")

    #: The call that the message belongs to; empty in `init`.
    request_id: str
    #: The node that sent it; `entrypoint` for a request, empty in `init`.
    from_node: str

    def __init__(
        self,
        parts: Parts,
        request_id: str = "",
        from_node: str = "",
        kind: int = 0,
        type_url: str | None = None,
        data: bytes | None = None,
        error: str | None = None,
    ) -> None:
        self._parts = parts
        self._host = parts.host
        self.request_id = request_id
        self.from_node = from_node
        self._kind = kind
        self._type_url = type_url
        self._data = data
        self._error = error

    def _close(self) -> None:
        """The handler has returned: whoever kept the context cannot send in the name of another message."""
        self._host = CLOSED  # type: ignore[assignment]

    # The message in hand.

    def get_request_id(self) -> str:
        """The call that the message belongs to."""
        return self.request_id

    @property
    def message_type(self) -> MessageType:
        """Its kind."""
        return MessageType(self._kind)

    @property
    def message_name(self) -> str:
        """Full protobuf name of its payload; empty without one."""
        return message_name(self._type_url or "")

    @property
    def error(self) -> str | None:
        """The text of the origin node's error, if the message reports one; it may be empty."""
        return (self._error or "") if self._kind == 2 else None

    def is_message_ok(self) -> bool:
        """Whether it is an ordinary output."""
        return self._kind == 1

    def is_message_error(self) -> bool:
        """Whether it reports an error of the node that sent it."""
        return self._kind == 2

    def is_message_early_reply(self) -> bool:
        """Whether it is an answer for the caller from a node that goes on."""
        return self._kind == 3

    def is_message_early_exit(self) -> bool:
        """Whether it is an answer for the caller from a node that stopped."""
        return self._kind == 4

    # The words of demos and documents of the original.
    is_request_ok = is_message_ok
    is_request_error = is_message_error
    is_request_early_reply = is_message_early_reply
    is_request_early_exit = is_message_early_exit

    @property
    def attempt(self) -> int:
        """1 the first time, more when the message comes again; 0 in `init`."""
        return self._host.attempt()

    @property
    def time_remaining(self) -> float | None:
        """Seconds that the handler may still take; None without a limit."""
        nanoseconds = self._host.time_remaining()
        return None if nanoseconds is None else nanoseconds / 1e9

    @property
    def channel(self) -> str | None:
        """The channel of the origin node that the message came on; None for its default output."""
        return self._host.channel()

    @property
    def traceparent(self) -> str | None:
        """W3C `traceparent` of the span in hand, for calls that the node makes itself."""
        return self._host.traceparent()

    @property
    def max_payload(self) -> int:
        """Largest message in bytes that the bus takes, envelope included, before compression."""
        return self._parts.host.max_payload()

    # What the node may use.

    @property
    def metadata(self) -> Metadata:
        """What this node is."""
        return self._parts.metadata

    @property
    def logger(self) -> logging.Logger:
        """The node's logger. Any other of `logging` ends in the same log; `extra` becomes fields."""
        return self._parts.logger

    @property
    def object_store(self) -> ObjectStore:
        """The object store that the manifest declares for this node."""
        return self._parts.object_store

    @property
    def measurement(self) -> Measurement:
        """Points of time series."""
        return self._parts.measurement

    def path(self, relative_path: str) -> str:
        """Where a file of the package is: `open` can read it. The package is read-only.

        Raises:
            PathError: it is absolute or contains `..`.
        """
        parts = relative_path.split("/")
        if not relative_path or not parts[0] or ".." in parts:
            raise PathError(f"{relative_path!r} is not a path inside the package: relative, without '..'")
        return posixpath.join(self._parts.metadata.base_path, relative_path)

    def set(self, key: str, value: Any) -> None:
        """Keeps a value in this instance's memory, as a global variable would."""
        self._parts.data[key] = value

    def get(self, key: str) -> Any:
        """What `set` kept.

        Raises:
            KeyError: nothing was.
        """
        return self._parts.data[key]

    # Sending.

    def _send(self, message: Message, output: int, channel: str | None) -> None:
        url, data = packed(message)
        self._host.send(url, data, output, _values.channel(channel) if channel else None)

    def _send_any(self, payload: AnyMessage, output: int, channel: str | None) -> None:
        url, data = _values.text(payload.type_url, "a type URL"), _values.data(payload.value, "a payload")
        self._host.send(url, data, output, _values.channel(channel))


class Context(BaseContext):
    """The message in hand, and everything that a plain handler may do.

    Sending means that the host has taken the message over; the message in hand is acknowledged only after the bus has
    accepted everything that was sent. A handler that is run again for the same message sends each output once, as long
    as it sends them in the same order.
    """

    __slots__ = ()

    def send_output(self, message: Message, channel: str | None = "") -> None:
        """Sends to the nodes that subscribe to this one, or to those of one channel alone; from the exitpoint, to the caller.

        Raises:
            SendError: nothing was sent.
        """
        url, data = packed(message)
        self._host.send(url, data, 0, _values.channel(channel) if channel else None)

    def send_any(self, message: AnyMessage, channel: str | None = "") -> None:
        """Sends a packed message as it is.

        Raises:
            SendError: nothing was sent.
        """
        self._send_any(message, 0, channel)

    def send_early_reply(self, message: Message, channel: str | None = "") -> None:
        """Sends an answer for the caller and goes on. The exitpoint must subscribe to this node and relay it.

        Raises:
            SendError: nothing was sent.
        """
        self._send(message, 1, channel)

    def send_early_exit(self, message: Message, channel: str | None = "") -> None:
        """Sends an answer for the caller; the handler should return then. The exitpoint must relay it.

        Raises:
            SendError: nothing was sent.
        """
        self._send(message, 2, channel)

    def relay(self, channel: str | None = "", output: OutputType = OutputType.OK) -> None:
        """Sends the payload in hand on, without copying it out of this component. Of an ERROR, a message without payload.

        Raises:
            SendError: nothing was sent.
        """
        self._host.relay(int(output), _values.channel(channel))

    @property
    def configuration(self) -> Configuration:
        """Settings that outlive a message."""
        return self._parts.configuration

    @property
    def prediction(self) -> Prediction:
        """Predictions beside the truth, for the version's metrics."""
        return self._parts.prediction

    @property
    def db(self) -> Database:
        """The runtime's database."""
        return self._parts.db


class AsyncContext(BaseContext):
    """The message in hand, and everything that an `async` handler may do: what the original awaits is awaited.

    All is done when the call returns, whether it is awaited at once, later or never: a component waits inside the host.
    """

    __slots__ = ()

    def send_output(self, message: Message, channel: str | None = "") -> Awaitable[None]:
        """As `Context.send_output`."""
        url, data = packed(message)
        self._host.send(url, data, 0, _values.channel(channel) if channel else None)
        return NOTHING

    def send_any(self, message: AnyMessage, channel: str | None = "") -> Awaitable[None]:
        """As `Context.send_any`."""
        self._send_any(message, 0, channel)
        return NOTHING

    def send_early_reply(self, message: Message, channel: str | None = "") -> Awaitable[None]:
        """As `Context.send_early_reply`."""
        self._send(message, 1, channel)
        return NOTHING

    def send_early_exit(self, message: Message, channel: str | None = "") -> Awaitable[None]:
        """As `Context.send_early_exit`."""
        self._send(message, 2, channel)
        return NOTHING

    def relay(self, channel: str | None = "", output: OutputType = OutputType.OK) -> Awaitable[None]:
        """As `Context.relay`."""
        self._host.relay(int(output), _values.channel(channel))
        return NOTHING

    @property
    def configuration(self) -> AsyncConfiguration:
        """Settings that outlive a message."""
        return self._parts.async_configuration

    @property
    def prediction(self) -> AsyncPrediction:
        """Predictions beside the truth, for the version's metrics."""
        return self._parts.async_prediction

    @property
    def db(self) -> AsyncDatabase:
        """The runtime's database."""
        return self._parts.async_db
