//! The exports of a component whose node this is. The one place where exceptions become failures of the contract.

import { judge } from "../errors.js";
import { use } from "../host.js";
import { flush, frames, log } from "../log.js";
import { Node } from "../node.js";
import { imports } from "./host.js";
import { drive, rest } from "./promise.js";
import { begin } from "./start.js";
import { forget, wait } from "./timers.js";

/**
 * @param {any} node what the entry file exports by default
 */
export function serve(node) {
  if (!(node instanceof Node)) {
    throw new TypeError("the node's entry file exports no node: `export default node(init).on(\"entrypoint\", RequestSchema, handler)`");
  }
  return {
    init() {
      use(imports);
      begin();
      flush();
      return run(() => Node.start(node));
    },
    handle(message) {
      const payload = message.payload ?? undefined;
      return run(() =>
        Node.handle(node, {
          requestId: message.requestId,
          fromNode: message.fromNode,
          messageType: message.messageType,
          typeUrl: payload?.typeUrl,
          data: payload?.data,
          error: message.error ?? undefined,
        }),
      );
    },
  };
}

/** Runs it to its end: the engine's bindings of QuickJS await nothing, those of SpiderMonkey do. */
const run = KRT_ENGINE === "quickjs" ? runHere : runThere;

function runHere(work) {
  try {
    const running = work();
    if (running !== undefined) drive(running, wait);
    rest();
  } catch (thrown) {
    throw failure(thrown);
  } finally {
    forget();
  }
}

function runThere(work) {
  let running;
  try {
    running = work();
  } catch (thrown) {
    throw failure(thrown);
  }
  return running?.then(
    () => undefined,
    (thrown) => {
      throw failure(thrown);
    },
  );
}

/** What the bindings make the contract's `failure` of. */
function failure(thrown) {
  // Nothing can be relied on any more: the instance ends, and the host says what it ran out of.
  if (isOutOfMemory(thrown)) return thrown;
  const { transient, text, expected } = judge(thrown);
  if (!expected) {
    const stack = stackOf(thrown);
    log.error(text, stack.length > 0 ? { stack: stack.join(" <- ") } : undefined);
  }
  return { tag: transient ? "transient" : "rejected", val: text };
}

// What was thrown may be a proxy, or have getters that throw in their turn.

function stackOf(thrown) {
  try {
    return thrown instanceof Error ? frames(thrown.stack, 0) : [];
  } catch {
    return [];
  }
}

function isOutOfMemory(thrown) {
  if (thrown === "out of memory") return true;
  try {
    return thrown instanceof Error && thrown.name === "InternalError" && /out of memory|allocation/.test(thrown.message);
  } catch {
    return false;
  }
}
