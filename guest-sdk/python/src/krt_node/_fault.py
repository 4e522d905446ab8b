"""An exception as a text and as a stack that a person can read in one line of the log."""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING

from ._host import ERROR
from ._values import lossy

if TYPE_CHECKING:
    from types import TracebackType

    from ._host import Host

_HERE = os.path.dirname(__file__)
#: Frames that are shown of a deep stack: the outermost and the innermost.
_OUTER, _INNER = 8, 24
#: Exceptions that are shown of a chain.
_CHAIN = 5


def text(error: BaseException) -> str:
    """What Python itself would say last: `ValueError: no such thing`."""
    name = type(error).__name__
    try:
        said = str(error)
    except BaseException:
        return name
    return f"{name}: {lossy(said)}" if said else name


def log(host: Host, error: BaseException, said: str) -> None:
    """Logs an exception with its stack. Never raises: it may be about memory that there is none of."""
    try:
        host.log(ERROR, said, [("stack", lossy(stack(error)))])
    except BaseException:
        pass


def stack(error: BaseException) -> str:
    """Where it was raised, outermost first: `main.py:12 in handler > words.py:7 in split`; then what it came of."""
    shown = [_frames(error.__traceback__)]
    for _ in range(_CHAIN):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            break
        shown.append(f"after {text(cause)} at {_frames(cause.__traceback__)}")
        error = cause
    return "; ".join(shown)


def _frames(trace: TracebackType | None) -> str:
    frames = []
    for frame, line in traceback.walk_tb(trace):
        code = frame.f_code
        if os.path.dirname(code.co_filename) != _HERE:
            frames.append(f"{_short(code.co_filename)}:{line} in {getattr(code, 'co_qualname', code.co_name)}")
    if len(frames) > _OUTER + _INNER:
        left_out = len(frames) - _OUTER - _INNER
        frames[_OUTER:-_INNER] = [f"… {left_out} more …"]
    return " > ".join(frames) or "no frame of the node"


def _short(path: str) -> str:
    """A path below the folder that it was imported from."""
    bases = [base for base in sys.path if base and path.startswith(base + "/")]
    return path[len(max(bases, key=len)) + 1 :] if bases else path
