"""What the context takes and refuses, and how the test host answers."""

import unittest
from datetime import datetime, timezone
from decimal import Decimal

from google.protobuf.any_pb2 import Any
from protos import Ping, Pong

from krt_node import (
    ConfigurationError,
    DatabaseError,
    Invalid,
    KrtError,
    MeasurementError,
    NotDeclared,
    NotFound,
    ObjectStoreError,
    PathError,
    PredictionError,
    Scope,
    SendError,
    TooLarge,
    TooMany,
)
from krt_node.testing import TestHost


class Sending(unittest.TestCase):
    def setUp(self):
        self.host = TestHost(max_payload=100)
        self.ctx = self.host.context(Ping(number=1))

    def refused(self, call, *arguments):
        with self.assertRaises(SendError) as raised:
            call(*arguments)
        return raised.exception

    def test_the_reasons_of_a_refusal_are_told_apart(self):
        ctx = self.ctx
        error = self.refused(ctx.send_output, Ping(text="x" * 200))
        self.assertIsInstance(error, TooLarge)
        self.assertEqual((error.case, error.limit), ("too-large", 100))
        for channel in ("a.b", "*", ">", "a b", "\n"):
            self.assertEqual(self.refused(ctx.send_output, Pong(), channel).case, "invalid-channel")
        self.assertEqual(self.refused(ctx.send_any, Any(type_url="x/")).case, "invalid-type-url")
        for _ in range(10_000):
            ctx.send_output(Pong())
        error = self.refused(ctx.send_output, Pong())
        self.assertEqual((error.case, error.limit, isinstance(error, TooMany)), ("too-many", 10_000, True))

    def test_the_empty_channel_is_none_as_in_the_original(self):
        self.ctx.send_output(Pong())
        self.ctx.send_output(Pong(), "")
        self.ctx.send_output(Pong(), None)
        self.ctx.relay()
        self.assertEqual({output.channel for output in self.host.take().outputs}, {None})

    def test_what_is_no_message_is_refused_before_the_host_sees_it(self):
        for wrong in (5, None, b"", "text", Ping):
            with self.assertRaises(TypeError):
                self.ctx.send_output(wrong)
        with self.assertRaises(UnicodeEncodeError):
            self.ctx.send_output(Pong(), "\ud800")

    def test_a_payload_of_any_kind_of_bytes_is_sent(self):
        class Packed:
            type_url = "x/tests.Ping"

            def __init__(self, value):
                self.value = value

        for value in (b"\x08\x01", bytearray(b"\x08\x01"), memoryview(b"\x08\x01")):
            self.ctx.send_any(Packed(value))
        for output in self.host.take().outputs:
            self.assertIs(type(output.payload[1]), bytes)
        with self.assertRaises(TypeError):
            self.ctx.send_any(Packed(5))

    def test_an_any_is_packed_again_by_send_output_and_not_by_send_any(self):
        packed = Any()
        packed.Pack(Ping(number=1))
        self.ctx.send_output(packed)
        self.ctx.send_any(packed)
        urls = [output.payload[0] for output in self.host.take().outputs]
        self.assertEqual(urls, ["type.googleapis.com/google.protobuf.Any", "type.googleapis.com/tests.Ping"])


class Facts(unittest.TestCase):
    def test_all_that_is_known_of_the_message(self):
        host = TestHost(
            from_node="etl", request_id="r", channel="c", attempt=3, time_remaining=1.5, traceparent="t", node="me"
        )
        ctx = host.context(Ping())
        self.assertEqual((ctx.get_request_id(), ctx.request_id, ctx.from_node, ctx.channel), ("r", "r", "etl", "c"))
        self.assertEqual((ctx.attempt, ctx.time_remaining, ctx.traceparent), (3, 1.5, "t"))
        self.assertEqual((ctx.metadata.node, ctx.message_name, ctx.max_payload), ("me", "tests.Ping", 1 << 20))

    def test_paths_stay_in_the_package(self):
        ctx = TestHost(package="/krt-files").context()
        self.assertEqual(ctx.path("model/words.txt"), "/krt-files/model/words.txt")
        for outside in ("", "/etc/passwd", "../x", "a/../../x"):
            with self.assertRaises(PathError):
                ctx.path(outside)


class Configuration(unittest.TestCase):
    def test_scopes_are_looked_through_from_the_node_up(self):
        host = TestHost(configuration={"a": "node", ("workflow", "a"): "workflow", ("project", "b"): "project"})
        settings = host.context().configuration
        self.assertEqual([settings.get(key) for key in "abc"], ["node", "project", None])
        self.assertEqual([settings.get("a", scope) for scope in ("workflow", Scope.WORKFLOW, "project")], ["workflow"] * 2 + [None])
        settings.set("c", "")
        settings.set("d", "x", Scope.PROJECT)
        settings.delete("a")
        settings.delete("never")
        self.assertEqual((settings.get("a"), settings.get("c"), host.configuration["project", "d"]), ("workflow", "", "x"))

    def test_what_cannot_be_kept_is_refused(self):
        settings = TestHost().context().configuration
        for key in ("", ".a", "a.", "a b", "ä"):
            with self.assertRaises(ConfigurationError) as raised:
                settings.get(key)
            self.assertIsInstance(raised.exception, Invalid)
            self.assertEqual(raised.exception.case, "invalid-key")
        for wrong in ((5, "x"), ("x", 5), ("x", None), ("x", b"")):
            with self.assertRaises(TypeError):
                settings.set(*wrong)
        with self.assertRaisesRegex(ValueError, "not a scope: node, workflow, project"):
            settings.get("x", "global")


