"""The end of `logging`: records go to the host, which adds workflow, node and request id. Installed by the SDK itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from . import _fault
from ._host import DEBUG, ERROR, INFO, TRACE, WARN
from ._values import lossy

if TYPE_CHECKING:
    from ._host import Fields, Host

#: Below DEBUG, for `logger.log(TRACE, …)`.
TRACE_LEVEL = 5

_RECORD = logging.makeLogRecord({}).__dict__
#: What every record has; whatever else is there came by `extra`.
_STANDARD = frozenset(_RECORD) | {"message", "asctime"}
_COUNT = len(_RECORD)
_LEVELS = {TRACE: TRACE_LEVEL, DEBUG: logging.DEBUG, INFO: logging.INFO, WARN: logging.WARNING, ERROR: logging.ERROR}


class HostHandler(logging.Handler):
    """What hands a record to whoever hosts the node."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            fields: Fields = []
            own = record.__dict__
            if len(own) > _COUNT:
                fields = [(lossy(name), lossy(str(own[name]))) for name in own if name not in _STANDARD]
            if record.exc_info and record.exc_info[1] is not None:
                error = record.exc_info[1]
                fields.append(("error", lossy(_fault.text(error))))
                fields.append(("stack", lossy(_fault.stack(error))))
            self._host.log(_level(record.levelno), lossy(text), fields)
        except Exception:
            # What logging does with a record that cannot be formatted: say so on standard error, and go on.
            self.handleError(record)


def install(host: Host) -> HostHandler:
    """Makes the host the end of all loggers, in place of what was installed here before."""
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, HostHandler)]:
        root.removeHandler(handler)
    handler = HostHandler(host)
    root.addHandler(handler)
    # Below it nothing is formatted.
    root.setLevel(_LEVELS[host.min_level()])
    return handler


def _level(number: int) -> int:
    if number >= logging.ERROR:
        return ERROR
    if number >= logging.WARNING:
        return WARN
    if number >= logging.INFO:
        return INFO
    return DEBUG if number >= logging.DEBUG else TRACE


logging.addLevelName(TRACE_LEVEL, "TRACE")
