"""The imports of the world, as a test's host answers them: with the real host's rules and errors."""

from __future__ import annotations

import json

import math
import re
from types import ModuleType
from typing import TYPE_CHECKING, Any, Mapping, TypeVar

from .. import _logs
from .._host import LEVELS, TRACE, Fields, Metadata, Values
from ..context import AsyncContext, BaseContext, Context, Parts
from ..errors import (
    ConfigurationError,
    DatabaseError,
    Failure,
    MeasurementError,
    ObjectStoreError,
    PredictionError,
    SendError,
    refusal,
)
from ..messages import MessageType, OutputType, message_name, packed
from ..node import Node
from ._database import matches
from ._outcome import LogLine, Outcome, Output, Point, Predicted, moment

if TYPE_CHECKING:
    from google.protobuf.message import Message

C = TypeVar("C", bound=BaseContext)
_KEY = re.compile(r"[A-Za-z0-9\-/_=.]+")
_COLLECTION = re.compile(r"[A-Za-z0-9\-_.]{1,120}")
_SCOPES = ("node", "workflow", "project")
_AWAY = "the test host says so"
_MOST_OUTPUTS = 10_000


class TestHost:
    """A host for unit tests. Everything has a default: a request of the entrypoint, empty stores, no time limit.

    All that is given may be changed afterwards: `host.from_node = "other"`.
    """

    # Not a class of tests, whatever pytest thinks of its name.
    __test__ = False

    def __init__(
        self,
        *,
        from_node: str = "entrypoint",
        message_type: MessageType = MessageType.OK,
        request_id: str = "00000000-0000-4000-8000-000000000000",
        channel: str | None = None,
        attempt: int = 1,
        time_remaining: float | None = None,
        traceparent: str | None = None,
        node: str = "node",
        workflow: str = "workflow",
        version: str = "version",
        package: str = ".",
        configuration: Mapping[str | tuple[str, str], str] | None = None,
        objects: Mapping[str, bytes] | None = None,
        documents: Mapping[str, list[dict[str, Any]]] | None = None,
        max_payload: int = 1 << 20,
        unavailable: bool = False,
    ) -> None:
        """
        Args:
            from_node: the node that the messages come from.
            package: the folder whose files `ctx.path` finds.
            configuration: settings by `(scope, key)`; a key alone is one of the node.
            objects: what the object store holds; None: the manifest declares none.
            documents: what the database holds, by collection.
            unavailable: stores and bus cannot be reached.
        """
        self.from_node = from_node
        self.message_type = message_type
        self.request_id = request_id
        self.on_channel = channel
        self.on_attempt = attempt
        self.remaining = time_remaining
        self.trace = traceparent
        self.node, self.workflow, self.version, self.package = node, workflow, version, package
        settings = configuration or {}
        #: Settings by scope and key.
        self.configuration = {(k if isinstance(k, tuple) else ("node", k)): v for k, v in settings.items()}
        #: Objects by name; None without a store.
        self.objects = None if objects is None else dict(objects)
        #: Documents by collection.
        self.documents = {name: list(found) for name, found in (documents or {}).items()}
        self.payload_limit = max_payload
        self.unavailable = unavailable
        self._outcome = Outcome()
        self._nodes: list[tuple[object, Node]] = []
        #: The payload in hand, if a message is.
        self._in_hand: tuple[tuple[str, bytes] | None] | None = None

    # What a test does.

    def init(self, node: Node | ModuleType) -> Failure | None:
        """Runs the node's `init`, once: None, or why it failed."""
        failures: list[Failure] = []
        self._node(node, failures)
        return failures[0] if failures else None

    def handle(self, node: Node | ModuleType, message: Message) -> Outcome:
        """Hands the node (its module, or a `Node`) a message, after `init` if that has not run yet."""
        return self._deliver(node, self.message_type, packed(message), None)

    def handle_any(self, node: Node | ModuleType, type_url: str, data: bytes) -> Outcome:
        """Hands the node whatever bytes."""
        return self._deliver(node, self.message_type, (type_url, data), None)

    def handle_error(self, node: Node | ModuleType, text: str = "") -> Outcome:
        """Hands the node an ERROR with this text."""
        return self._deliver(node, MessageType.ERROR, None, text)

    def context(self, payload: Message | None = None) -> Context:
        """A context with a message in hand, for a plain function alone."""
        return self._context(Context, payload)

    def async_context(self, payload: Message | None = None) -> AsyncContext:
        """A context with a message in hand, for an `async` function alone."""
        return self._context(AsyncContext, payload)

    def take(self) -> Outcome:
        """What was done with the contexts since it was last asked."""
        outcome, self._outcome = self._outcome, Outcome()
        return outcome

    def _context(self, kind: type[C], payload: Message | None) -> C:
        in_hand = None if payload is None else packed(payload)
        self._in_hand = (in_hand,)
        _logs.install(self)
        type_url, data = in_hand or (None, None)
        return kind(Parts(self), self.request_id, self.from_node, int(self.message_type), type_url, data)

    def _node(self, node: Node | ModuleType, failures: list[Failure]) -> Node | None:
        for key, known in self._nodes:
            if key is node:
                return known
        made = node if isinstance(node, Node) else Node.of(node)
        self._in_hand = None
        _logs.install(self)
        failure = made.init(self)
        if failure is not None:
            failures.append(failure)
            return None
        self._nodes.append((node, made))
        return made

    def _deliver(
        self,
        node: Node | ModuleType,
        kind: MessageType,
        payload: tuple[str, bytes] | None,
        error: str | None,
    ) -> Outcome:
        failures: list[Failure] = []
        ready = self._node(node, failures)
        if ready is None:
            outcome = self.take()
            outcome.failure = failures[0]
            return outcome
        _logs.install(self)
        self._in_hand = (payload,)
        try:
            type_url, data = payload or (None, None)
            failure = ready.handle(self, self.request_id, self.from_node, int(kind), type_url, data, error)
        finally:
            self._in_hand = None
        outcome = self.take()
        outcome.failure = failure
        return outcome

    # The imports.

    def send(self, type_url: str, data: bytes, output: int, channel: str | None) -> None:
        self._put((type_url, data), output, channel)

    def relay(self, output: int, channel: str | None) -> None:
        if self._in_hand is None:
            raise refusal(SendError, "no-message")
        self._put(self._in_hand[0], output, channel)

    def _put(self, payload: tuple[str, bytes] | None, output: int, channel: str | None) -> None:
        if self._in_hand is None:
            raise refusal(SendError, "no-message")
        if channel is not None and not _is_token(channel):
            raise refusal(SendError, "invalid-channel", channel)
        if payload is not None:
            if not message_name(payload[0]):
                raise refusal(SendError, "invalid-type-url", payload[0])
            if len(payload[1]) > self.payload_limit:
                raise refusal(SendError, "too-large", self.payload_limit)
        if len(self._outcome.outputs) >= _MOST_OUTPUTS:
            raise refusal(SendError, "too-many", _MOST_OUTPUTS)
        if self.unavailable:
            raise refusal(SendError, "unavailable", _AWAY)
        self._outcome.outputs.append(Output(OutputType(output), channel, payload))

    def max_payload(self) -> int:
        return self.payload_limit

    def attempt(self) -> int:
        return 0 if self._in_hand is None else self.on_attempt

    def time_remaining(self) -> int | None:
        return None if self.remaining is None else int(self.remaining * 1e9)

    def channel(self) -> str | None:
        return self.on_channel

    def traceparent(self) -> str | None:
        return self.trace

    def get_setting(self, key: str, scope: str | None) -> str | None:
        self._check_key(key)
        looked = [scope] if scope else _SCOPES
        return next((self.configuration[at, key] for at in looked if (at, key) in self.configuration), None)

    def set_setting(self, key: str, value: str, scope: str | None) -> None:
        self._check_key(key)
        self.configuration[scope or "node", key] = value

    def delete_setting(self, key: str, scope: str | None) -> None:
        self._check_key(key)
        self.configuration.pop((scope or "node", key), None)

    def _check_key(self, key: str) -> None:
        if self.unavailable:
            raise refusal(ConfigurationError, "unavailable", _AWAY)
        if not _KEY.fullmatch(key) or key.startswith(".") or key.endswith("."):
            why = f"{key!r}: letters, digits and -/_=. only, no dot at either end"
            raise refusal(ConfigurationError, "invalid-key", why)

    def get_object(self, name: str) -> bytes:
        objects = self._objects()
        if name not in objects:
            raise refusal(ObjectStoreError, "not-found")
        return objects[name]

    def save_object(self, name: str, data: bytes) -> None:
        objects = self._objects()
        if not name or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
            raise refusal(ObjectStoreError, "invalid-name", repr(name))
        objects[name] = data

    def list_objects(self, pattern: str | None) -> list[str]:
        try:
            found = re.compile(pattern or "")
        except re.error as error:
            raise refusal(ObjectStoreError, "invalid-name", str(error)) from None
        return sorted((name for name in self._objects() if found.search(name)), key=str.encode)

    def delete_object(self, name: str) -> None:
        self.get_object(name)
        del self._objects()[name]

    def purge_objects(self, pattern: str | None) -> int:
        names = self.list_objects(pattern)
        for name in names:
            del self._objects()[name]
        return len(names)

    def _objects(self) -> dict[str, bytes]:
        if self.objects is None:
            raise refusal(ObjectStoreError, "not-declared")
        if self.unavailable:
            raise refusal(ObjectStoreError, "unavailable", _AWAY)
        return self.objects

    def measure(self, name: str, fields: Values, tags: Fields, time: int | None) -> None:
        infinite = [field for field, _, value in fields if isinstance(value, float) and not math.isfinite(value)]
        wrong = "it has no name" if not name else "it has no field" if not fields else None
        if wrong is None and infinite:
            wrong = f"the field {infinite[0]!r} is not finite"
        if wrong is not None:
            raise refusal(MeasurementError, "invalid", wrong)
        values = {field: value for field, _, value in fields}
        self._outcome.measurements.append(Point(name, values, dict(tags), moment(time)))

    def save_prediction(self, predicted: str, true: str, extra: str | None, time: int | None) -> None:
        self._predict(Predicted(predicted, true, extra, moment(time)))

    def save_no_prediction(self, problem: str, extra: str | None, time: int | None) -> None:
        self._predict(Predicted("", "", extra, moment(time), problem))

    def _predict(self, prediction: Predicted) -> None:
        if prediction.extra is not None:
            try:
                json.loads(prediction.extra)
            except ValueError as error:
                why = f"what is to be kept with it: {error}"
                raise refusal(PredictionError, "invalid", why) from None
        if self.unavailable:
            raise refusal(PredictionError, "unavailable", _AWAY)
        self._outcome.predictions.append(prediction)

    def save_document(self, collection: str, document: str) -> None:
        self.documents.setdefault(collection, []).append(self._object(collection, document))

    def find_documents(self, collection: str, query: str) -> list[str]:
        wanted = self._object(collection, query)
        return [json.dumps(found) for found in self.documents.get(collection, []) if matches(wanted, found)]

    def _object(self, collection: str, text: str) -> dict[str, Any]:
        if not _COLLECTION.fullmatch(collection) or collection.startswith("system."):
            raise refusal(DatabaseError, "invalid", f"{collection!r} is not the name of a collection")
        try:
            found = json.loads(text)
        except ValueError as error:
            raise refusal(DatabaseError, "invalid", str(error)) from None
        if not isinstance(found, dict):
            raise refusal(DatabaseError, "invalid", "not a JSON object")
        if self.unavailable:
            raise refusal(DatabaseError, "unavailable", _AWAY)
        return found

    def log(self, level: int, text: str, fields: Fields) -> None:
        self._outcome.logs.append(LogLine(LEVELS[level], text, dict(fields)))

    def min_level(self) -> int:
        return TRACE

    def metadata(self) -> Metadata:
        return Metadata("runtime", self.version, "0" * 24, self.workflow, self.node, self.package)


def _is_token(channel: str) -> bool:
    return bool(channel) and not any(c in ".*> " or ord(c) < 32 or 127 <= ord(c) < 160 for c in channel)
