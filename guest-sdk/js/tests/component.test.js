// What a component has in place of the engine's own, run by Node: promises, texts, log lines.
import assert from "node:assert/strict";
import { test } from "node:test";

import { consoleOf, format, frames } from "../src/log.js";
import { use } from "../src/host.js";

// What QuickJS has of them; older Node has not.
Uint8Array.fromBase64 ??= (text) => new Uint8Array(Buffer.from(text, "base64"));
Uint8Array.prototype.toBase64 ??= function () {
  return Buffer.from(this).toString("base64");
};
Uint8Array.prototype.setFromBase64 ??= function (text) {
  this.set(Buffer.from(text, "base64"));
};
const Native = { TextEncoder, TextDecoder, Promise };
const text = await import("../src/component/text.js");

const TEXTS = ["", "a", "ASCII only, and long enough for every step of the expression.".repeat(9), "ä", "ünï €uro 😀 漢字", "a\0b", "\ud800 lone", "x\udc00", "\ufeffbom", "a".repeat(63) + "é", "😀".repeat(40)];

test("texts are encoded as TextEncoder does it", () => {
  const [own, native] = [new text.TextEncoder(), new Native.TextEncoder()];
  for (const value of TEXTS) {
    assert.deepEqual([...own.encode(value)], [...native.encode(value)], JSON.stringify(value));
    for (const room of [0, 1, 3, 4, 5, 64, 1000]) {
      const [mine, theirs] = [new Uint8Array(room), new Uint8Array(room)];
      assert.deepEqual(own.encodeInto(value, mine), native.encodeInto(value, theirs), `${JSON.stringify(value)} in ${room}`);
      assert.deepEqual(mine, theirs);
    }
  }
  assert.deepEqual([...own.encode(undefined)], []);
});

test("texts are decoded as TextDecoder does it, invalid ones too", () => {
  const cases = TEXTS.map((value) => new Native.TextEncoder().encode(value));
  for (const bytes of [[0xff], [0xc3], [0xc3, 0x28], [0xe2, 0x82], [0xe2, 0x28, 0xa1], [0xf0, 0x9f, 0x98], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xc0, 0x80], [0x61, 0x80, 0x62], [0xf0, 0x80, 0x80, 0x80], [0xe0, 0x80, 0x80]]) {
    cases.push(new Uint8Array(bytes), new Uint8Array([0x61, ...bytes, 0x62]));
  }
  for (const bytes of cases) {
    for (const options of [{}, { ignoreBOM: true }, { fatal: true }]) {
      const outcome = (Kind) => {
        try {
          return new Kind("utf-8", options).decode(bytes);
        } catch (error) {
          return error.name;
        }
      };
      assert.equal(outcome(text.TextDecoder), outcome(Native.TextDecoder), `${[...bytes]} ${JSON.stringify(options)}`);
    }
    const streamed = (Kind) => {
      const decoder = new Kind();
      return [...bytes].map((byte) => decoder.decode(new Uint8Array([byte]), { stream: true })).join("") + decoder.decode();
    };
    assert.equal(streamed(text.TextDecoder), streamed(Native.TextDecoder), `${[...bytes]} byte by byte`);
  }
  assert.throws(() => new text.TextDecoder("latin1"), RangeError);
});

