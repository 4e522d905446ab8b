// What `email-classificator` makes of e-mails. `npm test`, after `krt build`.
import assert from "node:assert/strict";
import { test } from "node:test";

import { TestHost } from "krt-node/testing";

import classificator from "./main.ts";
import { BatchSchema, ClassifiedBatchSchema, RepairSchema } from "./messages/internal_nodes_pb.js";

test("a repair goes out on its channel too, before the batch", async () => {
  const host = new TestHost({ package: "../.." });
  const emails = [
    { id: "1", subject: "Washing machine", body: "The washing machine leaks, please send a technician." },
    { id: "2", subject: "You won", body: "Click here to claim your prize." },
  ];
  const outcome = await host.handle(classificator, BatchSchema, { emails, path: ["etl"] }, { from: "etl" });
  assert.deepEqual(outcome.outputs.map(({ channel }) => channel ?? ""), ["repairs", ""]);
  assert.equal(outcome.outputs[0].unpack(RepairSchema).email?.id, "1");
  const classified = outcome.outputs[1].unpack(ClassifiedBatchSchema).emails;
  assert.deepEqual(classified.map(({ category }) => category), ["repairs", "spam"]);
});
