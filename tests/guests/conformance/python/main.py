"""The conformance suite's guest in Python: see ../README.md, which says what each command does."""

import os

import commands
from krt_node import Context, KrtError, Rejected, SendError, Transient, unpack

from messages.public_input_pb2 import Answer, Command

inits = 0


def init(ctx: Context) -> None:
    global inits
    inits += 1
    sent = "ok"
    try:
        ctx.send_output(Answer(text="from init"))
    except SendError as error:
        sent = error.case
    settings, key = ctx.configuration, f"init-{ctx.metadata.node}"
    settings.set(key, "x", "node")
    kept = settings.get(key, "node")
    commands.init_facts += [
        f"inits={inits}",
        f"attempt={ctx.attempt}",
        f"node={ctx.metadata.node}",
        f"send={sent}",
        f"config={'ok' if kept == 'x' else 'lost'}",
    ]
    how = os.environ["CONFORMANCE_INIT"]
    if how == "reject":
        raise Rejected("init says no")
    if how == "throw":
        commands.fails_deep("init threw", hard=False)
    if how == "transient" and settings.get("started", "node") is None:
        settings.set("started", "yes", "node")
        raise Transient("not yet")


def obey(ctx: Context, command: Command) -> None:
    try:
        answer = commands.run(ctx, command)
        if answer is not None:
            ctx.send_output(answer)
    except KrtError as error:
        ctx.send_output(Answer(text=f"error:{commands.case(error)}"))


def from_worker(ctx: Context, payload) -> None:
    if ctx.metadata.node == "second":
        obey(ctx, unpack(payload, Command))
    else:
        collect(ctx, payload, "worker")


def from_others(ctx: Context, payload) -> None:
    collect(ctx, payload, "default")


def collect(ctx: Context, payload, handler: str) -> None:
    is_answer = payload.Is(Answer.DESCRIPTOR)
    text = ctx.error if ctx.is_message_error() else unpack(payload, Answer).text if is_answer else "-"
    ctx.logger.info(
        "collected handler=%s from=%s channel=%s type=%s message=%s request=%s text=%s",
        handler,
        ctx.from_node,
        ctx.channel or "-",
        commands.kind(ctx),
        ctx.message_name or "-",
        ctx.request_id,
        text,
    )
    if ctx.is_message_error():
        ctx.send_output(Answer(text=f"error from {ctx.from_node}: {text}"))
    elif is_answer:
        ctx.relay()
    elif payload.Is(Command.DESCRIPTOR):
        ctx.send_output(Answer(text="relayed", items=unpack(payload, Command).args))
    else:
        ctx.send_output(Answer(text=f"a {ctx.message_name}"))


custom_handlers = {"entrypoint": obey, "worker": from_worker}
default_handler = from_others
