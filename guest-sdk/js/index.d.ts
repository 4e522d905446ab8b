/**
 * Write nodes of KRT v2 versions in JavaScript and TypeScript.
 *
 * @packageDocumentation
 */

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

/** A protobuf message with its name: `google.protobuf.Any`. */
export interface Packed {
  /** `type.googleapis.com/<full protobuf name>`. */
  readonly typeUrl: string;
  /** The serialised message. */
  readonly value: Uint8Array;
}

/** What kind of message was received. `undefined`: no kind, or one that nobody knows; treat it as `ok`. */
export type MessageType = "undefined" | "ok" | "error" | "early-reply" | "early-exit";

/** The kinds of message that a handler may send. */
export type OutputType = "ok" | "early-reply" | "early-exit";

/** Who shares a setting: this node in all its replicas, the nodes of its workflow, all nodes of the version. */
export type Scope = "node" | "workflow" | "project";

/** How much a log line matters, least first. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** Makes the handlers' `ctx.state`, once per instance. If it throws, the node does not become ready. */
export type Init<State> = (ctx: Context) => State | Promise<State>;

/** Handles ordinary messages of one type. */
export type Handler<State, Message> = (ctx: Context<State>, message: Message) => void | Promise<void>;

/**
 * A node: what it does once, and the handlers of its messages. The entry file exports it by default.
 *
 * ```ts
 * export default node(load).on("etl", EmailSchema, classify).default(other);
 * ```
 *
 * A message goes to the handler {@link Node.on} the node that sent it, else to the default one; without either it is
 * rejected. A handler with a schema is called for ordinary messages of that type only: an ERROR is passed on (the message
 * is rejected with the same text), early answers are skipped (they are for the caller), another type is rejected with both
 * types' names. A handler without one is called with every message.
 */
export function node(): Node<undefined>;
export function node<State>(init: Init<State>): Node<Awaited<State>>;

/** See {@link node}. */
export declare class Node<State = undefined> {
  private constructor();
  /** Handles the messages of type `schema` that come from the node `origin` (`entrypoint` for requests). */
  on<Schema extends DescMessage>(origin: string, schema: Schema, handler: Handler<State, MessageShape<Schema>>): this;
  /** Handles all messages that come from the node `origin`, errors and early answers included. */
  on(origin: string, handler: Handler<State, Incoming>): this;
  /** Handles the messages of type `schema` of all nodes that have no handler of their own. */
  default<Schema extends DescMessage>(schema: Schema, handler: Handler<State, MessageShape<Schema>>): this;
  /** Handles all messages of all nodes that have no handler of their own. */
  default(handler: Handler<State, Incoming>): this;
}

/** One received message of any kind. */
export interface Incoming {
  readonly messageType: MessageType;
  /** None on errors. */
  readonly payload: Packed | undefined;
  /** The text of the origin node's error, if this message reports one. */
  readonly error: string | undefined;
  /** Full protobuf name of the payload; empty without one. */
  readonly messageName: string;
  /** Whether the payload is such a message, by its name. */
  is(schema: DescMessage): boolean;
  /**
   * The payload's message.
   *
   * @throws {@link UnpackError}: there is none, it is another message, or its bytes are not one.
   */
  unpack<Schema extends DescMessage>(schema: Schema): MessageShape<Schema>;
}

/**
 * The message in hand, and everything that a handler may do.
 *
 * Sending means that the host has taken the message over; the message in hand is acknowledged only after the bus has
 * accepted everything that was sent. A handler that is run again for the same message sends each output once, as long as it
 * sends them in the same order. After the handler is done, its context sends nothing any more.
 */
export interface Context<State = undefined> {
  /** What `init` made. */
  readonly state: State;

