"""Which handler gets what, and what becomes of what it raises."""

import asyncio
import functools
import logging
import unittest

from google.protobuf.any_pb2 import Any
from protos import Ping, Pong

from krt_node import (
    AsyncContext,
    Context,
    KrtError,
    MessageType,
    NoMessage,
    Node,
    OutputType,
    Rejected,
    SendError,
    Transient,
    UnpackError,
    unpack,
)
from krt_node.testing import TestHost

URL = "type.googleapis.com/tests.Ping"


def answer(ctx: Context, ping: Ping) -> None:
    ctx.send_output(Pong(number=ping.number + 1))


def handled(handler, message=None, **host):
    return TestHost(**host).handle(Node(default_handler=handler), message or Ping(number=1))


def failing(error):
    def handler(ctx, payload):
        raise error

    return handled(handler).failure


class Selection(unittest.TestCase):
    def test_the_origin_selects_the_handler_and_the_default_one_takes_the_rest(self):
        def other(ctx, payload):
            ctx.send_output(Pong(number=99), "others")

        node = Node(custom_handlers={"etl": answer}, default_handler=other)
        self.assertEqual(TestHost(from_node="etl").handle(node, Ping(number=1)).sent(Pong), [Pong(number=2)])
        outputs = TestHost(from_node="ETL").handle(node, Ping(number=1)).outputs
        self.assertEqual([(o.channel, o.decode(Pong).number) for o in outputs], [("others", 99)])

    def test_a_message_that_nobody_handles_is_rejected_with_both_names(self):
        outcome = TestHost(node="me").handle(Node(custom_handlers={"etl": answer}), Ping())
        self.assertEqual(
            str(outcome.failure), 'node "me" has no handler for messages of node "entrypoint", and no default one'
        )

    def test_a_module_without_handlers_is_no_node(self):
        with self.assertRaisesRegex(TypeError, "neither `default_handler` nor `custom_handlers`"):
            Node.of(unittest)

    def test_what_is_no_handler_is_refused_when_the_node_is_made(self):
        def alone(ctx):
            pass

        def unknown(ctx, payload: "Nothing"):  # noqa: F821
            pass

        for wrong in (alone, unknown, 5):
            with self.assertRaises(TypeError):
                Node(default_handler=wrong)

    def test_methods_partials_and_callable_objects_are_handlers(self):
        class Classifier:
            def handle(self, ctx, ping: Ping):
                ctx.send_output(Pong(number=1))

            async def __call__(self, ctx, ping: Ping):
                await ctx.send_output(Pong(number=2))

        def third(number, ctx, payload):
            ctx.send_output(Pong(number=number))

        handlers = [Classifier().handle, Classifier(), functools.partial(third, 3)]
        self.assertEqual([handled(h).sent(Pong)[0].number for h in handlers], [1, 2, 3])


class Typed(unittest.TestCase):
    def test_a_message_of_another_type_is_rejected_with_both_types(self):
        outcome = handled(answer, Pong(number=1))
        self.assertIsInstance(outcome.failure, Rejected)
        self.assertEqual(str(outcome.failure), "UnpackError: the payload is a 'tests.Pong', not a 'tests.Ping'")

    def test_bytes_that_are_no_message_are_rejected(self):
        outcome = TestHost().handle_any(Node(default_handler=answer), URL, b"\xff\xff")
        self.assertIn("the payload is not a valid 'tests.Ping'", str(outcome.failure))

    def test_any_prefix_of_the_type_url_will_do(self):
        data = Ping(number=4).SerializeToString()
        outcome = TestHost().handle_any(Node(default_handler=answer), "other.example/tests.Ping", data)
        self.assertEqual(outcome.sent(Pong), [Pong(number=5)])

    def test_an_error_is_passed_on_with_its_text(self):
        host, node = TestHost(from_node="etl"), Node(default_handler=answer)
        self.assertEqual(str(host.handle_error(node, "no such batch").failure), "no such batch")
        self.assertEqual(str(host.handle_error(node).failure), 'node "etl" failed without saying why')

    def test_early_answers_are_skipped(self):
        for kind in (MessageType.EARLY_REPLY, MessageType.EARLY_EXIT):
            outcome = handled(answer, message_type=kind)
            self.assertEqual((outcome.failure, outcome.outputs), (None, []))

    def test_annotations_as_texts_are_looked_up(self):
        def handler(ctx: "Missing", ping: "Ping"):  # noqa: F821
            ctx.send_output(Pong(number=ping.number))

        self.assertEqual(handled(handler).sent(Pong), [Pong(number=1)])


