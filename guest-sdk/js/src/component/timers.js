//! Timers for an engine without them: while a handler waits for one, the guest sleeps in the host.

import { subscribeDuration } from "wasi:clocks/monotonic-clock@0.2.6";

import { u64 } from "./numbers.js";

/** By when they are due, then by when they were made. */
let timers = [];
let last = 0;

function start(work, delay, values, every) {
  const milliseconds = Math.max(0, Number(delay) || 0);
  const timer = { id: ++last, due: performance.now() + milliseconds, work, values, every: every ? Math.max(1, milliseconds) : undefined };
  insert(timer);
  return timer.id;
}

function insert(timer) {
  const after = timers.findIndex((other) => other.due > timer.due);
  timers.splice(after < 0 ? timers.length : after, 0, timer);
}

function clear(id) {
  timers = timers.filter((timer) => timer.id !== id);
}

/** Waits for the next timer and runs it; false when there is none. */
export function wait() {
  const timer = timers.shift();
  if (timer === undefined) return false;
  const left = timer.due - performance.now();
  if (left > 0) sleep(left);
  if (timer.every !== undefined) insert({ ...timer, due: performance.now() + timer.every });
  timer.work(...timer.values);
  return true;
}

function sleep(milliseconds) {
  const pollable = subscribeDuration(u64(BigInt(Math.ceil(milliseconds * 1e6))));
  pollable.block();
  pollable[Symbol.dispose]?.();
}

/** Forgets all: a message's timers end with it. */
export function forget() {
  timers = [];
}

export function install() {
  globalThis.setTimeout = (work, delay, ...values) => start(work, delay, values, false);
  globalThis.setInterval = (work, delay, ...values) => start(work, delay, values, true);
  globalThis.setImmediate = (work, ...values) => start(work, 0, values, false);
  globalThis.clearTimeout = globalThis.clearInterval = globalThis.clearImmediate = clear;
}
