"""Which function handles what: the module attributes `init`, `default_handler` and `custom_handlers`, as in the original."""

from __future__ import annotations

import functools
import inspect
import sys
from typing import TYPE_CHECKING, Any, Callable, Mapping, cast

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message

from . import _fault, _loop
from .context import AsyncContext, BaseContext, Context, Parts
from .errors import Failure, Rejected, Transient, Unavailable
from .messages import TYPE_URL_PREFIX, decode

if TYPE_CHECKING:
    from types import ModuleType

    from ._host import Host

#: What calls a handler: it gets the context and takes the payload out of it.
Call = Callable[[BaseContext], None]
#: What handlers get, and what calls them.
Entry = tuple["type[Context] | type[AsyncContext]", Call]


class Node:
    """A node: what it does once, and the handlers of its messages.

    A handler takes the context and a payload. What the payload is says the annotation of the second parameter:

    * a protobuf class: the handler is called for ordinary messages of this type. An ERROR is passed on: the message is
      rejected with the same text. Early replies and exits are skipped: they are answers for the caller, and the
      exitpoint's business. A message of another type is rejected, with both types' names.
    * `google.protobuf.any_pb2.Any`, or nothing: the handler is called for every message, as in the original. It tells
      them apart by `ctx.is_message_error()` and its like; without a payload the `Any` is empty.

    A plain function gets a `Context`, an `async` one an `AsyncContext`.
    """

    def __init__(
        self,
        *,
        init: Callable[..., Any] | None = None,
        default_handler: Callable[..., Any] | None = None,
        custom_handlers: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        if init is None and default_handler is None and not custom_handlers:
            raise TypeError("a node needs a `default_handler` or `custom_handlers`")
        self._init = None if init is None else _entry(init, takes_payload=False)
        self._default = None if default_handler is None else _entry(default_handler)
        self._handlers = {origin: _entry(handler) for origin, handler in (custom_handlers or {}).items()}
        self._parts: Parts | None = None

    @classmethod
    def of(cls, module: ModuleType) -> Node:
        """The node of a module, by the names that the original looks for."""
        names = ("init", "default_handler", "custom_handlers")
        found = {name: getattr(module, name) for name in names if getattr(module, name, None) is not None}
        if not found.keys() & {"default_handler", "custom_handlers"}:
            raise TypeError(f"{module.__name__} has neither `default_handler` nor `custom_handlers`")
        return cls(**found)

    def init(self, host: Host) -> Failure | None:
        """Once per instance, before its first message: None, or why the node cannot serve."""
        self._parts = parts = Parts(host)
        if self._init is None:
            return None
        context_class, call = self._init
        ctx = context_class(parts)
        try:
            call(ctx)
        except BaseException as error:
            return _failure(error, host)
        finally:
            ctx._close()
        return None

    def handle(
        self,
        host: Host,
        request_id: str,
        from_node: str,
        kind: int,
        type_url: str | None,
        data: bytes | None,
        error: str | None,
    ) -> Failure | None:
        """One message: None, or why it was not handled. Nothing that a handler does gets past this."""
        if error:
            # Both marks count, the text and the type: peers set either.
            kind = 2
        entry = self._handlers.get(from_node, self._default)
        if entry is None:
            name = self._parts.metadata.node if self._parts else ""
            return Rejected(f'node "{name}" has no handler for messages of node "{from_node}", and no default one')
        context_class, call = entry
        parts = self._parts
        if parts is None:
            return Rejected("init has not run")
        ctx = context_class(parts, request_id, from_node, kind, type_url, data, error)
        try:
            call(ctx)
        except BaseException as raised:
            return _failure(raised, host)
        finally:
            ctx._close()
        return None


def _failure(error: BaseException, host: Host) -> Failure:
    """What becomes of an exception. What the author did not mean as an answer is logged with its stack."""
    if isinstance(error, Failure):
        text = str(error)
        return Transient(text) if isinstance(error, Transient) else Rejected(text)
    text = _fault.text(error)
    _fault.log(host, error, text)
    return Transient(text) if _is_unavailable(error) else Rejected(text)


def _is_unavailable(error: BaseException | None) -> bool:
    """Whether it, or what it was raised from, says that something is away just now."""
    for _ in range(10):
        if error is None:
            return False
        if isinstance(error, Unavailable):
            return True
        error = error.__cause__
    return False


def _entry(handler: Callable[..., Any], *, takes_payload: bool = True) -> Entry:
    if not callable(handler):
        raise TypeError(f"a handler is a function, not {type(handler).__qualname__}")
    is_async = _is_async(handler)
    call: Call
    if not takes_payload:
        call = _init(handler)
    else:
        message_class = _payload_class(handler)
        call = _any(handler) if message_class is None else _typed(handler, message_class)
    return (AsyncContext if is_async else Context), call


def _is_async(handler: Callable[..., Any]) -> bool:
    while isinstance(handler, functools.partial):
        handler = handler.func
    # An object with an `async` __call__ is one, too.
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))


def _init(handler: Callable[..., Any]) -> Call:
    def call(ctx: BaseContext) -> None:
        result = handler(ctx)
        if result is not None:
            _loop.finish(result)

    return call


def _any(handler: Callable[..., Any]) -> Call:
    def call(ctx: BaseContext) -> None:
        payload = AnyMessage()
        if ctx._type_url is not None:
            payload.type_url = ctx._type_url
            payload.value = ctx._data or b""
        result = handler(ctx, payload)
        if result is not None:
            _loop.finish(result)

    return call


def _typed(handler: Callable[..., Any], message_class: type[Message]) -> Call:
    url = TYPE_URL_PREFIX + message_class.DESCRIPTOR.full_name
    parse = message_class.FromString

    def call(ctx: BaseContext) -> None:
        kind = ctx._kind
        if kind > 1:
            return _not_ordinary(ctx)
        if ctx._type_url == url:
            try:
                message = parse(ctx._data or b"")
            except Exception:
                message = decode(message_class, url, ctx._data)
        else:
            message = decode(message_class, ctx._type_url, ctx._data)
        result = handler(ctx, message)
        if result is not None:
            _loop.finish(result)

    return call


def _not_ordinary(ctx: BaseContext) -> None:
    if ctx._kind == 2:
        raise Rejected(ctx._error or f'node "{ctx.from_node}" failed without saying why')
    ctx.logger.debug("skipped an early answer of node %r: it is for the caller", ctx.from_node)


def _payload_class(handler: Callable[..., Any]) -> type[Message] | None:
    """The protobuf class that the second parameter is annotated with; None for any message."""
    parameters = list(_signature(handler).parameters.values())
    name = getattr(handler, "__qualname__", repr(handler))
    if len(parameters) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        raise TypeError(f"the handler {name} takes the context and a payload, not {len(parameters)} parameters")
    annotation = parameters[1].annotation if len(parameters) > 1 else inspect.Parameter.empty
    if isinstance(annotation, str):
        function = inspect.unwrap(handler)
        try:
            annotation = eval(annotation, getattr(function, "__globals__", {}))
        except Exception as error:
            raise TypeError(f"the handler {name}: what is {annotation!r}? {error}") from None
    if type(annotation).__name__ == "ForwardRef":
        raise TypeError(f"the handler {name}: what is {annotation!r}?")
    is_message = isinstance(annotation, type) and issubclass(annotation, Message)
    if not is_message or annotation is AnyMessage:
        return None
    return cast("type[Message]", annotation)


def _signature(handler: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        # An annotation of another parameter may be imported for type checkers alone.
        return inspect.signature(handler, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(handler)
