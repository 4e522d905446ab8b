"""Node `etl`: reads a batch of e-mails and hands it on, each e-mail with its headers and text told apart.

Asked to, it acknowledges the batch in front of everything else: an early reply, which the exitpoint passes on.
"""

import email
import email.policy
import email.utils

from krt_node import Context, Rejected

from messages.internal_nodes_pb2 import Batch, Email
from messages.public_input_pb2 import Request, Response

# What an e-mail has at its beginning in an mbox file.
SEPARATOR = "From "


def read(ctx: Context, request: Request) -> None:
    texts = mbox(ctx, request.batch) if request.batch else request.emails
    if not texts:
        raise Rejected("the request has neither a batch nor e-mails")
    emails = [parse(number, text) for number, text in enumerate(texts, 1)]
    ctx.logger.info("read a batch", extra={"emails": len(emails)})
    path = [ctx.from_node, ctx.metadata.node]
    if request.acknowledge:
        message = f"{len(emails)} e-mails read, from {emails[0].id} to {emails[-1].id}"
        ctx.send_early_reply(Response(message=message, emails=len(emails), path=path))
    ctx.send_output(Batch(emails=emails, path=path))


def mbox(ctx: Context, batch: str) -> list[str]:
    """The e-mails of an mbox file of the package."""
    # `path` refuses to leave the package; a name has no business in another folder of it either.
    if "/" in batch or "\\" in batch:
        raise Rejected(f'"{batch}" is not the name of a batch')
    texts: list[str] = []
    try:
        with open(ctx.path(f"emails/{batch}.mbox"), encoding="utf-8") as lines:
            for line in lines:
                line = line.rstrip("\n")
                if line.startswith(SEPARATOR):
                    texts.append("")
                elif texts:
                    # A line of text that begins like a separator travels with a `>` before it.
                    texts[-1] += line.removeprefix(">") if line.startswith(">" + SEPARATOR) else line
                    texts[-1] += "\r\n"
    except OSError as error:
        raise Rejected(f'there is no batch "{batch}": {error.strerror}') from error
    return texts


def parse(number: int, text: str) -> Email:
    message = email.message_from_string(text, policy=email.policy.default)
    sender = email.utils.parseaddr(message.get("From", ""))[1]
    if not sender:
        lacking = "sender" if message.keys() else "headers"
        raise Rejected(f"e-mail {number} of the batch is malformed: it has no {lacking}")
    body = message.get_body(("plain",))
    return Email(
        id=message.get("Message-ID", f"email-{number}").strip("<> "),
        **{"from": sender},
        subject=message.get("Subject", ""),
        body=body.get_content().strip() if body else "",
    )


custom_handlers = {"entrypoint": read}
