"""Runs what `async` handlers return. A component is alone in its memory: nothing else goes on while it waits."""

from __future__ import annotations

import asyncio
import inspect
import sys
import time
from asyncio import events
from collections import deque
from typing import Any, Coroutine


class _Clock:
    """In a selector's place: there are no descriptors to wait for, only time."""

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("the handler awaits something that nothing will ever set")
        if timeout > 0:
            time.sleep(timeout)
        return []

    def close(self) -> None:
        pass


class _Loop(asyncio.BaseEventLoop):
    """asyncio without sockets: tasks, timers, queues, locks."""

    # Of asyncio's own: what is to run now, and what later.
    _ready: deque[Any]
    _scheduled: list[Any]
    _is_eager = False

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Clock()

    def is_running(self) -> bool:
        return self._is_eager or super().is_running()

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        outer = events._get_running_loop()
        events._set_running_loop(None)
        try:
            task = self._begin(coroutine)
            if not task.done():
                self.run_until_complete(task)
            return task.result()
        finally:
            if self._ready or self._scheduled:
                self._end_others()
            events._set_running_loop(outer)

    def _begin(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        if sys.version_info < (3, 12):
            return self.create_task(coroutine)
        # Most handlers never wait for anything: run as far as it goes before the loop's machinery is set up.
        events._set_running_loop(self)
        self._is_eager = True
        try:
            return asyncio.Task(coroutine, loop=self, eager_start=True)
        finally:
            self._is_eager = False
            events._set_running_loop(None)

    def _end_others(self) -> None:
        """Ends the tasks that the handler left behind: they must not go on in the next message."""
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._ready.clear()
        self._scheduled.clear()


_loop: _Loop | None = None


def finish(result: Any) -> None:
    """Runs what a handler returned to its end, if it is something to be awaited."""
    global _loop
    if _loop is None:
        _loop = _Loop()
    if inspect.iscoroutine(result):
        _loop.run(result)
    elif inspect.isawaitable(result):
        _loop.run(_awaited(result))


async def _awaited(awaitable: Any) -> Any:
    return await awaitable
