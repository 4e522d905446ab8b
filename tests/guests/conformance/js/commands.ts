//! The table of commands.

import { readFileSync, writeFileSync } from "node:fs";

import { type MessageInitShape, create, toBinary } from "@bufbuild/protobuf";
import { type Context, type LogLevel, Rejected, type Scope, Transient, log, unsigned } from "krt-node";

import { type State, caseOf, kind } from "./main.js";
import { AnswerSchema, type Command, CommandSchema, StrangerSchema } from "./messages/public_input_pb.js";

type Answer = MessageInitShape<typeof AnswerSchema>;

/** In no language a fine place to be. */
export function failsDeep(text: string): never {
  throw new Error(text);
}

function failsHard(text: string, depth: number): number {
  return failsHard(text, depth + 1) + text.length;
}

const ok: Answer = { text: "ok" };

/** What a command answers; nothing when it sends by itself. What the host says no with is thrown. */
export async function run(ctx: Context<State>, { name, args, data }: Command): Promise<Answer | undefined> {
  const text = (n: number): string => args[n] ?? "";
  const number = (n: number): number => {
    const value = Number(text(n));
    if (!Number.isInteger(value)) throw new Error(`${text(n)} is not a number`);
    return value;
  };
  const scope = (n: number): Scope | undefined => args[n] as Scope | undefined;
  switch (name) {
    case "":
      return { text: "empty" };
    case "echo":
      return { text: text(0), items: args, data };
    case "repeat":
      return { data: Uint8Array.from({ length: number(0) }, (_, i) => i % 251) };
    case "silent":
      return undefined;
    case "many":
      for (let n = 0; n < number(0); n++) ctx.send(AnswerSchema, { text: String(n) });
      return undefined;
    case "channel":
      ctx.send(AnswerSchema, { text: `on ${text(0)}` }, text(0));
      return undefined;
    case "any":
      ctx.sendAny({ typeUrl: text(0), value: toBinary(AnswerSchema, create(AnswerSchema, { text: "packed" })) });
      return undefined;
    case "relay":
      ctx.relay(args[0]);
      return undefined;
    case "second":
      ctx.send(CommandSchema, { name: text(0), args: args.slice(1), data }, "second");
      return undefined;
    case "stranger":
      ctx.send(StrangerSchema, {});
      return undefined;
    case "early-reply":
      ctx.earlyReply(AnswerSchema, { text: text(0) });
      return { text: text(1) };
    case "early-exit":
      ctx.earlyExit(AnswerSchema, { text: text(0) });
      return undefined;
    case "too-many":
      try {
        for (let n = number(0); n > 0; n--) ctx.send(AnswerSchema, {}, text(1));
      } catch (error) {
        throw new Rejected(`error:${caseOf(error)}`);
      }
      return ok;
    case "double": {
      const twice = new Uint8Array(data.length * 2);
      twice.set(data);
      twice.set(data, data.length);
      return { data: twice };
    }
    case "max-payload":
      return { text: String(ctx.maxPayload) };
    case "facts":
      return { items: facts(ctx) };
    case "init":
      return { items: ctx.state.facts };
    case "count":
      ctx.state.count += 1;
      return { text: String(ctx.state.count) };
    case "reject":
      throw new Rejected(text(0));
    case "transient":
      if (ctx.attempt < number(0)) throw new Transient("not yet");
      return { text: String(ctx.attempt) };
    case "send-then-reject":
      ctx.send(AnswerSchema, { text: "kept" }, "left");
      throw new Rejected(text(0));
    case "throw":
      return failsDeep(text(0));
    case "panic":
      return { text: String(failsHard(text(0), 0)) };
    case "spin":
      for (;;);
    case "hog": {
      const kept: Uint8Array[] = [];
      for (;;) kept.push(new Uint8Array(1 << 20).fill(1));
    }
    case "get":
      return value(ctx.configuration.get(text(0), scope(1)));
    case "set":
      ctx.configuration.set(text(0), text(1), scope(2));
      return ok;
    case "set-large":
      ctx.configuration.set(text(0), "x".repeat(number(1)));
      return ok;
    case "delete":
      ctx.configuration.delete(text(0), scope(1));
      return ok;
    case "save":
      ctx.objectStore.save(text(0), data);
      return ok;
    case "load":
      return { data: ctx.objectStore.get(text(0)) };
    case "list":
      return { items: ctx.objectStore.list(args[0]) };
    case "remove":
      ctx.objectStore.delete(text(0));
      return ok;
    case "purge":
      return { text: String(ctx.objectStore.purge(args[0])) };
    case "measure": {
      const fields = { float: 1.5, signed: -2n, unsigned: unsigned(3), boolean: true, text: "ä b" };
      ctx.measure(text(0), fields, { kind: "x y" }, args[1] === undefined ? undefined : BigInt(args[1]));
      return ok;
    }
    case "measure-nan":
      ctx.measure(text(0), { float: Number.NaN });
      return ok;
    case "measure-nothing":
      ctx.measure(text(0), {});
      return ok;
    case "predict": {
      const time = args[3] === undefined ? undefined : new Date(number(3) * 1000);
      ctx.predictions.save(text(0), text(1), { extra: text(2) || undefined, time });
      return ok;
    }
    case "mispredict":
      ctx.predictions.saveError(text(0) === "missing-values" ? "missing-values" : "new-labels");
      return ok;
    case "document":
      ctx.database.save(text(0), text(1));
      return ok;
    case "find":
      return { items: ctx.database.findJson(text(0), text(1)) };
    case "log":
      log[text(0) as LogLevel](text(1), args[3] === undefined ? undefined : { [text(2)]: args[3] });
      return ok;
    case "native-log":
      console.warn(text(0));
      return ok;
    case "min-level":
      return { text: (["trace", "debug", "info", "warn", "error"] as const).find((level) => log.isEnabled(level)) };
    case "print":
      console.log(text(0));
      console.error(`${text(0)}!`);
      return ok;
    case "env":
      return value(process.env[text(0)]);
    case "read":
      try {
        return { data: readFileSync(ctx.path(text(0))) };
      } catch {
        return { text: "missing" };
      }
    case "write":
      try {
        writeFileSync(ctx.path(text(0)), "x");
        return { text: "written" };
      } catch {
        return { text: "denied" };
      }
    case "outside":
      try {
        readFileSync(text(0));
        return { text: "read" };
      } catch {
        return { text: "denied" };
      }
    case "clock": {
      const start = performance.now();
      await new Promise((resolve) => setTimeout(resolve, 20));
      const turned = Math.round((performance.now() - start) * 1e6);
      return { items: [String(BigInt(Date.now()) * 1_000_000n), String(turned)] };
    }
    case "random":
      return { data: crypto.getRandomValues(new Uint8Array(16)) };
    case "connect":
      return { text: (await connected(text(0))) ? "connected" : "denied" };
    default:
      throw new Rejected(`unknown command ${name}`);
  }
}

async function connected(address: string): Promise<boolean> {
  try {
    await fetch(`http://${address}/`);
    return true;
  } catch {
    return false;
  }
}

function value(found: string | undefined): Answer {
  return found === undefined ? { text: "none" } : { text: "value", items: [found] };
}

function facts(ctx: Context<State>): string[] {
  const { metadata, timeRemaining } = ctx;
  return [
    `node=${metadata.node}`,
    `workflow=${metadata.workflow}`,
    `version=${metadata.version}`,
    `version-id=${metadata.versionId}`,
    `runtime-id=${metadata.runtimeId}`,
    `base-path=${metadata.basePath}`,
    `request-id=${ctx.requestId}`,
    `from=${ctx.fromNode}`,
    `type=${kind(ctx)}`,
    `channel=${ctx.channel ?? "-"}`,
    `attempt=${ctx.attempt}`,
    `time-remaining=${timeRemaining === undefined ? "-" : Math.round(timeRemaining * 1e6)}`,
    `traceparent=${ctx.traceparent ?? "-"}`,
  ];
}