  /**
   * Sends a message, or what makes one, to the nodes that subscribe to this one (from the exitpoint: to the caller); with a
   * channel, to those that subscribe to `<node>.<channel>`, and to no others.
   *
   * @throws {@link SendError}: nothing was sent.
   */
  send<Schema extends DescMessage>(schema: Schema, message: MessageInitShape<Schema>, channel?: string): void;
  /** Sends a packed message as it is. Throws as {@link send}. */
  sendAny(payload: Packed, channel?: string): void;
  /** Sends a packed message as any kind. Throws as {@link send}. */
  sendAnyAs(payload: Packed, type: OutputType, channel?: string): void;
  /**
   * Sends the payload in hand on, without copying it out of the host again; with an ERROR in hand, an ordinary message
   * without payload. Throws as {@link send}.
   */
  relay(channel?: string): void;
  /** Sends the payload in hand on as another kind of message. Throws as {@link send}. */
  relayAs(type: OutputType, channel?: string): void;
  /** Sends an answer for the caller and goes on: the exitpoint subscribes to this node and relays it. Throws as {@link send}. */
  earlyReply<Schema extends DescMessage>(schema: Schema, message: MessageInitShape<Schema>, channel?: string): void;
  /** Sends an answer for the caller; the handler should return then. Throws as {@link send}. */
  earlyExit<Schema extends DescMessage>(schema: Schema, message: MessageInitShape<Schema>, channel?: string): void;

  /** The call that the message belongs to; empty in `init`. */
  readonly requestId: string;
  /** The node that sent it; `entrypoint` for a request, empty in `init`. */
  readonly fromNode: string;
  readonly messageType: MessageType;
  readonly isOk: boolean;
  readonly isError: boolean;
  readonly isEarlyReply: boolean;
  readonly isEarlyExit: boolean;
  /** 1 the first time, more when the message comes again; 0 in `init`. */
  readonly attempt: number;
  /** Milliseconds until the host interrupts the handler; none without a limit. */
  readonly timeRemaining: number | undefined;
  /** The channel of the origin node that the message came on; none for its default output. */
  readonly channel: string | undefined;
  /** W3C `traceparent` of the span in hand, for calls that the node makes itself. */
  readonly traceparent: string | undefined;
  /** Largest message in bytes that the bus takes, envelope included, before compression. */
  readonly maxPayload: number;

  /** What this node is. */
  readonly metadata: Metadata;
  /** The node's name. */
  readonly node: string;
  readonly configuration: Configuration;
  readonly objectStore: ObjectStore;
  readonly predictions: Predictions;
  readonly database: Database;

  /**
   * Takes a point of a time series: what was measured, and what to group it by (the host adds `version`, `workflow`,
   * `node`). Numbers are floats, bigints signed integers, `unsigned(…)` the others. `time`: in place of now; a bigint of
   * nanoseconds since 1970 is finer than a Date.
   *
   * @throws {@link MeasurementError}: no name, no field, a number that is not finite, or the host's buffer is full.
   */
  measure(name: string, fields: Record<string, Field>, tags?: Record<string, string | number | boolean>, time?: Date | bigint): void;
  /**
   * Where a file of the package is, for `node:fs`. The package is read-only.
   *
   * @throws TypeError: `relative` is absolute or contains `..`.
   */
  path(relative: string): string;
}

/** What this node is. Constant for the life of the instance. */
export interface Metadata {
  readonly runtimeId: string;
  readonly version: string;
  readonly versionId: string;
  readonly workflow: string;
  readonly node: string;
  /** Where the package's files are. */
  readonly basePath: string;
}

/** Settings that outlive a message. Everything throws {@link ConfigurationError}. */
export interface Configuration {
  /** The value, or undefined; without a scope this node's, else the workflow's, else the project's. */
  get(key: string, scope?: Scope): string | undefined;
  /** Sets or replaces; without a scope this node's value. */
  set(key: string, value: string, scope?: Scope): void;
  /** It is no error if there is none. */
  delete(key: string, scope?: Scope): void;
}

