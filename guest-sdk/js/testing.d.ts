/**
 * The host's part, played by Node: handlers are tested by `node --test`, without wasm and without a bus.
 *
 * @packageDocumentation
 */

import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";

import type { LogLevel, MessageType, Metadata, Node, OutputType, Packed, Scope } from "./index.js";

/** What a {@link TestHost} begins with. Everything has a default: empty stores, no time limit. */
export interface HostOptions {
  /** The package's folder, for `ctx.path`. */
  package?: string;
  /** Whether the manifest declares an object store; it begins with these objects. */
  objects?: Record<string, Uint8Array | string>;
  /** Settings by scope. */
  settings?: Partial<Record<Scope, Record<string, string>>>;
  /** Documents by collection. */
  documents?: Record<string, object[]>;
  /** Everything beyond the host is away: its calls throw `unavailable`. */
  unavailable?: boolean;
  /** Lines below it are not kept. */
  minLevel?: LogLevel;
  maxPayload?: number;
  metadata?: Partial<Metadata>;
}

/** The facts of one message. */
export interface Delivery {
  /** The node that sends it; `entrypoint` if not said. */
  from?: string;
  messageType?: MessageType;
  channel?: string;
  attempt?: number;
  /** Milliseconds. */
  timeRemaining?: number;
  traceparent?: string;
  requestId?: string;
}

/** A host for unit tests. It lives on between messages, as the real one's stores do. */
export declare class TestHost {
  constructor(options?: HostOptions);
  /** Runs a node's `init` alone. */
  start(node: Node<any>): Promise<Outcome>;
  /** Hands a node one message. */
  handle<Schema extends DescMessage>(node: Node<any>, schema: Schema, message: MessageInitShape<Schema>, delivery?: Delivery): Promise<Outcome>;
  /** Hands a node one packed message. */
  handleAny(node: Node<any>, payload: Packed | undefined, delivery?: Delivery): Promise<Outcome>;
  /** Hands a node the error of another. */
  handleError(node: Node<any>, text: string, delivery?: Delivery): Promise<Outcome>;
  /** The value of a setting. */
  setting(scope: Scope, key: string): string | undefined;
  readonly objects: Map<string, Uint8Array>;
  readonly measurements: Point[];
  readonly predictions: Prediction[];
  /** The documents of a collection. */
  documents(collection: string): Record<string, unknown>[];
  /** All lines, of all messages. `console` stays Node's own. */
  readonly logs: LogLine[];
}

/** What became of one message. */
export interface Outcome {
  /** The text it was rejected with, if it was. */
  readonly rejected: string | undefined;
  /** The text of a transient failure, if there was one. */
  readonly transient: string | undefined;
  /** What a handler threw, as it threw it. */
  readonly thrown: unknown;
  readonly outputs: Output[];
  /** The ordinary messages of a type that went to the default output. */
  sent<Schema extends DescMessage>(schema: Schema): MessageShape<Schema>[];
}

export interface Output {
  readonly type: OutputType;
  readonly channel: string | undefined;
  readonly payload: Packed | undefined;
  unpack<Schema extends DescMessage>(schema: Schema): MessageShape<Schema>;
}

export interface LogLine {
  readonly level: LogLevel;
  readonly text: string;
  readonly fields: Record<string, string>;
}

export interface Point {
  readonly name: string;
  readonly fields: Record<string, number | bigint | boolean | string>;
  readonly tags: Record<string, string>;
  /** Nanoseconds since 1970. */
  readonly time: bigint | undefined;
}

export interface Prediction {
  readonly predicted?: string;
  readonly actual?: string;
  readonly problem?: "missing-values" | "new-labels";
  readonly extra: unknown;
  readonly time: bigint | undefined;
}
