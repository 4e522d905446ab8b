//! Adds a label to a mail.

import { type Context, node } from "krt-node";

import { type Mail, MailSchema } from "./messages/mail_pb.js";

function sort(ctx: Context, mail: Mail): void {
  mail.labels.push("sorted");
  ctx.send(MailSchema, mail);
}

export default node().default(MailSchema, sort);
