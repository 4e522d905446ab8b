//! The conformance suite's guest in TypeScript: see ../README.md, which says what each command does.

import { type Context, HostError, type Incoming, Rejected, Transient, log, node } from "krt-node";

import { failsDeep, run } from "./commands.js";
import { AnswerSchema, type Command, CommandSchema } from "./messages/public_input_pb.js";

/** What `init` saw, and how many were counted. */
export interface State {
  facts: string[];
  count: number;
}

/** How often `init` ran in this instance. */
let inits = 0;

/** The contract's name of an error's case, with its number if it has one; anything else is thrown on. */
export function caseOf(error: unknown): string {
  if (!(error instanceof HostError)) throw error;
  return error.limit === undefined ? error.code : `${error.code}:${error.limit}`;
}

function init(ctx: Context): State {
  inits += 1;
  let send = "ok";
  try {
    ctx.send(AnswerSchema, { text: "from init" });
  } catch (error) {
    send = caseOf(error);
  }
  const key = `init-${ctx.node}`;
  ctx.configuration.set(key, "x", "node");
  const config = ctx.configuration.get(key, "node") === "x" ? "ok" : "lost";
  const facts = [`inits=${inits}`, `attempt=${ctx.attempt}`, `node=${ctx.node}`, `send=${send}`, `config=${config}`];
  switch (process.env.CONFORMANCE_INIT) {
    case "reject":
      throw new Rejected("init says no");
    case "throw":
      failsDeep("init threw");
      break;
    case "transient":
      if (ctx.configuration.get("started", "node") === undefined) {
        ctx.configuration.set("started", "yes", "node");
        throw new Transient("not yet");
      }
  }
  return { facts, count: 0 };
}

async function obey(ctx: Context<State>, command: Command): Promise<void> {
  try {
    const answer = await run(ctx, command);
    if (answer !== undefined) ctx.send(AnswerSchema, answer);
  } catch (error) {
    ctx.send(AnswerSchema, { text: `error:${caseOf(error)}` });
  }
}

function fromWorker(ctx: Context<State>, incoming: Incoming): void | Promise<void> {
  if (ctx.node === "second") return obey(ctx, incoming.unpack(CommandSchema));
  collect(ctx, incoming, "worker");
}

function fromOthers(ctx: Context<State>, incoming: Incoming): void {
  collect(ctx, incoming, "default");
}

function collect(ctx: Context<State>, incoming: Incoming, handler: string): void {
  const text = incoming.error ?? (incoming.is(AnswerSchema) ? incoming.unpack(AnswerSchema).text : "-");
  log.info(
    `collected handler=${handler} from=${ctx.fromNode} channel=${ctx.channel ?? "-"} type=${kind(ctx)}` +
      ` message=${incoming.messageName || "-"} request=${ctx.requestId} text=${text}`,
  );
  if (incoming.error !== undefined) {
    ctx.send(AnswerSchema, { text: `error from ${ctx.fromNode}: ${text}` });
  } else if (incoming.is(AnswerSchema)) {
    ctx.relay();
  } else if (incoming.is(CommandSchema)) {
    ctx.send(AnswerSchema, { text: "relayed", items: incoming.unpack(CommandSchema).args });
  } else {
    ctx.send(AnswerSchema, { text: `a ${incoming.messageName}` });
  }
}

export function kind(ctx: Context<State>): string {
  if (ctx.isOk) return "ok";
  if (ctx.isError) return "error";
  if (ctx.isEarlyReply) return "early-reply";
  if (ctx.isEarlyExit) return "early-exit";
  return ctx.messageType;
}

export default node(init).on("entrypoint", CommandSchema, obey).on("worker", fromWorker).default(fromOthers);
