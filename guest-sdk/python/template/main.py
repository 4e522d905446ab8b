"""Node {{name}}: greets."""

from krt_node import Context, Rejected

from messages.public_input_pb2 import Answer, Greeting


def greet(ctx: Context, greeting: Greeting) -> None:
    if not greeting.name:
        # The caller gets this text.
        raise Rejected("a greeting needs a name")
    ctx.logger.info("greeting %s", greeting.name)
    ctx.send_output(Answer(text=f"Hello, {greeting.name}!"))


# Handlers by the node that a message comes from; a request comes from `entrypoint`.
custom_handlers = {"entrypoint": greet}
