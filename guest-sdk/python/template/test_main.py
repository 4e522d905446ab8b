"""Run by `.venv/bin/python -m unittest` in this folder, after `krt build`: without wasm and without a bus."""

import unittest

import main
from krt_node.testing import TestHost
from messages.public_input_pb2 import Answer, Greeting


class Greets(unittest.TestCase):
    def test_a_name_is_greeted(self):
        outcome = TestHost().handle(main, Greeting(name="you"))
        self.assertEqual(outcome.sent(Answer), [Answer(text="Hello, you!")])

    def test_no_name_is_rejected(self):
        outcome = TestHost().handle(main, Greeting())
        self.assertEqual(str(outcome.failure), "a greeting needs a name")
        self.assertEqual(outcome.outputs, [])


if __name__ == "__main__":
    unittest.main()
