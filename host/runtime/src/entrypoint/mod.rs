//! gRPC in, one shared reply consumer a workflow, answers matched by request id.