/** The object store that the manifest declares for this node. Everything throws {@link ObjectStoreError}. */
export interface ObjectStore {
  /** The whole object. */
  get(name: string): Uint8Array;
  /** Creates or replaces an object. */
  save(name: string, data: Uint8Array | ArrayBuffer | string): void;
  /** All names, or those in which the regular expression is found; sorted. */
  list(pattern?: string | RegExp): string[];
  delete(name: string): void;
  /** Deletes all that `list` would name; how many. */
  purge(pattern?: string | RegExp): number;
}

/** What a model predicted, for the version's metrics. Everything throws {@link PredictionError}. */
export interface Predictions {
  /** Saves a prediction beside the truth; a message that is handled twice counts twice. */
  save(predicted: string, actual: string, options?: PredictionOptions): void;
  /** Saves that there was no prediction, and why. */
  saveError(problem: "missing-values" | "new-labels", options?: PredictionOptions): void;
}

export interface PredictionOptions {
  /** JSON to keep with it; a string is taken for JSON. */
  extra?: unknown;
  /** In place of now. */
  time?: Date | bigint;
}

/** The runtime's database, which all its versions share. Everything throws {@link DatabaseError}. */
export interface Database {
  /** Saves a document; a string is taken for JSON. */
  save(collection: string, document: object | string): void;
  /** The documents that match a query of MongoDB's language; all without one. */
  find(collection: string, query?: object | string): Record<string, unknown>[];
  /** The same as JSON: integers beyond 2^53 survive. */
  findJson(collection: string, query?: object | string): string[];
}

/** The value of a measurement's field. */
export type Field = number | bigint | boolean | string | Unsigned;

/** Made by {@link unsigned}. */
export interface Unsigned {
  readonly __unsigned?: never;
}

/** A measurement's field as an unsigned integer of 64 bits. */
export function unsigned(value: number | bigint): Unsigned;

/**
 * Lines for the log, with fields of their own. `console` does the same without: `debug`, `log` and `info` (INFO), `warn`,
 * `error`, `trace`. The host adds node and request id.
 */
export declare const log: {
  trace(message: unknown, fields?: Record<string, unknown>): void;
  debug(message: unknown, fields?: Record<string, unknown>): void;
  info(message: unknown, fields?: Record<string, unknown>): void;
  warn(message: unknown, fields?: Record<string, unknown>): void;
  error(message: unknown, fields?: Record<string, unknown>): void;
  /** Whether lines of a level are kept: below it a text need not be made. */
  isEnabled(level: LogLevel): boolean;
};

/** Throw it when the message is at fault: an ERROR message with this text goes out, and it is not tried again. Any other
 * error does the same, and its stack goes to the log. */
export declare class Rejected extends Error {}

/** Throw it when the world is at fault: the message comes again after a pause; after the last attempt it is rejected. */
export declare class Transient extends Error {}

/** The payload is not the message that was asked for. */
export declare class UnpackError extends Error {}

/** The host said no. One of code `unavailable` that a handler lets out is transient. */
export declare class HostError extends Error {
  /** The case's name in the contract: `too-large`, `unavailable`, … */
  readonly code: string;
  /** The limit that was passed, where one was. */
  readonly limit?: number;
  /** What the host said of it. */
  readonly detail?: string;
}

/** A message was not sent: `no-message`, `too-large`, `invalid-channel`, `invalid-type-url`, `too-many`, `unavailable`, `other`. */
export declare class SendError extends HostError {}
/** `invalid-key`, `too-large`, `denied`, `unavailable`, `other`. */
export declare class ConfigurationError extends HostError {}
/** `not-declared`, `not-found`, `invalid-name`, `too-large`, `denied`, `unavailable`, `other`. */
export declare class ObjectStoreError extends HostError {}
/** `invalid`, `dropped`, `other`. */
export declare class MeasurementError extends HostError {}
/** `invalid`, `too-large`, `denied`, `not-configured`, `unavailable`, `other`. */
export declare class PredictionError extends HostError {}
/** `invalid`, `too-large`, `denied`, `not-configured`, `unavailable`, `other`. */
export declare class DatabaseError extends HostError {}
