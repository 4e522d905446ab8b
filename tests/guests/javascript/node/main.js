//! What JavaScript has and the contract has not: each origin node is one thing to stumble over. Answers with what came of it.

import { env } from "node:process";

import { HostError, Transient, log, node, unsigned } from "krt-node";

import { TextSchema } from "./messages/text_pb.js";

// The top level runs when the node is built: it may not read what only an instance has.
let early = "not yet";
Promise.resolve("by a promise").then((text) => {
  early = text;
});
const outside = [];
for (const [what, read] of [
  ["random", () => Math.random()],
  ["uuid", () => crypto.randomUUID()],
  ["environment", () => process.env.HOME],
]) {
  try {
    outside.push(`${what}=${read()}`);
  } catch (error) {
    outside.push(`${what}:${error.message.includes("top level")}`);
  }
}
console.info("said at the top level");

const say = (ctx, text) => ctx.send(TextSchema, { text: String(text) });

/** What an error of a call is called. */
function told(work) {
  try {
    const value = work();
    return value === undefined ? "undefined" : JSON.stringify(value);
  } catch (error) {
    return error instanceof HostError ? error.code : `${error.name}: ${error.message}`;
  }
}

const edges = {
  top: (ctx) => say(ctx, [early, ...outside].join(" ")),
  none: (ctx) => say(ctx, [ctx.channel, ctx.traceparent, ctx.configuration.get("nothing"), env.NOTHING].map((value) => typeof value)),
  surrogates: (ctx) => {
    console.log("a lone \ud800 one");
    ctx.measure("m\udc00", { "f\ud800": "v\ud800" }, { t: "\udfff" });
    log.info("\ud800", { "\ud800": "\udc00" });
    say(ctx, "x\ud800y😀");
  },
  numbers: (ctx) => {
    const max = 2n ** 63n - 1n;
    const fields = { min: -(2n ** 63n), max, natural: unsigned(2n ** 64n - 1n), small: 2n ** 53n, zero: -0, float: 1e308 };
    const odd = told(() => ctx.measure("odd", { odd: 2n ** 53n + 1n }, {}, 1700000000123456789n));
    say(ctx, [told(() => ctx.measure("m", fields)), odd, told(() => ctx.measure("m", { a: Number.POSITIVE_INFINITY })), typeof ctx.timeRemaining, typeof ctx.maxPayload].join(" "));
  },
  wide: (ctx) => ctx.send(TextSchema, { number: -(2n ** 63n), natural: 2n ** 64n - 1n }),
  tooWide: (ctx) => ctx.send(TextSchema, { number: 2n ** 63n }),
  arguments: (ctx) => {
    ctx.relay();
    ctx.relay(undefined);
    ctx.relay(null);
    ctx.send(TextSchema, {}, null);
    say(ctx, [told(() => ctx.send(TextSchema)), told(() => ctx.sendAny()), told(() => ctx.configuration.get()), told(() => ctx.objectStore.list(null)), told(() => ctx.measure())].join(" | "));
  },
  text: () => {
    throw "a text";
  },
  nothing: () => {
    throw undefined;
  },
  object: () => {
    throw { tag: "transient", val: "not the contract's" };
  },
  frozen: () => {
    throw Object.freeze(new Error("frozen"));
  },
  proxy: () => {
    throw new Proxy(new Error("x"), {
      get() {
        throw new Error("no");
      },
    });
  },
  rejects: async () => {
    await null;
    throw new RangeError("rejected later");
  },
  rejectsNothing: () => Promise.reject(),
  later: async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    throw new Transient("away", { cause: new Error("a cause") });
  },
  never: () => new Promise(() => {}),
  thenable: (ctx) => ({
    then(done) {
      say(ctx, "a thenable");
      done();
    },
  }),
  floating: (ctx) => {
    Promise.reject(new Error("nobody looks"));
    setTimeout(() => say(ctx, "too late"), 10_000);
    Promise.resolve().then(() => log.warn("ran to its end"));
    say(ctx, "done");
  },
  generators: async (ctx) => {
    async function* numbers() {
      for (let n = 1; n <= 3; n++) yield n;
    }
    let sum = 0;
    for await (const n of numbers()) sum += n;
    const all = await Promise.all([1, Promise.resolve(2), (async () => 3)()]);
    const settled = await Promise.allSettled([Promise.reject(new Error("x")), 1]);
    const listed = await Array.fromAsync(numbers());
    await new Promise(queueMicrotask);
    say(ctx, [sum, all, settled.map(({ status }) => status), listed].join(" "));
  },
  timers: async (ctx) => {
    const order = [];
    const at = (delay, name) => new Promise((resolve) => setTimeout(() => resolve(order.push(name)), delay));
    const dropped = setTimeout(() => order.push("dropped"), 1);
    clearTimeout(dropped);
    await Promise.all([at(20, "c"), at(1, "a"), at(10, "b")]);
    say(ctx, order);
  },
  random: (ctx) => say(ctx, [Math.random(), crypto.randomUUID(), crypto.getRandomValues(new Uint32Array(2))].join(" ")),
  spin: () => {
    for (;;);
  },
  spinLater: async () => {
    for (;;) await null;
  },
  hog: () => {
    const kept = [];
    for (;;) kept.push(new Uint8Array(1 << 20).fill(1));
  },
  recursion: () => {
    const deeper = (n) => deeper(n + 1) + 1;
    return deeper(0);
  },
  utf8: (ctx) => {
    const bytes = new TextEncoder().encode("ä😀");
    say(ctx, [bytes.length, new TextDecoder().decode(bytes), JSON.stringify(new TextDecoder().decode(new Uint8Array([0x61, 0xff])))].join(" "));
  },
};

const all = node((ctx) => {
  if (ctx.attempt !== 0) throw new Error("init is no message's");
});
for (const [name, edge] of Object.entries(edges)) all.on(name, edge);
export default all.on("typed", TextSchema, (ctx, message) => ctx.send(TextSchema, message));