class ObjectStore(unittest.TestCase):
    def test_objects_are_kept_listed_and_purged(self):
        store = TestHost(objects={"b": b"2"}).context().object_store
        for name, content in (("a/1", b"x"), ("a/2", bytearray(b"y")), ("ä", memoryview(b""))):
            store.save(name, content)
        self.assertEqual((store.get("a/2"), store.list(), store.list("^a/")), (b"y", ["a/1", "a/2", "b", "ä"], ["a/1", "a/2"]))
        store.delete("b")
        self.assertEqual((store.purge("2$"), store.purge(), store.list()), (1, 2, []))

    def test_refusals_are_told_apart(self):
        store = TestHost(objects={}).context().object_store
        for call, kind in ((lambda: store.get("x"), NotFound), (lambda: store.save("", b""), Invalid), (lambda: store.list("("), Invalid)):
            with self.assertRaises(kind) as raised:
                call()
            self.assertIsInstance(raised.exception, ObjectStoreError)
        with self.assertRaises(NotDeclared):
            TestHost().context().object_store.list()
        with self.assertRaises(TypeError):
            store.save("x", "text")


class Measurements(unittest.TestCase):
    def test_values_keep_their_kind_and_times_their_unit(self):
        host = TestHost()
        save = host.context().measurement.save
        fields = {"f": 1.5, "i": -2, "u": 1 << 63, "big": 1 << 70, "b": True, "t": "ä", "d": Decimal("0.5"), "n": None}
        save("m", fields, {"kind": 5}, time=2, precision="s")
        save("m", {"x": 1}, time=datetime(1970, 1, 1, 0, 0, 3))
        first, second = host.take().measurements
        self.assertEqual(first.fields, {**{k: v for k, v in fields.items() if k != "n"}, "big": float(1 << 70), "d": 0.5})
        self.assertEqual(first.tags, {"kind": "5"})
        self.assertEqual(first.time, datetime(1970, 1, 1, 0, 0, 2, tzinfo=timezone.utc))
        self.assertEqual(second.time, datetime(1970, 1, 1, 0, 0, 3, tzinfo=timezone.utc))

    def test_what_is_no_point_is_refused(self):
        save = TestHost().context().measurement.save
        for fields in ({}, {"x": float("nan")}, {"x": float("inf")}):
            with self.assertRaises(MeasurementError):
                save("m", fields)
        for fields in ({"x": []}, {5: 5}):
            with self.assertRaises(TypeError):
                save("m", fields)
        with self.assertRaises(ValueError):
            save("m", {"x": 1}, time=1 << 63)


class Data(unittest.TestCase):
    def test_documents_are_found_by_the_queries_that_every_database_takes(self):
        host = TestHost(documents={"c": [{"n": 1, "in": {"k": "a"}}, {"n": 2, "l": [1, 5]}]})
        db = host.context().db
        db.save("c", {"n": 3.5, "ä": None})
        db.save("c", '{"n": true}')

        def numbers(query):
            return [found["n"] for found in db.find("c", query)]

        self.assertEqual(numbers({}), [1, 2, 3.5, True])
        self.assertEqual(numbers({"in.k": "a"}), [1])
        self.assertEqual(numbers({"n": {"$gt": 1, "$lt": 3}}), [2])
        self.assertEqual(numbers({"n": {"$in": [1, 3.5]}}), [1, 3.5])
        self.assertEqual(numbers({"l": 5}), [2])
        self.assertEqual(numbers({"$or": [{"n": 1}, {"l": {"$exists": True}}]}), [1, 2])
        self.assertEqual(numbers({"n": True}), [True])
        self.assertEqual(db.find("none", {}), [])
        for wrong in ({"$where": "1"}, {"n": {"$regex": "x"}}, {"$and": []}):
            with self.assertRaises(DatabaseError):
                db.find("c", wrong)

    def test_what_is_no_document_is_refused(self):
        db = TestHost().context().db
        for coll, document in (("", {}), ("system.x", {}), ("a b", {}), ("c", "[]"), ("c", "{")):
            with self.assertRaises(DatabaseError) as raised:
                db.save(coll, document)
            self.assertEqual(raised.exception.case, "invalid")
        with self.assertRaises(ValueError):
            db.save("c", {"x": float("nan")})

    def test_predictions_are_kept_with_what_goes_with_them(self):
        host = TestHost()
        save = host.context().prediction.save
        save("spam", "ham", {"model": "v3"}, datetime(2024, 1, 2, tzinfo=timezone.utc))
        save(error="missing_values")
        first, second = host.take().predictions
        self.assertEqual((first.predicted_value, first.true_value, first.extra), ("spam", "ham", '{"model": "v3"}'))
        self.assertEqual(first.time, datetime(2024, 1, 2, tzinfo=timezone.utc))
        self.assertEqual(second.problem, "missing-values")
        with self.assertRaises(PredictionError):
            save("a", "b", "no JSON")
        with self.assertRaises(ValueError):
            save(error="other")


class Errors(unittest.TestCase):
    def test_every_refusal_can_be_caught_as_one(self):
        ctx = TestHost().context()
        for call in (lambda: ctx.object_store.list(), lambda: ctx.configuration.get(""), lambda: ctx.send_output(Pong(), ".")):
            with self.assertRaises(KrtError):
                call()


if __name__ == "__main__":
    unittest.main()
