// What handlers meet, by the test kit: the dispatch of messages, failures, values on their way to the host.
import assert from "node:assert/strict";
import { test } from "node:test";

import { create } from "@bufbuild/protobuf";
import { StringValueSchema, StructSchema } from "@bufbuild/protobuf/wkt";

import { HostError, Rejected, SendError, Transient, UnpackError, log, node, unsigned } from "../src/index.js";
import { TestHost } from "../src/testing/index.js";

const text = (value) => create(StringValueSchema, { value });
const echo = node().on("etl", StringValueSchema, (ctx, message) => ctx.send(StringValueSchema, message));

async function thrownBy(work, options) {
  let thrown;
  const outcome = await new TestHost(options).handle(
    node().default(async (ctx) => {
      try {
        await work(ctx);
      } catch (error) {
        thrown = error;
      }
    }),
    StringValueSchema,
    { value: "x" },
  );
  assert.equal(outcome.thrown, undefined);
  return thrown;
}

function throwing(value) {
  return new TestHost().handle(
    node().default(() => {
      throw value;
    }),
    StringValueSchema,
    {},
  );
}

test("a message goes to the handler of the node that sent it", async () => {
  const both = node()
    .on("a", (ctx) => ctx.send(StringValueSchema, { value: "of a" }))
    .default((ctx) => ctx.send(StringValueSchema, { value: "default" }));
  for (const [from, expected] of [["a", "of a"], ["A", "default"], ["entrypoint", "default"]]) {
    const outcome = await new TestHost().handle(both, StringValueSchema, {}, { from });
    assert.equal(outcome.sent(StringValueSchema)[0].value, expected);
  }
});

test("a message that nobody handles is rejected with both names", async () => {
  const outcome = await new TestHost().handle(echo, StringValueSchema, {}, { from: "b" });
  assert.equal(outcome.rejected, 'node "node" has no handler for messages of node "b", and no default one');
});

test("a handler of one type is given that type alone", async () => {
  const host = new TestHost();
  assert.equal((await host.handle(echo, StringValueSchema, { value: "ä" }, { from: "etl" })).sent(StringValueSchema)[0].value, "ä");
  const other = await host.handle(echo, StructSchema, {}, { from: "etl" });
  assert.ok(other.thrown instanceof UnpackError);
  assert.equal(other.rejected, 'the payload is a "google.protobuf.Struct", not a "google.protobuf.StringValue"');
  const broken = { typeUrl: "type.googleapis.com/google.protobuf.StringValue", value: new Uint8Array([255]) };
  assert.match((await host.handleAny(echo, broken, { from: "etl" })).rejected, /^the payload is not a valid "google.protobuf.StringValue": /);
  assert.match((await host.handleAny(echo, undefined, { from: "etl" })).rejected, /has no payload/);
});

test("an error is passed on by a handler of one type, and early answers are skipped", async () => {
  const host = new TestHost();
  const failed = await host.handleError(echo, "it broke", { from: "etl" });
  assert.equal(failed.rejected, "it broke");
  const early = await host.handle(echo, StringValueSchema, {}, { from: "etl", messageType: "early-reply" });
  assert.deepEqual([early.thrown, early.outputs], [undefined, []]);
});

test("a handler without a type is given every message", async () => {
  const seen = [];
  const all = node().default((ctx, incoming) => void seen.push([ctx.messageType, incoming.error, incoming.messageName]));
  const host = new TestHost();
  await host.handle(all, StringValueSchema, {}, { messageType: "early-exit" });
  await host.handleError(all, "");
  assert.deepEqual(seen, [["early-exit", undefined, "google.protobuf.StringValue"], ["error", "", ""]]);
});

test("init runs once, and its state is the handlers'", async () => {
  let inits = 0;
  const counting = node(async () => ({ inits: ++inits, count: 0 })).default((ctx) =>
    ctx.send(StringValueSchema, { value: `${ctx.state.inits} ${++ctx.state.count}` }),
  );
  const host = new TestHost();
  await host.handle(counting, StringValueSchema, {});
  const outcome = await host.handle(counting, StringValueSchema, {});
  assert.equal(outcome.sent(StringValueSchema)[0].value, "1 2");
});

test("a node whose init fails is given no message, and init is tried again", async () => {
  let tries = 0;
  const late = node(() => {
    if (++tries === 1) throw new Transient("not yet");
  }).default((ctx) => ctx.relay());
  const host = new TestHost();
  assert.equal((await host.handle(late, StringValueSchema, {})).transient, "not yet");
  assert.equal((await host.handle(late, StringValueSchema, {})).outputs.length, 1);
});

