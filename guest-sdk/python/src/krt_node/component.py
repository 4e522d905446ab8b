"""The component: its exports, made of the module `main`. Only `krt build` imports this, inside the component.

What is done here at the top level is done when the component is built, and is what every instance begins with.
"""

from __future__ import annotations

import gc
import random
import sys

import main
from componentize_py_types import Err
from wit_world.exports import Handler as Exported
from wit_world.exports.handler import Failure_Rejected, Failure_Transient
from wit_world.imports import types

from . import _codec, _lazy, _logs
from ._imports import Imports
from ._values import lossy
from .errors import Failure, Transient
from .node import Node

#: Python's own limit is 1000, but a call that goes through C (a key of `sorted`, `__str__`) takes more of a component's
#: stack than that many have: it would end the instance, where RecursionError ends the message.
_RECURSION = 500

# Before the node looks at the classes of its handlers' messages.
_codec.install()
_HOST = Imports()
_NODE = Node.of(main)
_handle = _NODE.handle


class Handler(Exported):
    """What the host calls."""

    def init(self) -> None:
        # The component was built with one state of the generator, which is not what chance is.
        random.seed()
        _logs.install(_HOST)
        failure = _NODE.init(_HOST)
        if failure is not None:
            raise _declared(failure)

    def handle(self, message: types.Message) -> None:
        payload = message.payload
        if payload is None:
            type_url = data = None
        else:
            type_url, data = payload.type_url, payload.data
        kind = message.message_type._value_
        failure = _handle(_HOST, message.request_id, message.from_node, kind, type_url, data, message.error)
        if failure is not None:
            raise _declared(failure)


def _declared(failure: Failure) -> Err:
    text = lossy(str(failure))
    return Err(Failure_Transient(text) if isinstance(failure, Transient) else Failure_Rejected(text))


# The node's folder, and that of its dependencies.
_lazy.load(tuple(f"{folder}/" for folder in sys.path if folder.startswith("/") and folder[1:].isdigit()))
_codec.install()
sys.setrecursionlimit(_RECURSION)
# What is here now stays: collections need not look at it again, and leave its pages shared between instances.
gc.collect()
gc.freeze()
