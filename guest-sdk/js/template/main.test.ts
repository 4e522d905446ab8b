// `npm test`, after `krt build`: it makes ./messages, and krt-node be found.
import assert from "node:assert/strict";
import { test } from "node:test";

import { TestHost } from "krt-node/testing";

import greeter from "./main.ts";
import { AnswerSchema, GreetingSchema } from "./messages/public_input_pb.js";

test("a name is greeted", async () => {
  const outcome = await new TestHost().handle(greeter, GreetingSchema, { name: "Ada" });
  assert.deepEqual(outcome.sent(AnswerSchema).map(({ text }) => text), ["Hello, Ada!"]);
});

test("a greeting without a name is rejected", async () => {
  const outcome = await new TestHost().handle(greeter, GreetingSchema, {});
  assert.equal(outcome.rejected, "a greeting needs a name");
  assert.deepEqual(outcome.outputs, []);
});
