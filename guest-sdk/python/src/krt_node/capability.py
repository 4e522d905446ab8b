"""What a node may use besides messages: configuration, object store, measurements, predictions, documents.

The classes with `Async` in front are what `async` handlers get: the same, but what the original awaits is awaited.
"""

from __future__ import annotations

import builtins
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Awaitable, Generator, Generic, Mapping, TypeVar

from ._values import data, field, lossy, nanoseconds, text
from .messages import Scope

if TYPE_CHECKING:
    from ._host import Host

V = TypeVar("V")
#: By member and by word: they do not hash alike.
_SCOPES: dict[str, str] = {key: scope.value for scope in Scope for key in (scope, scope.value)}
#: What the original's nodes may say for "no scope".
_UNDEFINED = "undefined"


class Done(Generic[V]):
    """What was awaited is there already."""

    __slots__ = ("_value",)

    def __init__(self, value: V) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, None, V]:
        return self._value
        yield


#: For calls that give nothing.
NOTHING: Done[None] = Done(None)


class _Part:
    """A part of the context; lives as long as the node."""

    __slots__ = ("_host",)

    def __init__(self, host: Host) -> None:
        self._host = host


class Configuration(_Part):
    """Settings that outlive a message: `ctx.configuration`."""

    __slots__ = ()

    def get(self, key: str, scope: str | Scope | None = None) -> str | None:
        """The value of `key`, or None. Without a scope: this node's, else the workflow's, else the project's.

        Raises:
            ConfigurationError: not a valid key, or the store cannot be reached.
        """
        return self._host.get_setting(text(key, "a key"), _scope(scope))

    def set(self, key: str, value: str, scope: str | Scope | None = Scope.NODE) -> None:
        """Sets or replaces a value; stored when it returns.

        Raises:
            ConfigurationError: not a valid key, too large a value, or the store cannot be reached.
        """
        self._host.set_setting(text(key, "a key"), text(value, "a value"), _scope(scope))

    def delete(self, key: str, scope: str | Scope | None = Scope.NODE) -> None:
        """Deletes a value; it is no error if there is none.

        Raises:
            ConfigurationError: not a valid key, or the store cannot be reached.
        """
        self._host.delete_setting(text(key, "a key"), _scope(scope))


class AsyncConfiguration(_Part):
    """Settings that outlive a message: `ctx.configuration` of an `async` handler."""

    __slots__ = ()

    def get(self, key: str, scope: str | Scope | None = None) -> Awaitable[str | None]:
        """As `Configuration.get`."""
        return Done(Configuration.get(self, key, scope))  # type: ignore[arg-type]

    def set(self, key: str, value: str, scope: str | Scope | None = Scope.NODE) -> Awaitable[None]:
        """As `Configuration.set`."""
        Configuration.set(self, key, value, scope)  # type: ignore[arg-type]
        return NOTHING

    def delete(self, key: str, scope: str | Scope | None = Scope.NODE) -> Awaitable[None]:
        """As `Configuration.delete`."""
        Configuration.delete(self, key, scope)  # type: ignore[arg-type]
        return NOTHING


class ObjectStore(_Part):
    """The object store that the manifest declares for this node: `ctx.object_store`. Never awaited, as in the original."""

    __slots__ = ()

    def get(self, key: str) -> bytes:
        """The whole object.

        Raises:
            ObjectStoreError: there is none of this name, it is too large for this node, or the store cannot be reached.
        """
        return self._host.get_object(text(key, "a name"))

    def save(self, key: str, payload: bytes | bytearray | memoryview) -> None:
        """Creates or replaces an object; stored when it returns.

        Raises:
            ObjectStoreError: not a valid name, too large, or the store cannot be reached.
        """
        self._host.save_object(text(key, "a name"), data(payload, "an object"))

    def list(self, pattern: str | None = None) -> builtins.list[str]:
        """All names, or those in which the regular expression is found; sorted.

        Raises:
            ObjectStoreError: not a regular expression, or the store cannot be reached.
        """
        return self._host.list_objects(None if pattern is None else text(pattern, "a pattern"))

    def delete(self, key: str) -> None:
        """Deletes an object.

        Raises:
            ObjectStoreError: there is none of this name, or the store cannot be reached.
        """
        self._host.delete_object(text(key, "a name"))

    def purge(self, pattern: str | None = None) -> int:
        """Deletes all that `list` would name and says how many there were.

        Raises:
            ObjectStoreError: not a regular expression, or the store cannot be reached.
        """
        return self._host.purge_objects(None if pattern is None else text(pattern, "a pattern"))


