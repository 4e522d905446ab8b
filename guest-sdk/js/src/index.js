//! What a node's author imports. Never touches a host: that is `component/` in a component, and `testing/` elsewhere.
// See ../index.d.ts for what each of these is.

export { Node, node } from "./node.js";
export {
  ConfigurationError,
  DatabaseError,
  HostError,
  MeasurementError,
  ObjectStoreError,
  PredictionError,
  Rejected,
  SendError,
  Transient,
  UnpackError,
} from "./errors.js";
export { log } from "./log.js";
export { unsigned } from "./values.js";
