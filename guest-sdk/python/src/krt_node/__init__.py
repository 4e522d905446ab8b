"""Write nodes of a KRT v2 version in Python. A node is a WebAssembly component; this is a thin skin over its contract.

A node is a module `main.py` with the names that the original's runner looks for: `init`, `default_handler` and
`custom_handlers`. `krt build` makes the component; `krt_node.testing` tests handlers without one.

    from krt_node import Context
    from messages.public_input_pb2 import Answer, Greeting

    def greet(ctx: Context, greeting: Greeting) -> None:
        ctx.send_output(Answer(text=f"Hello, {greeting.name}!"))

    custom_handlers = {"entrypoint": greet}

Code outside of functions runs once, when the component is built: what depends on the environment or on time belongs into
`init`.
"""

from ._host import Metadata
from ._logs import TRACE_LEVEL as TRACE
from .capability import (
    AsyncConfiguration,
    AsyncDatabase,
    AsyncPrediction,
    Configuration,
    Database,
    Measurement,
    ObjectStore,
    Prediction,
)
from .context import AsyncContext, Context
from .errors import (
    ConfigurationError,
    DatabaseError,
    Denied,
    Dropped,
    Failure,
    Invalid,
    KrtError,
    MeasurementError,
    NoMessage,
    NotConfigured,
    NotDeclared,
    NotFound,
    ObjectStoreError,
    PathError,
    PredictionError,
    Rejected,
    SendError,
    TooLarge,
    TooMany,
    Transient,
    Unavailable,
    UnpackError,
)
from .messages import MessageType, OutputType, Scope, unpack
from .node import Node

__all__ = [
    "TRACE",
    "AsyncConfiguration",
    "AsyncContext",
    "AsyncDatabase",
    "AsyncPrediction",
    "Configuration",
    "ConfigurationError",
    "Context",
    "Database",
    "DatabaseError",
    "Denied",
    "Dropped",
    "Failure",
    "Invalid",
    "KrtError",
    "Measurement",
    "MeasurementError",
    "MessageType",
    "Metadata",
    "NoMessage",
    "Node",
    "NotConfigured",
    "NotDeclared",
    "NotFound",
    "ObjectStore",
    "ObjectStoreError",
    "OutputType",
    "PathError",
    "Prediction",
    "PredictionError",
    "Rejected",
    "Scope",
    "SendError",
    "TooLarge",
    "TooMany",
    "Transient",
    "Unavailable",
    "UnpackError",
    "unpack",
]
