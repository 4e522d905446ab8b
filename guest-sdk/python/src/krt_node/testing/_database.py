"""Queries over the documents of a test host: what every database of the host's understands, and no more."""

from __future__ import annotations

from typing import Any, Iterator

from ..errors import DatabaseError, refusal

_ORDERED = {
    "$gt": lambda order: order > 0,
    "$gte": lambda order: order >= 0,
    "$lt": lambda order: order < 0,
    "$lte": lambda order: order <= 0,
}


def matches(query: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether `document` is what `query` asks for."""
    return all([_holds(key, value, document) for key, value in query.items()])


def _holds(key: str, value: Any, document: dict[str, Any]) -> bool:
    if key in ("$and", "$or"):
        if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
            raise refusal(DatabaseError, "invalid", "$and and $or take a list of queries")
        held = [matches(one, document) for one in value]
        return all(held) if key == "$and" else any(held)
    if key.startswith("$"):
        raise _unknown(key)
    found = list(_lookup(document, key))
    if isinstance(value, dict) and any(name.startswith("$") for name in value):
        return all([_passes(operator, wanted, found) for operator, wanted in value.items()])
    return _is(found, value)


def _passes(operator: str, wanted: Any, found: list[Any]) -> bool:
    if operator == "$eq":
        return _is(found, wanted)
    if operator == "$ne":
        return not _is(found, wanted)
    if operator in _ORDERED:
        orders = [_order(one, wanted) for one in _each(found)]
        return any(order is not None and _ORDERED[operator](order) for order in orders)
    if operator == "$in" and isinstance(wanted, list):
        return any(_is(found, one) for one in wanted)
    if operator == "$exists" and isinstance(wanted, bool):
        return bool(found) == wanted
    raise _unknown(operator)


def _is(found: list[Any], value: Any) -> bool:
    """What is not there is null; a list is each of its values, too."""
    if not found:
        return value is None
    return any(type(one) is type(value) and one == value or _order(one, value) == 0 for one in _each(found))


def _each(found: list[Any]) -> Iterator[Any]:
    for value in found:
        yield value
        if isinstance(value, list):
            yield from value


def _order(one: Any, other: Any) -> int | None:
    is_number = [isinstance(value, (int, float)) and not isinstance(value, bool) for value in (one, other)]
    alike = all(is_number) or any(isinstance(one, kind) and isinstance(other, kind) for kind in (str, bool))
    return (one > other) - (one < other) if alike else None


def _lookup(value: Any, path: str) -> Iterator[Any]:
    """Where a path leads: into fields, and into each document of a list."""
    if isinstance(value, list):
        for one in value:
            yield from _lookup(one, path)
    elif isinstance(value, dict):
        key, dot, rest = path.partition(".")
        if key in value:
            if dot:
                yield from _lookup(value[key], rest)
            else:
                yield value[key]


def _unknown(operator: str) -> DatabaseError:
    return refusal(DatabaseError, "invalid", f"a test host does not know {operator!r}, or not with this value")  # type: ignore[return-value]