test("promises run to their end without the engine", async () => {
  const { drive, rest, install } = await import("../src/component/promise.js");
  const { Promise: NativePromise, queueMicrotask: nativeQueue } = globalThis;
  const fromAsync = Array.fromAsync;
  install();
  const Own = globalThis.Promise;
  globalThis.Promise = NativePromise;
  globalThis.queueMicrotask = nativeQueue;
  Array.fromAsync = fromAsync;
  const never = () => false;
  const run = (work, wait = never) => drive(work(), wait);
  const boom = new Error("boom");
  assert.equal(run(() => Own.resolve(1).then((value) => value + 1)), 2);
  assert.throws(() => run(() => Own.reject(boom)), boom);
  assert.throws(() => run(() => Own.resolve().then(() => { throw boom; })), boom);
  assert.equal(run(() => Own.reject(boom).catch(() => 7)), 7);
  assert.equal(run(() => Own.resolve(3).finally(() => 9)), 3);
  assert.deepEqual(run(() => Own.all([1, Own.resolve(2), { then: (done) => done(3) }])), [1, 2, 3]);
  assert.deepEqual(run(() => Own.all([])), []);
  assert.deepEqual(run(() => Own.allSettled([Own.reject(1), 2])), [{ status: "rejected", reason: 1 }, { status: "fulfilled", value: 2 }]);
  assert.equal(run(() => Own.any([Own.reject(1), Own.resolve(2)])), 2);
  assert.throws(() => run(() => Own.any([Own.reject(1)])), (error) => error instanceof AggregateError && error.errors[0] === 1);
  assert.equal(run(() => Own.race([new Own(() => {}), Own.resolve(5)])), 5);
  assert.equal(run(() => Own.try((a) => a, 4)), 4);
  assert.throws(() => run(() => new Own(() => {})), /never settles/);
  assert.throws(() => run(() => { const own = Own.resolve().then(() => own); return own; }), /with itself/);
  let turns = 0;
  const { promise, resolve } = Own.withResolvers();
  assert.equal(run(() => promise, () => (++turns === 3 ? (resolve("done"), true) : true)), "done");
  const order = [];
  run(() => Own.resolve().then(() => order.push("first")).then(() => order.push("third")) && Own.resolve().then(() => order.push("second")));
  rest();
  assert.deepEqual(order, ["first", "second", "third"]);
});

test("a promise that nobody awaited is said to be rejected", async () => {
  const { rest, install } = await import("../src/component/promise.js");
  const { Promise: NativePromise, queueMicrotask: nativeQueue } = globalThis;
  install();
  const Own = globalThis.Promise;
  globalThis.Promise = NativePromise;
  globalThis.queueMicrotask = nativeQueue;
  const lines = [];
  use({ minLevel: () => "trace", log: (level, text) => lines.push([level, text]) });
  Own.reject(new Error("lost"));
  Own.reject(new Error("asked later")).catch(() => {});
  rest();
  use(undefined);
  assert.deepEqual(lines, [["error", "a promise was rejected and nobody awaited it: lost"]]);
});

test("console says what Node's says, on one line", () => {
  const circular = { name: "a" };
  circular.self = circular;
  for (const [values, expected] of [
    [["a %s of %d%%", "b", 3, "rest"], "a b of 3% rest"],
    [["%s"], "%s"],
    [[{ a: [1, "x"], b: new Map([["k", 1n]]) }], '{a: [1, "x"], b: Map(1) {"k" => 1n}}'],
    [[circular], '{name: "a", self: [circular]}'],
    [[new Uint8Array([1, 2])], "Uint8Array(2) [1, 2]"],
    [[undefined, null, Symbol("s"), () => {}], "undefined null Symbol(s) [function anonymous]"],
    [["%j %o %i %f", [1], { a: 1 }, "12px", "1.5"], "[1] {a: 1} 12 1.5"],
  ]) {
    assert.equal(format(values), expected);
  }
  const lines = [];
  use({ minLevel: () => "info", log: (level, line) => lines.push([level, line]) });
  const console = consoleOf();
  console.debug("not kept");
  console.log("a");
  console.warn("b");
  console.error(new Error("c").message);
  console.assert(false, "d");
  console.group("e");
  console.info("f");
  console.groupEnd();
  console.log({ get broken() { throw new Error("no"); } });
  use(undefined);
  assert.deepEqual(lines, [
    ["info", "a"],
    ["warn", "b"],
    ["error", "c"],
    ["error", "assertion failed: d"],
    ["info", "e"],
    ["info", "  f"],
    ["info", "a log line that cannot be written as text"],
  ]);
});

test("frames are read from the stacks of both engines, in the author's files alone", () => {
  globalThis.__krtLines = { names: ["main.ts"], source: [-1, 0, -1, 0], line: [0, 12, 0, 40] };
  const quickjs = "    at classify (/node.js:1:5)\n    at handle (/node.js:2:1)\n    at next (native)\n    at <anonymous> (/node.js:3:9)\n";
  assert.deepEqual(frames(quickjs, 0), ["classify (main.ts:12)", "<anonymous> (main.ts:40)"]);
  assert.deepEqual(frames("classify@node.js:1:5\n@node.js:3:1\n", 0), ["classify (main.ts:12)", "main.ts:40"]);
  delete globalThis.__krtLines;
  assert.deepEqual(frames(undefined, 0), []);
});
