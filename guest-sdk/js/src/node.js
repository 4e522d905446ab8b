//! Which function handles what: the table that the original runners keep as `default_handler` and `custom_handlers`.

import { Context } from "./context.js";
import { Rejected } from "./errors.js";
import { host } from "./host.js";
import { log } from "./log.js";
import { Incoming, any, unpack } from "./message.js";

/**
 * A node. `init` is called once per instance, before its first message; what it returns is the handlers' `ctx.state`.
 *
 * @param {Function} [init]
 */
export function node(init) {
  return new Node(init);
}

/** A node: what it does once, and the handlers of its messages. */
export class Node {
  #init;
  #origins = new Map();
  #default;
  #state;
  #ready = false;

  constructor(init) {
    if (init !== undefined) mustBeFunction(init, "init");
    this.#init = init;
  }

  on(origin, ...handler) {
    if (typeof origin !== "string") throw new TypeError("the first argument of `on` is the name of the node that messages come from");
    this.#origins.set(origin, handlerOf(handler, `the handler of ${JSON.stringify(origin)}`));
    return this;
  }

  default(...handler) {
    this.#default = handlerOf(handler, "the default handler");
    return this;
  }

  /** Runs `init`, once. A promise only if it gave one. */
  static start(node) {
    if (node.#ready) return undefined;
    const done = (state) => {
      node.#state = state;
      node.#ready = true;
    };
    if (node.#init === undefined) return done(undefined);
    const ctx = new Context(undefined, "", "", "undefined");
    const made = node.#init(ctx);
    return isThenable(made) ? made.then(done) : done(made);
  }

  /**
   * Handles one message. A promise only if the handler gave one: what is done at once costs no promise.
   *
   * @param {Node} node
   * @param {{ requestId: string, fromNode: string, messageType: string, typeUrl?: string, data?: Uint8Array, error?: string }} message
   */
  static handle(node, message) {
    const starting = Node.start(node);
    if (starting !== undefined) return starting.then(() => node.#dispatch(message));
    return node.#dispatch(message);
  }

  #dispatch({ requestId, fromNode, messageType, typeUrl, data, error }) {
    // Both marks count, the text and the type: peers set either.
    const failed = error !== undefined && error !== "";
    const kind = failed ? "error" : messageType;
    const handler = this.#origins.get(fromNode) ?? this.#default;
    if (handler === undefined) {
      throw new Rejected(`node ${JSON.stringify(host.metadata().node)} has no handler for messages of node ${JSON.stringify(fromNode)}, and no default one`);
    }
    const payload = typeUrl === undefined ? undefined : any(typeUrl, data);
    const ctx = new Context(this.#state, requestId, fromNode, kind);
    let running;
    try {
      running = handler(ctx, kind, payload, failed ? error : undefined);
    } catch (thrown) {
      Context.end(ctx);
      throw thrown;
    }
    if (!isThenable(running)) {
      Context.end(ctx);
      return undefined;
    }
    return running.then(
      () => Context.end(ctx),
      (thrown) => {
        Context.end(ctx);
        throw thrown;
      },
    );
  }
}

function handlerOf(given, what) {
  if (given.length > 1) return typed(given[0], given[1], what);
  const handler = mustBeFunction(given[0], what);
  return (ctx, kind, payload, error) => handler(ctx, new Incoming(kind, payload, error));
}

/** Takes ordinary messages of one type: errors are passed on, early answers are the exitpoint's business. */
function typed(schema, handler, what) {
  if (typeof schema?.typeName !== "string") {
    throw new TypeError(`${what} names no message: a schema as the generated code exports it (\`…Schema\`), then a function`);
  }
  mustBeFunction(handler, what);
  return (ctx, kind, payload, error) => {
    switch (kind) {
      case "error":
        throw new Rejected(error ?? `node ${JSON.stringify(ctx.fromNode)} failed without saying why`);
      case "early-reply":
      case "early-exit":
        log.debug(`skipped an early answer of node ${JSON.stringify(ctx.fromNode)}: it is for the caller`);
        return undefined;
      default:
        return handler(ctx, unpack(schema, payload));
    }
  };
}

function mustBeFunction(value, what) {
  if (typeof value !== "function") throw new TypeError(`${what} must be a function`);
  return value;
}

function isThenable(value) {
  return value !== null && typeof value === "object" && typeof value.then === "function";
}
