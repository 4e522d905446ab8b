//! The host's part for unit tests: its own rules and errors, without wasm and without a bus. See ../../testing.d.ts.

import {
  ConfigurationError,
  DatabaseError,
  ObjectStoreError,
  MeasurementError,
  PredictionError,
  SendError,
  judge,
} from "../errors.js";
import { use } from "../host.js";
import { LEVELS, log } from "../log.js";
import { any, encode, nameOf, typeUrl, unpack } from "../message.js";
import { Node } from "../node.js";
import { checkCollection, matches, objectOf } from "./database.js";

const SCOPES = ["node", "workflow", "project"];
const AWAY = "the test host says so";

export class TestHost {
  constructor(options = {}) {
    this.options = options;
    this.settings = new Map();
    for (const scope of SCOPES) {
      for (const [key, value] of Object.entries(options.settings?.[scope] ?? {})) this.settings.set(`${scope} ${key}`, value);
    }
    const objects = Object.entries(options.objects ?? {});
    this.objects = new Map(objects.map(([name, data]) => [name, typeof data === "string" ? new TextEncoder().encode(data) : data]));
    this.measurements = [];
    this.predictions = [];
    this.logs = [];
    this.collections = new Map(
      Object.entries(options.documents ?? {}).map(([name, documents]) => [name, documents.map((document) => JSON.stringify(document))]),
    );
  }

  setting(scope, key) {
    return this.settings.get(`${scope} ${key}`);
  }

  documents(collection) {
    return (this.collections.get(collection) ?? []).map((document) => JSON.parse(document));
  }

  start(node) {
    return this.run({ attempt: 0 }, undefined, () => Node.start(node));
  }

  handle(node, schema, message, delivery) {
    return this.handleAny(node, any(typeUrl(schema), encode(schema, message)), delivery);
  }

  handleAny(node, payload, delivery = {}) {
    return this.deliver(node, payload, undefined, { messageType: "ok", ...delivery });
  }

  handleError(node, text, delivery = {}) {
    return this.deliver(node, undefined, text, { messageType: "error", ...delivery });
  }

  async deliver(node, payload, error, delivery) {
    // Where it fails, the node does not become ready, and no message reaches it.
    const started = await this.start(node);
    if (started.thrown !== undefined) return started;
    const message = {
      requestId: delivery.requestId ?? "request",
      fromNode: delivery.from ?? "entrypoint",
      messageType: delivery.messageType,
      typeUrl: payload?.typeUrl,
      data: payload?.value,
      error,
    };
    return this.run(delivery, { payload }, () => Node.handle(node, message));
  }

  async run(delivery, inHand, work) {
    const outputs = [];
    use(port(this, delivery, inHand, outputs));
    let thrown;
    let failure;
    try {
      await work();
    } catch (error) {
      thrown = error ?? new Error(`${error} was thrown`);
      failure = judge(error);
      if (!failure.expected) log.error(failure.text);
    }
    return {
      thrown,
      rejected: failure !== undefined && !failure.transient ? failure.text : undefined,
      transient: failure?.transient ? failure.text : undefined,
      outputs,
      sent: (schema) =>
        outputs
          .filter(({ type, channel, payload }) => type === "ok" && channel === undefined && payload !== undefined && nameOf(payload.typeUrl) === schema.typeName)
          .map((output) => output.unpack(schema)),
    };
  }
}