class Untyped(unittest.TestCase):
    def test_a_packed_message_unpacks_as_in_the_original(self):
        def handler(ctx, payload):
            ping = Ping()
            self.assertTrue(payload.Unpack(ping))
            self.assertFalse(payload.Unpack(Pong()))
            self.assertEqual(unpack(payload, Ping), ping)
            with self.assertRaisesRegex(UnpackError, "a 'tests.Ping', not a 'tests.Pong'"):
                unpack(payload, Pong)
            ctx.send_any(payload, "again")

        output = handled(handler).outputs[0]
        self.assertEqual((output.channel, output.payload), ("again", (URL, Ping(number=1).SerializeToString())))

    def test_errors_and_early_answers_are_told_apart(self):
        seen = []

        def handler(ctx, payload: Any):
            kinds = ctx.is_message_ok, ctx.is_message_error, ctx.is_message_early_reply, ctx.is_message_early_exit
            seen.append(([kind() for kind in kinds].index(True), ctx.error, payload.type_url))

        node = Node(default_handler=handler)
        for kind in (MessageType.OK, MessageType.EARLY_REPLY, MessageType.EARLY_EXIT):
            TestHost(message_type=kind).handle(node, Ping())
        TestHost().handle_error(node, "why")
        TestHost().handle_error(node)
        self.assertEqual(seen, [(0, None, URL), (2, None, URL), (3, None, URL), (1, "why", ""), (1, "", "")])


class Failing(unittest.TestCase):
    def test_the_authors_words_go_out_as_they_are(self):
        self.assertEqual((type(f := failing(Rejected("so"))), str(f)), (Rejected, "so"))
        self.assertEqual((type(f := failing(Transient("later"))), str(f)), (Transient, "later"))

    def test_every_exception_is_a_rejection_in_pythons_words(self):
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError

        errors = {
            ValueError("no such thing"): "ValueError: no such thing",
            KeyError("x"): "KeyError: 'x'",
            SystemExit(3): "SystemExit: 3",
            KeyboardInterrupt(): "KeyboardInterrupt",
            GeneratorExit(): "GeneratorExit",
            ValueError("\ud800"): "ValueError: \\ud800",
            Odd(): "Odd",
        }
        for error, text in errors.items():
            failure = failing(error)
            self.assertEqual((type(failure), str(failure)), (Rejected, text))

    def test_the_stack_is_logged_with_what_it_came_of(self):
        def fails_deep():
            raise KeyError("inner")

        def handler(ctx, payload):
            try:
                fails_deep()
            except KeyError as error:
                raise ValueError("outer") from error

        line = handled(handler).logs[-1]
        self.assertEqual((line.level, line.text), ("error", "ValueError: outer"))
        self.assertRegex(
            line.fields["stack"],
            r"^test_handlers\.py:\d+ in \S*handler; after KeyError: 'inner' at .*handler > .*:\d+ in \S*fails_deep$",
        )

    def test_a_deep_stack_is_cut_in_the_middle(self):
        def endless(ctx, payload):
            endless(ctx, payload)

        outcome = handled(endless)
        self.assertTrue(str(outcome.failure).startswith("RecursionError: maximum recursion depth exceeded"))
        self.assertIn(" more … > ", outcome.logs[-1].fields["stack"])
        self.assertLess(len(outcome.logs[-1].fields["stack"]), 8000)

    def test_what_is_unavailable_is_worth_another_attempt(self):
        def told(ctx, payload):
            try:
                ctx.configuration.get("key")
            except KrtError as error:
                raise RuntimeError("no settings") from error

        for handler in (answer, told):
            self.assertIsInstance(handled(handler, unavailable=True).failure, Transient)

    def test_what_was_sent_before_stays_sent(self):
        def handler(ctx, payload):
            ctx.send_output(Pong())
            raise ValueError

        self.assertEqual(len(handled(handler).outputs), 1)

    def test_init_that_fails_is_told_and_tried_again(self):
        calls = []

        async def init(ctx):
            calls.append(ctx.attempt)
            with self.assertRaises(NoMessage):
                await ctx.send_output(Pong())
            if len(calls) == 1:
                raise Transient("not yet")
            ctx.set("state", 7)

        def handler(ctx, payload):
            ctx.send_output(Pong(number=ctx.get("state")))

        host, node = TestHost(), Node(init=init, default_handler=handler)
        self.assertEqual(str(host.handle(node, Ping()).failure), "not yet")
        self.assertEqual(host.handle(node, Ping()).sent(Pong), [Pong(number=7)])
        self.assertEqual(host.handle(node, Ping()).sent(Pong), [Pong(number=7)])
        self.assertEqual(calls, [0, 0])


