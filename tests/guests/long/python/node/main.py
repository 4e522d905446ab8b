"""Works for a long time: one handler a way of handling, all with the same outcome. And one that tries what ends others."""

import asyncio
import sys

from krt_node import AsyncContext, Context, unpack

from messages.long_pb2 import Email


def plain(ctx: Context, email: Email) -> None:
    email.subject = email.subject.upper()
    email.labels.append("python")
    ctx.send_output(email)


async def awaiting(ctx: AsyncContext, payload) -> None:
    email = unpack(payload, Email)
    email.subject = email.subject.upper()
    email.labels.append("python")
    if email.number % 100 == 0:
        await asyncio.sleep(0)
    await ctx.send_output(email)


def failing(ctx: Context, email: Email) -> None:
    ctx.logger.debug("about to fail")
    raise ValueError(f"number {email.number}")


def relaying(ctx: Context, payload) -> None:
    ctx.relay()


class Shy:
    def __str__(self):
        return str(self)


def recursion(ctx):
    def deeper(n):
        return sorted([n], key=lambda n: deeper(n + 1))

    deeper(0)


def memory(ctx):
    kept = []
    while True:
        kept.append(bytearray(b"\x01") * (1 << 20))


def surrogate_in_a_text(ctx):
    ctx.configuration.set("key", "\ud800")


def surrogate_in_an_error(ctx):
    ctx.logger.warning("\ud800 %s", "\ud801", extra={"\ud802": "\ud803"})
    raise ValueError("\ud800")


def numbers(ctx):
    ctx.measurement.save("numbers", {"u": (1 << 64) - 1, "s": -(1 << 63), "large": 1 << 80, "too-large": 1 << 2000})


ODD = {
    "recursion": recursion,
    "shy": lambda ctx: str(Shy()),
    "memory": memory,
    "surrogate in a text": surrogate_in_a_text,
    "surrogate in an error": surrogate_in_an_error,
    "kinds of bytes": lambda ctx: [ctx.object_store.save("x", kind(b"x")) for kind in (bytearray, memoryview)],
    "no bytes": lambda ctx: ctx.object_store.save("x", 5),
    "numbers": numbers,
    "time": lambda ctx: ctx.measurement.save("time", {"x": 1}, time=1 << 63),
    "exit": lambda ctx: sys.exit(3),
    "interrupt": lambda ctx: (_ for _ in ()).throw(KeyboardInterrupt()),
    "group": lambda ctx: (_ for _ in ()).throw(BaseExceptionGroup("several", [GeneratorExit()])),
}


def odd(ctx: Context, email: Email) -> None:
    ODD[email.subject](ctx)
    ctx.send_output(email)


custom_handlers = {"plain": plain, "awaiting": awaiting, "failing": failing, "relaying": relaying, "odd": odd}
