"""The table of commands."""

import json
import logging
import os
import socket
import sys
import time

from google.protobuf.any_pb2 import Any
from krt_node import TRACE, Context, KrtError, Rejected, Transient

from messages.public_input_pb2 import Answer, Command, Stranger

LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
init_facts = []
count = 0


def case(error: KrtError) -> str:
    """The contract's name of an error's case, with its number if it has one."""
    return error.case if error.limit is None else f"{error.case}:{error.limit}"


def kind(ctx: Context) -> str:
    tests = {
        "ok": ctx.is_message_ok,
        "error": ctx.is_message_error,
        "early-reply": ctx.is_message_early_reply,
        "early-exit": ctx.is_message_early_exit,
    }
    return next((name for name, test in tests.items() if test()), "undefined")


def fails_deep(text: str, hard: bool) -> None:
    """In no language a fine place to be."""
    if hard:
        logging.getLogger("fails_deep").error(text)
        os._exit(1)
    raise RuntimeError(text)


def run(ctx: Context, command: Command) -> Answer | None:
    """Does what is commanded; what is to be answered, if anything."""
    do = COMMANDS.get(command.name)
    if do is None:
        raise Rejected(f"unknown command {command.name}")
    return do(ctx, command, *command.args)


def ok() -> Answer:
    return Answer(text="ok")


def value(found: str | None) -> Answer:
    return Answer(text="none") if found is None else Answer(text="value", items=[found])


def echo(ctx, command, *args):
    return Answer(text=args[0] if args else "", items=args, data=command.data)


def many(ctx, command, number):
    for n in range(int(number)):
        ctx.send_output(Answer(text=str(n)))


def channel(ctx, command, name):
    ctx.send_output(Answer(text=f"on {name}"), name)


def send_any(ctx, command, type_url):
    ctx.send_any(Any(type_url=type_url, value=Answer(text="packed").SerializeToString()))


def relay(ctx, command, name=None):
    ctx.relay(name)


def second(ctx, command, name, *args):
    ctx.send_output(Command(name=name, args=args, data=command.data), "second")


def stranger(ctx, command):
    ctx.send_output(Stranger())


def early_reply(ctx, command, early, late):
    ctx.send_early_reply(Answer(text=early))
    return Answer(text=late)


def early_exit(ctx, command, text):
    ctx.send_early_exit(Answer(text=text))


def too_many(ctx, command, number, name):
    try:
        for _ in range(int(number)):
            ctx.send_output(Answer(), name)
    except KrtError as error:
        raise Rejected(f"error:{case(error)}") from None
    return ok()


def facts(ctx, command):
    me = ctx.metadata
    remaining = ctx.time_remaining
    return Answer(
        items=[
            f"node={me.node}",
            f"workflow={me.workflow}",
            f"version={me.version}",
            f"version-id={me.version_id}",
            f"runtime-id={me.runtime_id}",
            f"base-path={me.base_path}",
            f"request-id={ctx.request_id}",
            f"from={ctx.from_node}",
            f"type={kind(ctx)}",
            f"channel={ctx.channel or '-'}",
            f"attempt={ctx.attempt}",
            f"time-remaining={'-' if remaining is None else int(remaining * 1e9)}",
            f"traceparent={ctx.traceparent or '-'}",
        ]
    )


def counted(ctx, command):
    global count
    count += 1
    return Answer(text=str(count))


def reject(ctx, command, text):
    raise Rejected(text)


def transient(ctx, command, attempt):
    if ctx.attempt < int(attempt):
        raise Transient("not yet")
    return Answer(text=str(ctx.attempt))


def send_then_reject(ctx, command, text):
    ctx.send_output(Answer(text="kept"), "left")
    raise Rejected(text)


def spin(ctx, command):
    while True:
        pass


def hog(ctx, command):
    kept = []
    while True:
        kept.append(bytearray(b"\x01") * (1 << 20))


def setting(ctx, command, key, scope=None):
    return value(ctx.configuration.get(key, scope))


def set_setting(ctx, command, key, text, scope="node"):
    ctx.configuration.set(key, text, scope)
    return ok()


def set_large(ctx, command, key, number):
    return set_setting(ctx, command, key, "x" * int(number))


def delete(ctx, command, key, scope="node"):
    ctx.configuration.delete(key, scope)
    return ok()


def save(ctx, command, name):
    ctx.object_store.save(name, command.data)
    return ok()


