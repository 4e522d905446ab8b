"""The host's part, played natively: handlers are tested by `python -m unittest` or pytest, without wasm and without a bus.

A `TestHost` has the settings, objects and facts that a test needs; handling a message gives an `Outcome` with what was
sent, logged and measured. The host lives on between messages, as the real one's stores do.

    import main

    host = TestHost(from_node="etl", configuration={"limit": "7"}, objects={})
    outcome = host.handle(main, Ping(number=5))
    assert outcome.failure is None
    assert outcome.sent(Ping) == [Ping(number=5)]
    assert host.configuration["node", "seen"] == "5"

A function alone is tested with a context: `main.greet(host.context(), Greeting(name="you"))`, then `host.take()`.
"""

from ._host import TestHost
from ._outcome import LogLine, Outcome, Output, Point, Predicted

__all__ = ["LogLine", "Outcome", "Output", "Point", "Predicted", "TestHost"]