test("init has no message in hand", async () => {
  const eager = node((ctx) => ctx.send(StringValueSchema, {}));
  const { thrown } = await new TestHost().start(eager);
  assert.ok(thrown instanceof SendError);
  assert.equal(thrown.code, "no-message");
});

test("whatever is thrown becomes a rejection with the language's own words", async () => {
  const ring = new Error("a ring");
  ring.cause = ring;
  const hostile = new Proxy({}, { get: () => { throw new Error("no"); } });
  for (const [value, expected] of [
    [new Error("boom"), "boom"],
    [new Rejected("no"), "no"],
    [new TypeError("wrong"), "TypeError: wrong"],
    [new Error("outer", { cause: new RangeError("inner") }), "outer: RangeError: inner"],
    [ring, "a ring"],
    [new Error(""), "Error"],
    ["a text", "a text"],
    [42, "42 was thrown"],
    [undefined, "undefined was thrown"],
    [null, "null was thrown"],
    [12n, "12 was thrown"],
    [Symbol("s"), "Symbol(s) was thrown"],
    [{ code: 7, big: 1n }, '{"code":7,"big":"1"}'],
    [hostile, "something was thrown that cannot be described"],
    [new Error("lone \ud800 surrogate"), "lone \ufffd surrogate"],
  ]) {
    assert.equal((await throwing(value)).rejected, expected);
  }
});

test("a rejected promise is what a throw is", async () => {
  const later = node().default(() => Promise.reject(new Error("later")));
  assert.equal((await new TestHost().handle(later, StringValueSchema, {})).rejected, "later");
});

test("transient is what says so, and what says that the world is away", async () => {
  assert.equal((await throwing(new Transient("later"))).transient, "later");
  assert.equal((await throwing(new Error("outer", { cause: new Transient("later") }))).transient, "outer: later");
  const away = await new TestHost({ unavailable: true }).handle(node().default((ctx) => ctx.configuration.get("key")), StringValueSchema, {});
  assert.equal(away.transient, "the configuration cannot be reached: the test host says so");
});

test("only what nobody expected is logged", async () => {
  const host = new TestHost();
  const failing = (error) => node().default(() => { throw error; });
  await host.handle(failing(new Rejected("no")), StringValueSchema, {});
  assert.equal(host.logs.length, 0);
  await host.handle(failing(new Error("boom")), StringValueSchema, {});
  assert.deepEqual(host.logs, [{ level: "error", text: "boom", fields: {} }]);
});