/** What one delivery sees. */
function port(test, delivery, inHand, outputs) {
  const { options, settings, objects } = test;
  const away = (Kind) => {
    if (options.unavailable) throw new Kind("unavailable", AWAY);
  };
  const maxPayload = options.maxPayload ?? 1 << 20;
  const put = (type, channel, payload) => {
    if (inHand === undefined) throw new SendError("no-message");
    if (channel !== undefined && (channel === "" || /[.*> \p{Cc}]/u.test(channel))) throw new SendError("invalid-channel", channel);
    if (payload !== undefined) {
      if (nameOf(payload.typeUrl) === "") throw new SendError("invalid-type-url", payload.typeUrl);
      if (payload.value.length > maxPayload) throw new SendError("too-large", maxPayload);
    }
    away(SendError);
    outputs.push({ type, channel, payload, unpack: (schema) => unpack(schema, payload) });
  };
  const key = (name) => {
    away(ConfigurationError);
    if (!/^[\w\-/=.]+$/.test(name) || name.startsWith(".") || name.endsWith(".")) {
      throw new ConfigurationError("invalid-key", `${JSON.stringify(name)}: letters, digits and -/_=. only, no dot at either end`);
    }
    return name;
  };
  const store = () => {
    if (options.objects === undefined) throw new ObjectStoreError("not-declared");
    away(ObjectStoreError);
    return objects;
  };
  const found = (pattern) => {
    let expression;
    try {
      expression = new RegExp(pattern ?? "");
    } catch (error) {
      throw new ObjectStoreError("invalid-name", error.message);
    }
    return [...store().keys()].filter((name) => expression.test(name)).sort();
  };
  const existing = (name) => {
    if (!store().has(name)) throw new ObjectStoreError("not-found");
    return name;
  };
  const keep = (prediction, extra, time) => {
    let kept;
    try {
      kept = extra === undefined ? undefined : JSON.parse(extra);
    } catch (error) {
      throw new PredictionError("invalid", `what is to be kept with it: ${error.message}`);
    }
    away(PredictionError);
    test.predictions.push({ ...prediction, extra: kept, time });
  };
  return {
    send: (url, value, type, channel) => put(type, channel, any(url, value.slice())),
    relay: (type, channel) => put(type, channel, inHand?.payload),
    maxPayload: () => maxPayload,

    attempt: () => delivery.attempt ?? 1,
    timeRemaining: () => (delivery.timeRemaining === undefined ? undefined : delivery.timeRemaining * 1e6),
    channel: () => delivery.channel,
    traceparent: () => delivery.traceparent,

    getSetting: (name, scope) => {
      const scopes = scope === undefined ? SCOPES : [scope];
      return scopes.map((within) => settings.get(`${within} ${key(name)}`)).find((value) => value !== undefined);
    },
    setSetting: (name, value, scope = "node") => void settings.set(`${scope} ${key(name)}`, value),
    deleteSetting: (name, scope = "node") => void settings.delete(`${scope} ${key(name)}`),

    getObject: (name) => store().get(existing(name)).slice(),
    saveObject: (name, data) => {
      store();
      if (name === "" || /\p{Cc}/u.test(name)) throw new ObjectStoreError("invalid-name", JSON.stringify(name));
      objects.set(name, data.slice());
    },
    listObjects: found,
    deleteObject: (name) => void objects.delete(existing(name)),
    purgeObjects: (pattern) => {
      const names = found(pattern);
      for (const name of names) objects.delete(name);
      return names.length;
    },

    measure: (name, fields, tags, time) => {
      if (name === "") throw new MeasurementError("invalid", "it has no name");
      if (fields.length === 0) throw new MeasurementError("invalid", "it has no field");
      const values = Object.fromEntries(fields.map(([field, { val }]) => [field, val]));
      test.measurements.push({ name, fields: values, tags: Object.fromEntries(tags), time });
    },

    savePrediction: (predicted, actual, extra, time) => keep({ predicted, actual }, extra, time),
    savePredictionError: (problem, extra, time) => keep({ problem }, extra, time),

    saveDocument: (collection, document) => {
      checkCollection(collection);
      objectOf(document);
      away(DatabaseError);
      test.collections.set(collection, [...(test.collections.get(collection) ?? []), document]);
    },
    findDocuments: (collection, query) => {
      checkCollection(collection);
      const asked = objectOf(query);
      away(DatabaseError);
      return (test.collections.get(collection) ?? []).filter((document) => matches(asked, JSON.parse(document)));
    },

    log: (level, text, fields) => void test.logs.push({ level, text, fields: Object.fromEntries(fields) }),
    minLevel: () => (LEVELS.includes(options.minLevel) ? options.minLevel : "trace"),

    metadata: () => ({
      runtimeId: "runtime",
      version: "version",
      versionId: "000000000000000000000000",
      workflow: "workflow",
      node: "node",
      basePath: options.package ?? ".",
      ...options.metadata,
    }),
  };
}

