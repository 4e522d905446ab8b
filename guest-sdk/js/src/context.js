//! What a handler may do, and the facts about the message in hand. Checks every value before it reaches the host.

import { MeasurementError, SendError } from "./errors.js";
import { host } from "./host.js";
import { encode, typeUrl } from "./message.js";
import { bytes, fields, json, optionalText, pairs, pattern, scope, text, time } from "./values.js";

/** The message in hand, and everything that a handler may do. */
export class Context {
  #over = false;

  constructor(state, requestId, fromNode, messageType) {
    this.state = state;
    this.requestId = requestId;
    this.fromNode = fromNode;
    this.messageType = messageType;
  }

  /** No more sending: whoever kept the context would send for another message. */
  static end(ctx) {
    ctx.#over = true;
  }

  get isOk() {
    return this.messageType === "ok";
  }

  get isError() {
    return this.messageType === "error";
  }

  get isEarlyReply() {
    return this.messageType === "early-reply";
  }

  get isEarlyExit() {
    return this.messageType === "early-exit";
  }

  get attempt() {
    return host.attempt();
  }

  get timeRemaining() {
    const nanoseconds = host.timeRemaining();
    return nanoseconds === undefined ? undefined : Number(nanoseconds) / 1e6;
  }

  get channel() {
    return host.channel();
  }

  get traceparent() {
    return host.traceparent();
  }

  get maxPayload() {
    return Number(host.maxPayload());
  }

  get metadata() {
    return metadata();
  }

  get node() {
    return metadata().node;
  }

  get configuration() {
    return configuration;
  }

  get objectStore() {
    return objectStore;
  }

  get predictions() {
    return predictions;
  }

  get database() {
    return database;
  }

  send(schema, message, channel) {
    this.#send(typeUrl(schema), encode(schema, message), "ok", channel);
  }

  earlyReply(schema, message, channel) {
    this.#send(typeUrl(schema), encode(schema, message), "early-reply", channel);
  }

  earlyExit(schema, message, channel) {
    this.#send(typeUrl(schema), encode(schema, message), "early-exit", channel);
  }

  sendAny(payload, channel) {
    this.sendAnyAs(payload, "ok", channel);
  }

  sendAnyAs(payload, type, channel) {
    this.#send(text(payload?.typeUrl, "a type URL"), bytes(payload.value, "a payload"), outputType(type), channel);
  }

  relay(channel) {
    this.relayAs("ok", channel);
  }

  relayAs(type, channel) {
    this.#inHand();
    host.relay(outputType(type), optionalText(channel, "a channel"));
  }

  measure(name, values, tags, at) {
    const list = fields(values);
    const broken = list.find(([, value]) => value.tag === "float" && !Number.isFinite(value.val));
    if (broken !== undefined) throw new MeasurementError("invalid", `field ${JSON.stringify(broken[0])} is not finite`);
    host.measure(text(name, "a measurement's name"), list, pairs(tags), time(at));
  }

  path(relative) {
    const inside = typeof relative === "string" && relative !== "" && !relative.startsWith("/");
    if (!inside || relative.split("/").includes("..")) {
      throw new TypeError(`${JSON.stringify(relative)} is not a path inside the package: relative, without '..'`);
    }
    const parts = relative.split("/").filter((part) => part !== "." && part !== "");
    return [metadata().basePath, ...parts].join("/");
  }

  #send(url, value, type, channel) {
    this.#inHand();
    host.send(url, value, type, channel === undefined || channel === null ? undefined : text(channel, "a channel"));
  }

  #inHand() {
    if (this.#over) throw new SendError("no-message");
  }
}

const OUTPUT_TYPES = ["ok", "early-reply", "early-exit"];

function outputType(type) {
  if (OUTPUT_TYPES.includes(type)) return type;
  throw new TypeError(`a message is sent as "ok", "early-reply" or "early-exit", not ${JSON.stringify(type)}`);
}

/** Constant for the life of a host. */
const known = new WeakMap();

function metadata() {
  let found = known.get(host);
  if (found === undefined) {
    found = Object.freeze(host.metadata());
    known.set(host, found);
  }
  return found;
}

const configuration = Object.freeze({
  get: (key, within) => host.getSetting(text(key, "a key"), scope(within)),
  set: (key, value, within) => host.setSetting(text(key, "a key"), text(value, "a value"), scope(within)),
  delete: (key, within) => host.deleteSetting(text(key, "a key"), scope(within)),
});

const objectStore = Object.freeze({
  get: (name) => host.getObject(text(name, "an object's name")),
  save: (name, data) => host.saveObject(text(name, "an object's name"), bytes(data, "an object")),
  list: (matching) => host.listObjects(pattern(matching)),
  delete: (name) => host.deleteObject(text(name, "an object's name")),
  purge: (matching) => host.purgeObjects(pattern(matching)),
});

const predictions = Object.freeze({
  save: (predicted, actual, options) =>
    host.savePrediction(text(predicted, "the predicted value"), text(actual, "the true value"), extra(options), time(options?.time)),
  saveError: (problem, options) => {
    if (problem !== "missing-values" && problem !== "new-labels") {
      throw new TypeError(`a problem is "missing-values" or "new-labels", not ${JSON.stringify(problem)}`);
    }
    host.savePredictionError(problem, extra(options), time(options?.time));
  },
});

function extra(options) {
  return options?.extra === undefined ? undefined : json(options.extra, "what goes with a prediction");
}

const database = Object.freeze({
  save: (collection, document) => host.saveDocument(text(collection, "a collection"), json(document, "a document")),
  find: (collection, query = {}) => database.findJson(collection, query).map((document) => JSON.parse(document)),
  findJson: (collection, query = {}) => host.findDocuments(text(collection, "a collection"), json(query, "a query")),
});