class Measurement(_Part):
    """Points of time series: `ctx.measurement`. Never awaited, as in the original."""

    __slots__ = ()

    #: Units of a time that is given as a number.
    PRECISION_S = "s"
    PRECISION_MS = "ms"
    PRECISION_US = "us"
    PRECISION_NS = "ns"

    def save(
        self,
        measurement: str,
        fields: Mapping[str, float | int | bool | str | None],
        tags: Mapping[str, Any] | None = None,
        time: datetime | int | None = None,
        precision: str = PRECISION_NS,
    ) -> None:
        """Takes a point. The host adds the tags `version`, `workflow` and `node`. Fields that are None are left out.

        Raises:
            MeasurementError: no field, a number that is not finite, or the host's buffer is full.
        """
        values = [(text(name, "a field's name"), *field(value)) for name, value in fields.items() if value is not None]
        marks = [(text(name, "a tag's name"), lossy(str(value))) for name, value in (tags or {}).items()]
        self._host.measure(text(measurement, "a measurement's name"), values, marks, nanoseconds(time, _UNITS[precision]))


class Prediction(_Part):
    """What a model predicted, for the version's metrics: `ctx.prediction`."""

    __slots__ = ()

    #: The input had values missing.
    ERR_MISSING_VALUES = "missing_values"
    #: The truth is a label that the model does not know.
    ERR_NEW_LABELS = "new_labels"

    def save(
        self,
        predicted_value: str = "",
        true_value: str = "",
        extra: Mapping[str, Any] | str | None = None,
        utcdate: datetime | int | None = None,
        error: str = "",
    ) -> None:
        """Saves a prediction beside the truth, or (`error`) why there was none. A message handled twice counts twice.

        `extra`: anything that JSON can hold, or JSON. `utcdate`: None is now; a number counts nanoseconds since 1970.

        Raises:
            PredictionError: something is not valid or too large, or the database cannot be reached.
        """
        kept = None if extra is None else _json(extra)
        time = nanoseconds(utcdate)
        if error:
            if error not in _PROBLEMS:
                raise ValueError(f"{error!r} is not one of {', '.join(_PROBLEMS)}")
            self._host.save_no_prediction(_PROBLEMS[error], kept, time)
        else:
            predicted, true = text(predicted_value, "a predicted value"), text(true_value, "a true value")
            self._host.save_prediction(predicted, true, kept, time)


class AsyncPrediction(Prediction):
    """What a model predicted: `ctx.prediction` of an `async` handler."""

    __slots__ = ()

    def save(  # type: ignore[override]
        self,
        predicted_value: str = "",
        true_value: str = "",
        extra: Mapping[str, Any] | str | None = None,
        utcdate: datetime | int | None = None,
        error: str = "",
    ) -> Awaitable[None]:
        """As `Prediction.save`."""
        super().save(predicted_value, true_value, extra, utcdate, error)
        return NOTHING


class Database(_Part):
    """The runtime's database, which all its versions share: `ctx.db`."""

    __slots__ = ()

    def save(self, coll: str, data: Mapping[str, Any] | str) -> None:
        """Saves a document: anything that JSON can hold, or JSON. Handled twice it is saved twice, unless it has an `_id`.

        Raises:
            DatabaseError: not a collection's name or a document, too large, refused, or the database cannot be reached.
        """
        self._host.save_document(text(coll, "a collection"), _json(data))

    def find(self, coll: str, query: Mapping[str, Any] | str) -> list[dict[str, Any]]:
        """The documents that match a query of MongoDB's language; `{}` matches all.

        Everywhere, `krt run` included: equality, also of fields within (`a.b`), `$eq $ne $gt $gte $lt $lte $in $exists
        $and $or`.

        Raises:
            DatabaseError: not a collection's name or a query, more than fits, or the database cannot be reached.
        """
        return [json.loads(found) for found in self._host.find_documents(text(coll, "a collection"), _json(query))]


class AsyncDatabase(_Part):
    """The runtime's database: `ctx.db` of an `async` handler."""

    __slots__ = ()

    def save(self, coll: str, data: Mapping[str, Any] | str) -> Awaitable[None]:
        """As `Database.save`."""
        Database.save(self, coll, data)  # type: ignore[arg-type]
        return NOTHING

    def find(self, coll: str, query: Mapping[str, Any] | str) -> Awaitable[list[dict[str, Any]]]:
        """As `Database.find`."""
        return Done(Database.find(self, coll, query))  # type: ignore[arg-type]


_UNITS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_PROBLEMS = {
    Prediction.ERR_MISSING_VALUES: "missing-values",
    Prediction.ERR_NEW_LABELS: "new-labels",
}


def _scope(scope: str | Scope | None) -> str | None:
    if scope is None or scope == _UNDEFINED:
        return None
    try:
        return _SCOPES[scope]
    except KeyError:
        raise ValueError(f"{scope!r} is not a scope: {', '.join(scope.value for scope in Scope)}") from None


def _json(value: Any) -> str:
    return text(value, "JSON") if isinstance(value, str) else json.dumps(value, allow_nan=False)