test("values that the host does not take are refused before they reach it", async () => {
  for (const [work, expected] of [
    [(ctx) => ctx.send(undefined, {}), /the first argument is a message's schema/],
    [(ctx) => ctx.send(StringValueSchema, create(StructSchema)), /is a "google.protobuf.Struct", not a "google.protobuf.StringValue"/],
    [(ctx) => ctx.send(StringValueSchema, {}, 7), /a channel must be a string, not number/],
    [(ctx) => ctx.sendAny({ typeUrl: "x/y", value: [1] }), /a payload must be a Uint8Array or a string, not an array/],
    [(ctx) => ctx.sendAnyAs({ typeUrl: "x/y", value: "" }, "error"), /a message is sent as/],
    [(ctx) => ctx.configuration.get(null), /a key must be a string, not null/],
    [(ctx) => ctx.configuration.set("a", 7), /a value must be a string, not number/],
    [(ctx) => ctx.configuration.get("a", "world"), /a scope is/],
    [(ctx) => ctx.objectStore.list(/x/v), /the flags of/],
    [(ctx) => ctx.measure("m", { a: null }), /field "a" must be/],
    [(ctx) => ctx.measure("m", { a: 2n ** 63n }), /not a signed integer of 64 bits/],
    [(ctx) => ctx.measure("m", { a: unsigned(-1) }), /not an unsigned integer/],
    [(ctx) => ctx.measure("m", { a: 1 }, {}, 5), /a time is a Date/],
    [(ctx) => ctx.measure("m", { a: 1 }, {}, new Date("x")), /not a valid Date/],
    [(ctx) => ctx.measure("m", { a: 1 }, {}, 2n ** 64n), /beyond what a time can be/],
    [(ctx) => ctx.measure("m", { a: Number.NaN }), /field "a" is not finite/],
    [(ctx) => ctx.predictions.saveError("other"), /a problem is/],
    [(ctx) => ctx.database.save("c", () => {}), /cannot be written as JSON/],
    [(ctx) => ctx.path("../x"), /is not a path inside the package/],
    [(ctx) => ctx.path("/etc/passwd"), /is not a path inside the package/],
    [(ctx) => ctx.path(""), /is not a path inside the package/],
  ]) {
    assert.match(String((await thrownBy(work, { objects: {} }))?.message), expected);
  }
});

test("errors of the host have the case's name, and its number", async () => {
  for (const [work, code, limit] of [
    [(ctx) => ctx.send(StringValueSchema, {}, "a.b"), "invalid-channel", undefined],
    [(ctx) => ctx.sendAny({ typeUrl: "", value: "" }), "invalid-type-url", undefined],
    [(ctx) => ctx.send(StringValueSchema, { value: "xxxx" }), "too-large", 4],
    [(ctx) => ctx.configuration.get(".a"), "invalid-key", undefined],
    [(ctx) => ctx.objectStore.get("a"), "not-declared", undefined],
    [(ctx) => ctx.measure("m", {}), "invalid", undefined],
    [(ctx) => ctx.predictions.save("a", "b", { extra: "{" }), "invalid", undefined],
    [(ctx) => (ctx.database.save("c", { a: "x" }), ctx.database.find("c", { a: { $regex: "x" } })), "invalid", undefined],
  ]) {
    const thrown = await thrownBy(work, { maxPayload: 4 });
    assert.ok(thrown instanceof HostError, `${work}: ${thrown}`);
    assert.deepEqual([thrown.code, thrown.limit], [code, limit]);
  }
});

test("everything of the context reaches the host and comes back", async () => {
  const host = new TestHost({ objects: { "a/1": "x" }, settings: { project: { key: "project" } }, metadata: { node: "worker", basePath: "/krt-files" } });
  const time = new Date("2026-01-02T03:04:05.006Z");
  const busy = node().default((ctx) => {
    const { configuration, objectStore, predictions, database } = ctx;
    assert.equal(configuration.get("key"), "project");
    configuration.set("key", "node ä");
    assert.equal(configuration.get("key"), "node ä");
    configuration.delete("key");
    assert.equal(configuration.get("key", "node"), undefined);
    objectStore.save("a/2", new Uint8Array([1]));
    assert.deepEqual(objectStore.list(/^A/i === undefined ? "" : "^a/"), ["a/1", "a/2"]);
    assert.deepEqual(objectStore.get("a/2"), new Uint8Array([1]));
    objectStore.delete("a/1");
    assert.equal(objectStore.purge(), 1);
    predictions.save("a", "b", { extra: { model: 3 }, time });
    predictions.saveError("new-labels");
    database.save("mails", { n: 1, from: { name: "ä" } });
    assert.deepEqual(database.find("mails", { "from.name": "ä", n: { $gte: 1 } }), [{ n: 1, from: { name: "ä" } }]);
    assert.deepEqual(database.find("mails", { n: 2 }), []);
    ctx.measure("m", { float: 1, signed: -2n, unsigned: unsigned(3), text: "t", yes: true }, { kind: 1 }, time);
    log.info("said", { n: 1n });
    assert.deepEqual([ctx.node, ctx.path("./a/b"), ctx.attempt, ctx.channel, ctx.timeRemaining, ctx.maxPayload], ["worker", "/krt-files/a/b", 2, "left", 5, 1 << 20]);
    ctx.earlyReply(StringValueSchema, { value: "early" });
    ctx.relay("right");
    ctx.relayAs("early-exit");
  });
  const outcome = await host.handle(busy, StringValueSchema, { value: "x" }, { attempt: 2, channel: "left", timeRemaining: 5 });
  assert.equal(outcome.thrown, undefined);
  assert.deepEqual(outcome.outputs.map(({ type, channel }) => [type, channel]), [["early-reply", undefined], ["ok", "right"], ["early-exit", undefined]]);
  assert.equal(outcome.outputs[1].unpack(StringValueSchema).value, "x");
  const nanoseconds = BigInt(time.getTime()) * 1_000_000n;
  assert.deepEqual(host.measurements, [{ name: "m", fields: { float: 1, signed: -2n, unsigned: 3n, text: "t", yes: true }, tags: { kind: "1" }, time: nanoseconds }]);
  assert.deepEqual(host.predictions, [
    { predicted: "a", actual: "b", extra: { model: 3 }, time: nanoseconds },
    { problem: "new-labels", extra: undefined, time: undefined },
  ]);
  assert.deepEqual(host.logs, [{ level: "info", text: "said", fields: { n: "1n" } }]);
});

test("a context that was kept sends nothing for another message", async () => {
  let kept;
  const keeper = node().default((ctx) => void (kept ??= ctx));
  const host = new TestHost();
  await host.handle(keeper, StringValueSchema, {});
  assert.throws(() => kept.send(StringValueSchema, text("late")), { code: "no-message" });
});
