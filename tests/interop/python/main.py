"""A runner for nodes in Python that does on the bus what the original's does, written from its contract for tests.

It never looks at message types, never retries, and never settles a message in another way than by ack. What the tests do
not need is not here: measurements, predictions, the database.
"""

import asyncio
import copy
import gzip
import importlib.util
import logging
import os
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "pb"))

import nats
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

import kre_nats_msg_pb2 as envelope

MANDATORY = [
    "KRT_RUNTIME_ID",
    "KRT_VERSION_ID",
    "KRT_VERSION",
    "KRT_WORKFLOW_NAME",
    "KRT_NODE_NAME",
    "KRT_BASE_PATH",
    "KRT_HANDLER_PATH",
    "KRT_NATS_SERVER",
    "KRT_NATS_STREAM",
    "KRT_NATS_INPUTS",
    "KRT_NATS_OUTPUT",
    "KRT_NATS_KEY_VALUE_STORE_PROJECT",
    "KRT_NATS_KEY_VALUE_STORE_WORKFLOW",
    "KRT_NATS_KEY_VALUE_STORE_NODE",
    "KRT_NATS_MONGO_WRITER",
    "KRT_MONGO_URI",
    "KRT_INFLUX_URI",
]
ACK_WAIT = 22 * 3600  # seconds
MAGIC = b"\x1f\x8b"


class Configuration:
    """Text values in the key-value buckets of the three scopes."""

    def __init__(self, buckets):
        self._buckets = buckets

    async def set(self, key, value, scope="node"):
        await self._buckets[scope].put(key, value.encode())

    async def get(self, key, scope=None):
        for bucket in [self._buckets[scope]] if scope else self._buckets.values():
            try:
                return (await bucket.get(key)).value.decode()
            except NatsError:
                # As in the original: whatever it was.
                continue
        return None

    async def delete(self, key, scope="node"):
        await self._buckets[scope].delete(key)


