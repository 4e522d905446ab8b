// Node `email-classificator`: says of each e-mail what it is about, by a model that is trained when the node starts.

import { readFileSync } from "node:fs";

import { type Context, log, node } from "krt-node";

import { Model } from "./bayes.ts";
import { type Batch, BatchSchema, ClassifiedBatchSchema, RepairSchema } from "./messages/internal_nodes_pb.js";

/** E-mails of this category also go out on the channel of the same name. */
const REPAIRS = "repairs";

/** Trains the model from the package's examples. Once per instance. */
function train(ctx: Context): Model {
  const model = Model.train(readFileSync(ctx.path("model/training.tsv"), "utf8"));
  log.info("trained", { categories: model.size });
  return model;
}

function classify(ctx: Context<Model>, batch: Batch) {
  const path = [...batch.path, ctx.node];
  const emails = batch.emails.map((email) => ({ email, ...ctx.state.classify(`${email.subject} ${email.body}`) }));
  for (const { email, category } of emails) {
    if (category === REPAIRS) ctx.send(RepairSchema, { email, path }, REPAIRS);
  }
  ctx.send(ClassifiedBatchSchema, { emails, path });
}

export default node(train).on("etl", BatchSchema, classify);
