//! One node’s loop: delivery → node → settle. The one place that settles a message.