class Async(unittest.TestCase):
    def test_what_the_original_awaits_is_awaited(self):
        async def handler(ctx: AsyncContext, ping: Ping):
            await ctx.configuration.set("key", "value", "project")
            value = await ctx.configuration.get("key")
            await ctx.db.save("pings", {"value": value})
            found = await ctx.db.find("pings", {"value": "value"})
            await ctx.prediction.save("a", "b", extra={"found": len(found)})
            await ctx.send_early_reply(Pong(number=1))
            await ctx.send_early_exit(Pong(number=2))
            await ctx.relay("channel")

        outcome = handled(handler)
        self.assertIsNone(outcome.failure)
        self.assertEqual(
            [(o.output_type, o.channel) for o in outcome.outputs],
            [(OutputType.EARLY_REPLY, None), (OutputType.EARLY_EXIT, None), (OutputType.OK, "channel")],
        )
        self.assertEqual(outcome.predictions[0].extra, '{"found": 1}')

    def test_handlers_may_wait_and_have_tasks(self):
        async def one(number):
            await asyncio.sleep(0.001)
            return number

        async def handler(ctx, ping: Ping):
            queue = asyncio.Queue()
            task = asyncio.create_task(queue.put(3))
            numbers = await asyncio.gather(one(1), one(2))
            async with asyncio.timeout(1) if hasattr(asyncio, "timeout") else asyncio.Lock():
                numbers.append(await queue.get())
            await task
            await ctx.send_output(Pong(number=sum(numbers)))

        self.assertEqual(handled(handler).sent(Pong), [Pong(number=6)])

    def test_what_it_raises_is_what_it_raised(self):
        async def handler(ctx, payload):
            await asyncio.sleep(0)
            raise ValueError("late")

        self.assertEqual(str(handled(handler).failure), "ValueError: late")

    def test_tasks_that_are_left_behind_end_with_the_message(self):
        ended = []

        async def straggler(ctx):
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(True)

        async def handler(ctx, payload):
            ctx.set("task", asyncio.create_task(straggler(ctx)))
            await asyncio.sleep(0)

        self.assertIsNone(handled(handler).failure)
        self.assertEqual(ended, [True])

    def test_waiting_for_what_never_comes_is_an_error(self):
        async def handler(ctx, payload):
            await asyncio.Event().wait()

        self.assertIn("nothing will ever set", str(handled(handler).failure))

    def test_handlers_are_tested_inside_a_running_loop_too(self):
        async def handler(ctx, payload):
            await asyncio.sleep(0.001)
            await ctx.send_output(Pong())

        async def test():
            return handled(handler)

        self.assertEqual(len(asyncio.run(test()).outputs), 1)


class Logging(unittest.TestCase):
    def test_records_of_any_logger_go_to_the_host(self):
        def handler(ctx, payload):
            logging.getLogger("other").warning("%d of %s", 2, "ä", extra={"shade": "blue", "spam": True})
            ctx.logger.log(5, "fine")
            try:
                raise KeyError("k")
            except KeyError:
                ctx.logger.exception("went wrong")

        lines = handled(handler).logs
        self.assertEqual([(l.level, l.text) for l in lines], [("warn", "2 of ä"), ("trace", "fine"), ("error", "went wrong")])
        self.assertEqual(lines[0].fields, {"shade": "blue", "spam": "True"})
        self.assertEqual(lines[1].fields, {})
        self.assertEqual(lines[2].fields["error"], "KeyError: 'k'")
        self.assertIn("handler", lines[2].fields["stack"])


class Kept(unittest.TestCase):
    def test_a_context_that_was_kept_sends_nothing_in_the_name_of_another_message(self):
        kept = []

        def handler(ctx, payload):
            for old in kept:
                with self.assertRaises(SendError) as raised:
                    old.send_output(Pong())
                self.assertEqual(raised.exception.case, "no-message")
            kept.append(ctx)

        node = Node(default_handler=handler)
        host = TestHost()
        host.handle(node, Ping())
        self.assertIsNone(host.handle(node, Ping()).failure)


if __name__ == "__main__":
    unittest.main()
