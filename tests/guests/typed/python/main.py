"""Adds a label to a mail."""

from krt_node import Context

from messages.mail_pb2 import Mail


def default_handler(ctx: Context, mail: Mail) -> None:
    mail.labels.append("sorted")
    ctx.send_output(mail)