def remove(ctx, command, name):
    ctx.object_store.delete(name)
    return ok()


def measure(ctx, command, name, at=None):
    fields = {"float": 1.5, "signed": -2, "unsigned": 3, "boolean": True, "text": "ä b"}
    ctx.measurement.save(name, fields, {"kind": "x y"}, None if at is None else int(at))
    return ok()


def measure_fields(fields):
    def measure(ctx, command, name):
        ctx.measurement.save(name, fields)
        return ok()

    return measure


def predict(ctx, command, predicted, true, extra="", seconds=None):
    time = None if seconds is None else int(seconds) * 10**9
    ctx.prediction.save(predicted, true, extra or None, time)
    return ok()


def mispredict(ctx, command, problem):
    ctx.prediction.save(error=problem.replace("-", "_"))
    return ok()


def document(ctx, command, collection, text):
    ctx.db.save(collection, text)
    return ok()


def find(ctx, command, collection, query):
    return Answer(items=[json.dumps(found) for found in ctx.db.find(collection, query)])


def log(ctx, command, level, text, field=None, shade=None):
    ctx.logger.log(LEVELS[level], text, extra={field: shade} if field else None)
    return ok()


def native_log(ctx, command, text):
    logging.getLogger("conformance").warning(text)
    return ok()


def min_level(ctx, command):
    lowest = ctx.logger.getEffectiveLevel()
    return Answer(text=next(name for name, level in LEVELS.items() if level == lowest))


def say(ctx, command, text):
    print(text)
    print(f"{text}!", file=sys.stderr)
    return ok()


def read(ctx, command, name):
    try:
        with open(ctx.path(name), "rb") as file:
            return Answer(data=file.read())
    except (OSError, ValueError):
        return Answer(text="missing")


def write(ctx, command, name):
    try:
        with open(ctx.path(name), "w") as file:
            file.write("x")
    except OSError:
        return Answer(text="denied")
    return Answer(text="written")


def outside(ctx, command, name):
    try:
        with open(name, "rb") as file:
            file.read()
    except OSError:
        return Answer(text="denied")
    return Answer(text="read")


def clock(ctx, command):
    start = time.monotonic_ns()
    time.sleep(0.02)
    return Answer(items=[str(time.time_ns()), str(time.monotonic_ns() - start)])


def connect(ctx, command, address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except (OSError, AttributeError):
        return Answer(text="denied")
    return Answer(text="connected")


COMMANDS = {
    "": lambda ctx, command: Answer(text="empty"),
    "echo": echo,
    "repeat": lambda ctx, command, number: Answer(data=bytes(i % 251 for i in range(int(number)))),
    "silent": lambda ctx, command: None,
    "many": many,
    "channel": channel,
    "any": send_any,
    "relay": relay,
    "second": second,
    "stranger": stranger,
    "early-reply": early_reply,
    "early-exit": early_exit,
    "too-many": too_many,
    "double": lambda ctx, command: Answer(data=command.data + command.data),
    "max-payload": lambda ctx, command: Answer(text=str(ctx.max_payload)),
    "facts": facts,
    "init": lambda ctx, command: Answer(items=init_facts),
    "count": counted,
    "reject": reject,
    "transient": transient,
    "send-then-reject": send_then_reject,
    "throw": lambda ctx, command, text: fails_deep(text, hard=False),
    "panic": lambda ctx, command, text: fails_deep(text, hard=True),
    "spin": spin,
    "hog": hog,
    "get": setting,
    "set": set_setting,
    "set-large": set_large,
    "delete": delete,
    "save": save,
    "load": lambda ctx, command, name: Answer(data=ctx.object_store.get(name)),
    "list": lambda ctx, command, pattern=None: Answer(items=ctx.object_store.list(pattern)),
    "remove": remove,
    "purge": lambda ctx, command, pattern=None: Answer(text=str(ctx.object_store.purge(pattern))),
    "measure": measure,
    "measure-nan": measure_fields({"float": float("nan")}),
    "measure-nothing": measure_fields({}),
    "predict": predict,
    "mispredict": mispredict,
    "document": document,
    "find": find,
    "log": log,
    "native-log": native_log,
    "min-level": min_level,
    "print": say,
    "env": lambda ctx, command, name: value(os.environ.get(name)),
    "read": read,
    "write": write,
    "outside": outside,
    "clock": clock,
    "random": lambda ctx, command: Answer(data=os.urandom(16)),
    "connect": connect,
}
