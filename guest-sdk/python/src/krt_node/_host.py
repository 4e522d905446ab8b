"""The seam between the SDK and whoever hosts the node: a component's imports, or a test's `TestHost`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .errors import SendError, refusal

#: Levels of the contract's logging, least first.
TRACE, DEBUG, INFO, WARN, ERROR = range(5)
LEVELS = ("trace", "debug", "info", "warn", "error")

Fields = list[tuple[str, str]]
#: Name, case of the contract's variant `value`, value.
Values = list[tuple[str, str, "float | int | bool | str"]]


@dataclass(frozen=True)
class Metadata:
    """What this node is. Constant for the life of the instance."""

    #: The runtime (tenant).
    runtime_id: str
    #: The version's name.
    version: str
    #: The version's id.
    version_id: str
    #: The workflow's name.
    workflow: str
    #: The node's name.
    node: str
    #: Where the package's files are.
    base_path: str


class Host(Protocol):
    """The imports of the contract's world. Texts are valid UTF-8 and data is `bytes`: the SDK sees to it."""

    def send(self, type_url: str, data: bytes, output: int, channel: str | None) -> None: ...
    def relay(self, output: int, channel: str | None) -> None: ...
    def max_payload(self) -> int: ...

    def attempt(self) -> int: ...
    def time_remaining(self) -> int | None: ...
    def channel(self) -> str | None: ...
    def traceparent(self) -> str | None: ...

    def get_setting(self, key: str, scope: str | None) -> str | None: ...
    def set_setting(self, key: str, value: str, scope: str | None) -> None: ...
    def delete_setting(self, key: str, scope: str | None) -> None: ...

    def get_object(self, name: str) -> bytes: ...
    def save_object(self, name: str, data: bytes) -> None: ...
    def list_objects(self, pattern: str | None) -> list[str]: ...
    def delete_object(self, name: str) -> None: ...
    def purge_objects(self, pattern: str | None) -> int: ...

    def measure(self, name: str, fields: Values, tags: Fields, time: int | None) -> None: ...
    def save_prediction(self, predicted: str, true: str, extra: str | None, time: int | None) -> None: ...
    def save_no_prediction(self, problem: str, extra: str | None, time: int | None) -> None: ...
    def save_document(self, collection: str, document: str) -> None: ...
    def find_documents(self, collection: str, query: str) -> list[str]: ...

    def log(self, level: int, text: str, fields: Fields) -> None: ...
    def min_level(self) -> int: ...
    def metadata(self) -> Metadata: ...


class Closed:
    """In a host's place once the handler has returned: nothing may be sent in the name of another message."""

    def send(self, type_url: str, data: bytes, output: int, channel: str | None) -> None:
        raise refusal(SendError, "no-message")

    def relay(self, output: int, channel: str | None) -> None:
        raise refusal(SendError, "no-message")

    def attempt(self) -> int:
        return 0

    def time_remaining(self) -> int | None:
        return None

    def channel(self) -> str | None:
        return None

    def traceparent(self) -> str | None:
        return None


CLOSED = Closed()
