"""Adds a label to a mail: the twin of tests/guests/typed/python, for benchmarks."""

from mail_pb2 import Mail


async def sort(ctx, payload):
    mail = Mail()
    if not payload.Unpack(mail):
        raise RuntimeError(f"{payload.type_url} is not a mail")
    mail.labels.append("sorted")
    await ctx.send_output(mail)


default_handler = sort
