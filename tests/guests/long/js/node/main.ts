//! What is done for a long time: a typed message decoded, changed, encoded and sent; everything that a message may use besides
//! it; and every way in which a handler fails.

import { type Context, type Incoming, Rejected, Transient, node } from "krt-node";

import { type Mail, MailSchema } from "./messages/mail_pb.js";

function sort(ctx: Context, mail: Mail): void {
  mail.subject = mail.subject.toUpperCase();
  mail.labels.push("sorted");
  ctx.send(MailSchema, mail);
}

/** Waits, in the ways there are. */
async function later(ctx: Context, mail: Mail): Promise<void> {
  const labels = await Promise.all(["a", "b"].map(async (label) => label));
  for await (const label of labels) mail.labels.push(label);
  await Promise.race([new Promise((resolve) => setTimeout(resolve, 0)), Promise.resolve()]);
  ctx.send(MailSchema, mail);
}

/** What goes to the host and comes back from it beside messages. */
function everything(ctx: Context, incoming: Incoming): void {
  ctx.configuration.set("key", "välue");
  ctx.configuration.get("key");
  ctx.configuration.get("none", "project");
  ctx.measure("mails", { score: 0.5, count: 3n, spam: false, from: "me" }, { kind: "long" }, new Date());
  console.log("sorted %d of %s", 1, ctx.fromNode, { attempt: ctx.attempt, left: ctx.timeRemaining });
  const answers = [ctx.channel, ctx.traceparent, ctx.maxPayload, ctx.metadata.version, process.env.HOME];
  const bytes = crypto.getRandomValues(new Uint8Array(64));
  ctx.sendAny({ typeUrl: incoming.payload?.typeUrl ?? "x/y", value: bytes }, `channel-${answers.length}`);
  ctx.relay();
}

function fails(_ctx: Context, incoming: Incoming): void {
  const size = incoming.payload?.value.length ?? 0;
  switch (size % 4) {
    case 0:
      throw new Rejected("no");
    case 1:
      throw new Transient("not now");
    case 2:
      throw { neither: "an error", nor: "a text" };
    default:
      incoming.unpack(MailSchema).labels.map((label) => BigInt(label));
      throw new TypeError("wrong");
  }
}

export default node()
  .on("mails", MailSchema, sort)
  .on("later", MailSchema, later)
  .on("everything", everything)
  .on("fails", fails)
  .default((ctx) => ctx.relay());
