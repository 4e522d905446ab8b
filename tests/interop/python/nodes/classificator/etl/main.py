"""Node `etl` of the classificator in Python: reads a batch of e-mails and hands it on."""

import email
import email.policy
import email.utils
import os

from internal_nodes_pb2 import Batch, Email
from public_input_pb2 import Request, Response

SEPARATOR = "From "


async def read(ctx, payload):
    request = Request()
    if not payload.Unpack(request):
        raise ValueError(f"{payload.type_url} is not a request")
    texts = mbox(ctx, request.batch) if request.batch else list(request.emails)
    if not texts:
        raise ValueError("the request has neither a batch nor e-mails")
    emails = [parse(number, text) for number, text in enumerate(texts, 1)]
    path = ["entrypoint", os.environ["KRT_NODE_NAME"]]
    if request.acknowledge:
        text = f"{len(emails)} e-mails read, from {emails[0].id} to {emails[-1].id}"
        await ctx.send_early_reply(Response(message=text, emails=len(emails), path=path))
    await ctx.send_output(Batch(emails=emails, path=path))


def mbox(ctx, batch):
    if "/" in batch:
        raise ValueError(f"{batch!r} is not the name of a batch")
    texts = []
    with open(ctx.path(f"emails/{batch}.mbox"), encoding="utf-8") as lines:
        for line in lines:
            if line.startswith(SEPARATOR):
                texts.append("")
            else:
                texts[-1] += line[1:] if line.startswith(">" + SEPARATOR) else line
    return texts


def parse(number, text):
    message = email.message_from_string(text, policy=email.policy.default)
    _, sender = email.utils.parseaddr(message.get("From", ""))
    if not sender:
        raise ValueError(f"e-mail {number} of the batch is malformed: it has no sender")
    return Email(
        id=message.get("Message-ID", f"email-{number}").strip("<> "),
        **{"from": sender},
        subject=message.get("Subject", ""),
        body=message.get_content().strip(),
    )


custom_handlers = {"entrypoint": read}
