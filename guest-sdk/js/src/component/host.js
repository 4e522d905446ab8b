//! The component's side of the contract: its imports as the SDK's port. Values were checked before; what the host says no
//! with becomes an exception of the author's world.

import * as configuration from "krt:node/configuration@0.1.1";
import * as database from "krt:node/database@0.1.1";
import * as delivery from "krt:node/delivery@0.1.1";
import * as logging from "krt:node/logging@0.1.1";
import * as measurements from "krt:node/measurements@0.1.1";
import * as messaging from "krt:node/messaging@0.1.1";
import * as metadata from "krt:node/metadata@0.1.1";
import * as objects from "krt:node/object-store@0.1.1";
import * as predictions from "krt:node/predictions@0.1.1";

import {
  ConfigurationError,
  DatabaseError,
  MeasurementError,
  ObjectStoreError,
  PredictionError,
  SendError,
} from "../errors.js";
import { exactly, s64 } from "./numbers.js";

// QuickJS wants every argument, and gives null for none where SpiderMonkey gives undefined.

function refused(Kind, thrown) {
  const said = thrown?.payload;
  return said === undefined || said === null ? thrown : new Kind(String(said.tag), said.val);
}

function asked(Kind, call) {
  return (...values) => {
    try {
      return call(...values) ?? undefined;
    } catch (thrown) {
      throw refused(Kind, thrown);
    }
  };
}

let minimum;

export const imports = {
  send(typeUrl, data, type, channel) {
    try {
      messaging.send({ typeUrl, data }, type, channel);
    } catch (thrown) {
      throw refused(SendError, thrown);
    }
  },
  relay: asked(SendError, (type, channel) => messaging.relay(type, channel)),
  maxPayload: () => messaging.maxPayload(),

  attempt: () => delivery.attempt(),
  timeRemaining: () => delivery.timeRemaining() ?? undefined,
  channel: () => delivery.channel() ?? undefined,
  traceparent: () => delivery.traceparent() ?? undefined,

  getSetting: asked(ConfigurationError, (key, scope) => configuration.get(key, scope)),
  setSetting: asked(ConfigurationError, (key, value, scope) => configuration.set(key, value, scope)),
  // A function of this name cannot be imported by it.
  deleteSetting: asked(ConfigurationError, (key, scope) => configuration["delete"](key, scope)),

  getObject: asked(ObjectStoreError, (name) => objects.get(name)),
  saveObject: asked(ObjectStoreError, (name, data) => objects.save(name, data)),
  listObjects: asked(ObjectStoreError, (pattern) => objects.list(pattern)),
  deleteObject: asked(ObjectStoreError, (name) => objects["delete"](name)),
  purgeObjects: asked(ObjectStoreError, (pattern) => objects.purge(pattern)),

  measure: asked(MeasurementError, (name, fields, tags, time) =>
    measurements.save(name, fields.map(([field, value]) => [field, valueOf(value)]), tags, time === undefined ? undefined : s64(time)),
  ),

  savePrediction: asked(PredictionError, (predicted, actual, extra, time) =>
    predictions.save(predicted, actual, extra, time === undefined ? undefined : s64(time)),
  ),
  savePredictionError: asked(PredictionError, (problem, extra, time) =>
    predictions.saveError(problem, extra, time === undefined ? undefined : s64(time)),
  ),

  saveDocument: asked(DatabaseError, (collection, document) => database.save(collection, document)),
  findDocuments: asked(DatabaseError, (collection, query) => database.find(collection, query)),

  log: (level, text, fields) => logging.log(level, text, fields),
  minLevel: () => (minimum ??= logging.minLevel()),

  metadata: () => ({
    runtimeId: metadata.runtimeId(),
    version: metadata.version(),
    versionId: metadata.versionId(),
    workflow: metadata.workflow(),
    node: metadata.node(),
    basePath: metadata.basePath(),
  }),
};

function valueOf(value) {
  return typeof value.val === "bigint" ? { tag: value.tag, val: exactly(value.val) } : value;
}
