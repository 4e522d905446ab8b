"""The imports of the component, with this package's types put in and taken out. The only user of generated bindings but one."""

from __future__ import annotations

from componentize_py_types import Err
from wit_world.imports import (
    configuration,
    database,
    delivery,
    logging,
    measurements,
    messaging,
    metadata,
    object_store,
    predictions,
)
from wit_world.imports.types import Payload

from . import errors
from ._host import Fields, Metadata, Values

_OUTPUTS = (messaging.OutputType.OK, messaging.OutputType.EARLY_REPLY, messaging.OutputType.EARLY_EXIT)
_SCOPES = {
    None: None,
    "node": configuration.Scope.NODE,
    "workflow": configuration.Scope.WORKFLOW,
    "project": configuration.Scope.PROJECT,
}
_VALUES = {
    "float": measurements.Value_Float,
    "signed": measurements.Value_Signed,
    "unsigned": measurements.Value_Unsigned,
    "boolean": measurements.Value_Boolean,
    "text": measurements.Value_Text,
}
_PROBLEMS = {
    "missing-values": predictions.Problem.MISSING_VALUES,
    "new-labels": predictions.Problem.NEW_LABELS,
}
_LEVELS = tuple(logging.Level)

_send = messaging.send
_relay = messaging.relay
_log = logging.log


class Imports:
    """The host, as a component sees it."""

    def send(self, type_url: str, data: bytes, output: int, channel: str | None) -> None:
        try:
            _send(Payload(type_url, data), _OUTPUTS[output], channel)
        except Err as error:
            raise _refusal(errors.SendError, error) from None

    def relay(self, output: int, channel: str | None) -> None:
        try:
            _relay(_OUTPUTS[output], channel)
        except Err as error:
            raise _refusal(errors.SendError, error) from None

    def max_payload(self) -> int:
        return messaging.max_payload()

    def attempt(self) -> int:
        return delivery.attempt()

    def time_remaining(self) -> int | None:
        return delivery.time_remaining()

    def channel(self) -> str | None:
        return delivery.channel()

    def traceparent(self) -> str | None:
        return delivery.traceparent()

    def get_setting(self, key: str, scope: str | None) -> str | None:
        return _ask(errors.ConfigurationError, configuration.get, key, _SCOPES[scope])

    def set_setting(self, key: str, value: str, scope: str | None) -> None:
        _ask(errors.ConfigurationError, configuration.set, key, value, _SCOPES[scope])

    def delete_setting(self, key: str, scope: str | None) -> None:
        _ask(errors.ConfigurationError, configuration.delete, key, _SCOPES[scope])

    def get_object(self, name: str) -> bytes:
        return _ask(errors.ObjectStoreError, object_store.get, name)

    def save_object(self, name: str, data: bytes) -> None:
        _ask(errors.ObjectStoreError, object_store.save, name, data)

    def list_objects(self, pattern: str | None) -> list[str]:
        return _ask(errors.ObjectStoreError, object_store.list, pattern)

    def delete_object(self, name: str) -> None:
        _ask(errors.ObjectStoreError, object_store.delete, name)

    def purge_objects(self, pattern: str | None) -> int:
        return _ask(errors.ObjectStoreError, object_store.purge, pattern)

    def measure(self, name: str, fields: Values, tags: Fields, time: int | None) -> None:
        values = [(field, _VALUES[case](value)) for field, case, value in fields]
        _ask(errors.MeasurementError, measurements.save, name, values, tags, time)

    def save_prediction(self, predicted: str, true: str, extra: str | None, time: int | None) -> None:
        _ask(errors.PredictionError, predictions.save, predicted, true, extra, time)

    def save_no_prediction(self, problem: str, extra: str | None, time: int | None) -> None:
        _ask(errors.PredictionError, predictions.save_error, _PROBLEMS[problem], extra, time)

    def save_document(self, collection: str, document: str) -> None:
        _ask(errors.DatabaseError, database.save, collection, document)

    def find_documents(self, collection: str, query: str) -> list[str]:
        return _ask(errors.DatabaseError, database.find, collection, query)

    def log(self, level: int, text: str, fields: Fields) -> None:
        _log(_LEVELS[level], text, fields)

    def min_level(self) -> int:
        return logging.min_level().value

    def metadata(self) -> Metadata:
        return Metadata(
            runtime_id=metadata.runtime_id(),
            version=metadata.version(),
            version_id=metadata.version_id(),
            workflow=metadata.workflow(),
            node=metadata.node(),
            base_path=metadata.base_path(),
        )


def _ask(family, function, *arguments):
    try:
        return function(*arguments)
    except Err as error:
        raise _refusal(family, error) from None


def _refusal(family: type[errors.KrtError], error: Err) -> errors.KrtError:
    """`SendError_TooLarge(7)` and its like as the error of this package that mirrors it."""
    words = type(error.value).__name__.rpartition("_")[2]
    case = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in words).lstrip("-")
    return errors.refusal(family, case, getattr(error.value, "value", None))
