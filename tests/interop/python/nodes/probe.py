"""The probe node in Python: passes a job on and does what its orders say. Its twins are in Go and in Rust."""

import asyncio
import os
import random
import signal

from probe_pb2 import Job


async def relay(ctx, payload):
    """From a node whose early answers concern the caller: those are passed on, the rest is not for this node."""
    if ctx.is_message_error():
        raise RuntimeError("the node before failed")
    if ctx.is_message_early_reply() or ctx.is_message_early_exit():
        await ctx.send_any(payload)


async def work(ctx, payload):
    if ctx.is_message_error():
        raise RuntimeError("the node before failed")
    if not ctx.is_message_ok():
        return
    job = Job()
    if not payload.Unpack(job):
        raise RuntimeError(f"{payload.type_url} is not a job")
    me = os.environ["KRT_NODE_NAME"]
    job.path.append(me)
    for order in job.orders:
        if order.node == me and await obey(ctx, job, order):
            return
    await ctx.send_output(job)


async def obey(ctx, job, order):
    """Whether nothing more is to be sent."""
    verb, name, value, scope = order.verb, order.name, order.value, order.scope
    if verb == "fail":
        raise RuntimeError(value)
    if verb == "reply":
        await ctx.send_early_reply(job)
    elif verb == "exit":
        await ctx.send_early_exit(job)
        return True
    elif verb == "channel":
        await ctx.send_output(job, name)
    elif verb == "quiet":
        return True
    elif verb == "set":
        await ctx.configuration.set(name, value, **({"scope": scope} if scope else {}))
    elif verb == "get":
        found = await ctx.configuration.get(name, scope or None)
        job.found.append(f"{name}={'nothing' if found is None else found}")
    elif verb == "delete":
        await ctx.configuration.delete(name, **({"scope": scope} if scope else {}))
    elif verb == "save":
        ctx.object_store.save(name, value.encode())
    elif verb == "load":
        job.found.append(f"{name}={ctx.object_store.get(name).decode()}")
    elif verb == "fill":
        job.data = bytes(int(value)) if name == "zeros" else random.Random(int(value)).randbytes(int(value))
    elif verb == "sleep":
        await asyncio.sleep(int(value) / 1000)
    elif verb == "die":
        # Once: whoever comes after finds the file.
        if not os.path.exists(name):
            open(name, "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
    else:
        raise RuntimeError(f"no such order: {verb}")
    return False


default_handler = work
custom_handlers = {"early": relay} if os.environ["KRT_NODE_NAME"] == "last" else {}