class ObjectStore:
    """Objects by way of the `nats` command, as the original does."""

    def __init__(self, server, bucket):
        self._server, self._bucket = server, bucket
        self._nats("info")

    def _nats(self, what, *arguments, content=None):
        command = os.path.join(os.path.dirname(sys.executable), "nats")
        call = [command, "--server", self._server, "object", what, self._bucket, *arguments]
        done = subprocess.run(call, input=content, capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"nats object {what}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout

    def save(self, key, payload):
        if not payload:
            raise ValueError("the payload cannot be empty")
        self._nats("put", "--name", key, content=payload)

    def get(self, key):
        return self._nats("get", key)

    def delete(self, key):
        self._nats("del", key)


class Context:
    """What a handler has: a copy of it for every message."""

    def __init__(self, runner):
        self._runner = runner
        self._message = None
        self.logger = runner.logger
        self.configuration = runner.configuration
        if runner.object_store is not None:
            self.object_store = runner.object_store

    def for_message(self, message):
        own = copy.copy(self)
        own._message = message
        return own

    def path(self, relative):
        return os.path.join(self._runner.env["KRT_BASE_PATH"], relative)

    def get_request_id(self):
        return self._message.request_id

    async def send_output(self, message, channel=""):
        await self._runner.publish(self._message.request_id, message, envelope.OK, channel)

    async def send_any(self, payload, channel=""):
        await self._runner.publish_any(self._message.request_id, payload, envelope.OK, channel)

    async def send_early_reply(self, message, channel=""):
        await self._runner.publish(self._message.request_id, message, envelope.EARLY_REPLY, channel)

    async def send_early_exit(self, message, channel=""):
        await self._runner.publish(self._message.request_id, message, envelope.EARLY_EXIT, channel)

    def is_message_ok(self):
        return self._message.message_type == envelope.OK

    def is_message_error(self):
        return self._message.message_type == envelope.ERROR

    def is_message_early_reply(self):
        return self._message.message_type == envelope.EARLY_REPLY

    def is_message_early_exit(self):
        return self._message.message_type == envelope.EARLY_EXIT


class Runner:
    """One node: its connection, its subscriptions, its outputs."""

    def __init__(self, env):
        self.env = env
        self.node = env["KRT_NODE_NAME"]
        self.logger = logging.getLogger(self.node)
        self.configuration = None
        self.object_store = None

    async def start(self):
        env = self.env
        worker = load(os.path.join(env["KRT_BASE_PATH"], env["KRT_HANDLER_PATH"]))
        self.nc = await nats.connect(env["KRT_NATS_SERVER"], name=f"{env['KRT_VERSION']}-{self.node}")
        self.js = self.nc.jetstream(timeout=float(env.get("KRT_JS_REQUEST_TIMEOUT", 30000)))
        # In the order in which a value without a scope is looked for.
        scopes = ["node", "workflow", "project"]
        buckets = {s: await self.js.key_value(env[f"KRT_NATS_KEY_VALUE_STORE_{s.upper()}"]) for s in scopes}
        self.configuration = Configuration(buckets)
        if env.get("KRT_NATS_OBJECT_STORE"):
            self.object_store = ObjectStore(env["KRT_NATS_SERVER"], env["KRT_NATS_OBJECT_STORE"])
        self.context = Context(self)
        if hasattr(worker, "init"):
            begun = worker.init(self.context)
            if asyncio.iscoroutine(begun):
                await begun
        self.default_handler = getattr(worker, "default_handler", None)
        self.custom_handlers = getattr(worker, "custom_handlers", {})
        for subject in env["KRT_NATS_INPUTS"].split(","):
            name = f"{subject.replace('.', '-')}-{self.node}"
            await self.js.subscribe(
                subject,
                queue=name,
                durable=name,
                cb=self.handle,
                manual_ack=True,
                config=ConsumerConfig(
                    deliver_policy=DeliverPolicy.NEW,
                    ack_policy=AckPolicy.EXPLICIT,
                    ack_wait=ACK_WAIT,
                    max_ack_pending=int(env.get("KRT_NATS_MAX_ACK_PENDING", -1)),
                ),
            )
            self.logger.info("listening to %s", subject)

    async def handle(self, msg):
        """One message; the client calls it for one message of a subscription at a time."""
        data = gzip.decompress(msg.data) if msg.data[:2] == MAGIC else msg.data
        message = envelope.KreNatsMessage.FromString(data)
        try:
            handler = self.custom_handlers.get(message.from_node, self.default_handler)
            await handler(self.context.for_message(message), message.payload)
        except Exception as error:
            text = f"error in node '{self.node}' executing handler for node '{message.from_node}': {error!r}"
            self.logger.error("%s", text)
            failed = envelope.KreNatsMessage(
                request_id=message.request_id, error=text, from_node=self.node, message_type=envelope.ERROR
            )
            await self.send(failed, "")
        await msg.ack()

    async def publish(self, request_id, message, message_type, channel):
        wrapped = envelope.KreNatsMessage()
        wrapped.payload.Pack(message)
        await self.publish_any(request_id, wrapped.payload, message_type, channel)

    async def publish_any(self, request_id, payload, message_type, channel):
        out = envelope.KreNatsMessage(request_id=request_id, from_node=self.node, message_type=message_type)
        out.payload.CopyFrom(payload)
        await self.send(out, channel)

    async def send(self, message, channel):
        subject = self.env["KRT_NATS_OUTPUT"] + (f".{channel}" if channel else "")
        stream = self.env["KRT_NATS_STREAM"]
        data = message.SerializeToString()
        limit = self.nc.max_payload
        of_stream = (await self.js.stream_info(stream)).config.max_msg_size
        if of_stream is not None and 0 < of_stream < limit:
            limit = of_stream
        if len(data) > limit:
            data = gzip.compress(data, compresslevel=9)
            if len(data) > limit:
                raise TypeError(f"the message has {len(data)} bytes compressed, the limit is {limit}")
        try:
            await self.js.publish(subject, data, stream=stream)
        except NatsError as error:
            # As in the original: said, and no more.
            self.logger.error("publishing on %s: %r", subject, error)


def load(path):
    sys.path.append(os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("worker", path)
    worker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(worker)
    return worker


async def main():
    missing = [name for name in MANDATORY if name not in os.environ]
    if missing:
        sys.exit(f"missing in the environment: {', '.join(missing)}")
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S",
    )
    logging.addLevelName(logging.WARNING, "WARN")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sig in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(sig, stop.set)
    runner = Runner(dict(os.environ))
    await runner.start()
    await stop.wait()
    await runner.nc.close()


if __name__ == "__main__":
    asyncio.run(main())
