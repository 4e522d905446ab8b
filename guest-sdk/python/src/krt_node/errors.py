"""Why a handler fails, and why the host said no. Every class mirrors the contract, `wit/krt-node.wit`."""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "DatabaseError",
    "Denied",
    "Dropped",
    "Failure",
    "Invalid",
    "KrtError",
    "MeasurementError",
    "NoMessage",
    "NotConfigured",
    "NotDeclared",
    "NotFound",
    "ObjectStoreError",
    "PathError",
    "PredictionError",
    "Rejected",
    "SendError",
    "TooLarge",
    "TooMany",
    "Transient",
    "Unavailable",
    "UnpackError",
]


class Failure(Exception):
    """Why a message was not handled: raise one of its two kinds. Any other exception counts as `Rejected`."""


class Rejected(Failure):
    """The message is at fault: an ERROR message with this very text goes out and it is not tried again."""


class Transient(Failure):
    """The world is at fault: the message comes again after a pause; after the last attempt it counts as rejected."""


class KrtError(Exception):
    """The host said no. Catch it by what was asked (`ConfigurationError`) or by why not (`Unavailable`).

    One that a handler lets through is a rejection of the message, or a transient failure if it is `Unavailable`.
    """

    #: The contract's name of the case: `too-large`.
    case: str = "other"
    #: The limit that was passed, where there is one: bytes for `TooLarge`, messages for `TooMany`.
    limit: int | None = None


class SendError(KrtError):
    """Nothing was sent."""


class ConfigurationError(KrtError):
    """A setting was not read or written."""


class ObjectStoreError(KrtError):
    """An object was not read or written."""


class MeasurementError(KrtError):
    """A point was not taken."""


class PredictionError(KrtError):
    """A prediction was not saved."""


class DatabaseError(KrtError):
    """A document was not saved, or none were found."""


class Unavailable(KrtError):
    """It cannot be reached just now: worth another attempt."""


class Denied(KrtError):
    """The node may not."""


class Invalid(KrtError):
    """What was given is not something that this can hold: a key, a name, a channel, JSON."""


class TooLarge(KrtError):
    """More bytes than `limit`."""


class TooMany(KrtError):
    """This delivery already sent `limit` messages."""


class NoMessage(KrtError):
    """No message is in hand: called from `init`, or after the handler has returned."""


class NotFound(KrtError):
    """There is no object of this name."""


class NotDeclared(KrtError):
    """The manifest declares no object store for this node."""


class NotConfigured(KrtError):
    """This host has no database, or only one way into it."""


class Dropped(KrtError):
    """The host's buffer of measurements is full."""


class UnpackError(KrtError):
    """The payload is not the message that was asked for."""

    case = "unpack"


class PathError(ValueError):
    """The path is not one of a file in the package."""


_UNREACHABLE = "the database cannot be reached: {}"
_LIMIT = "larger than the {} bytes that are allowed"
_DATABASE_CASES: dict[str, tuple[type[KrtError], str]] = {
    "too-large": (TooLarge, _LIMIT),
    "denied": (Denied, "denied: {}"),
    "not-configured": (NotConfigured, "{}"),
    "unavailable": (Unavailable, _UNREACHABLE),
}
_CASES: dict[type[KrtError], dict[str, tuple[type[KrtError], str]]] = {
    SendError: {
        "no-message": (NoMessage, "no message is in hand"),
        "too-large": (TooLarge, "the message is larger than the {} bytes that the bus takes"),
        "invalid-channel": (
            Invalid,
            "{!r} is not a channel: one token, without '.', '*', '>', space or control characters",
        ),
        "invalid-type-url": (Invalid, "the type URL {!r} has no message name"),
        "too-many": (TooMany, "this delivery already sent {} messages, as many as it may"),
        "unavailable": (Unavailable, "the bus cannot be reached: {}"),
    },
    ConfigurationError: {
        "invalid-key": (Invalid, "invalid key: {}"),
        "too-large": (TooLarge, "the value is larger than the {} bytes that the store takes"),
        "denied": (Denied, "denied: {}"),
        "unavailable": (Unavailable, "the configuration cannot be reached: {}"),
    },
    ObjectStoreError: {
        "not-declared": (NotDeclared, "the manifest declares no object store for this node"),
        "not-found": (NotFound, "there is no such object"),
        "invalid-name": (Invalid, "invalid name or pattern: {}"),
        "too-large": (TooLarge, "the object is larger than the {} bytes that are allowed"),
        "denied": (Denied, "denied: {}"),
        "unavailable": (Unavailable, "the object store cannot be reached: {}"),
    },
    MeasurementError: {
        "invalid": (Invalid, "invalid measurement: {}"),
        "dropped": (Dropped, "the measurement was dropped: the host's buffer is full"),
    },
    PredictionError: {"invalid": (Invalid, "invalid prediction: {}"), **_DATABASE_CASES},
    DatabaseError: {"invalid": (Invalid, "invalid request to the database: {}"), **_DATABASE_CASES},
}


def _classes() -> dict[tuple[type[KrtError], str], type[KrtError]]:
    made = {}
    for family, cases in _CASES.items():
        for case, (kind, _) in cases.items():
            # Both what was asked and why not; shown under the name of the former, whose text says the latter.
            members = {"case": case, "__module__": family.__module__, "__qualname__": family.__qualname__}
            made[family, case] = type(family.__name__, (family, kind), members)
    return made


_CLASSES = _classes()


def refusal(family: type[KrtError], case: str, value: str | int | None = None) -> KrtError:
    """The error for one case of a variant of the contract; for hosts."""
    made = _CLASSES.get((family, case))
    if made is None:
        return family(str(value))
    error = made(_CASES[family][case][1].format(value))
    if isinstance(value, int):
        error.limit = value
    return error
