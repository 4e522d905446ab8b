//! What programs expect to be there and the engine has not: set up before any other module runs. Imported first.

import { getEnvironment } from "wasi:cli/environment@0.2.6";
import { getRandomBytes } from "wasi:random/random@0.2.6";

import { consoleOf, log } from "../log.js";
import { u64 } from "./numbers.js";
import { install as installPromise } from "./promise.js";
import { atBegin, isRunning, mustRun } from "./start.js";
import { install as installText } from "./text.js";
import { install as installTimers } from "./timers.js";

if (KRT_ENGINE === "quickjs") {
  installPromise();
  installText();
  installTimers();
}

// SpiderMonkey's is there, and ends the instance: it is built without the interface that it would use.
globalThis.fetch = async () => {
  throw new TypeError("fetch: nodes have no network");
};

globalThis.global ??= globalThis;
globalThis.self ??= globalThis;
globalThis.console = consoleOf();

/** What the engine's own would be seeded with is part of what every instance begins with. */
const state = new Uint32Array(4);
atBegin(() => {
  const seed = random(16);
  for (let i = 0; i < 16; i++) state[i >> 2] |= seed[i] << ((i & 3) * 8);
  state[3] |= 1;
});

/** Marsaglia's xorshift128. */
function next() {
  let t = state[3];
  const s = state[0];
  state[3] = state[2];
  state[2] = state[1];
  state[1] = s;
  t ^= t << 11;
  t ^= t >>> 8;
  return (state[0] = t ^ s ^ (s >>> 19)) >>> 0;
}

Math.random = () => {
  mustRun("Math.random is called");
  return ((next() >>> 5) * 67108864 + (next() >>> 6)) / 9007199254740992;
};

function random(count) {
  return getRandomBytes(u64(BigInt(count)));
}

/** As much at once as browsers give. */
const MOST = 65536;

const crypto = {
  getRandomValues(array) {
    mustRun("randomness is used");
    if (array.byteLength > MOST) throw new RangeError(`${array.byteLength} random bytes at once are too many: ${MOST} are not`);
    new Uint8Array(array.buffer, array.byteOffset, array.byteLength).set(random(array.byteLength));
    return array;
  },
  randomUUID() {
    mustRun("randomness is used");
    const bytes = random(16);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
  },
};
if (globalThis.crypto === undefined) globalThis.crypto = crypto;
else for (const [name, work] of Object.entries(crypto)) Object.defineProperty(globalThis.crypto, name, { value: work, configurable: true });

let variables;

/** What a module's top level reads: nothing is there when the node is built. Packages look for switches there, too. */
const early = new Set();
const nothing = new Proxy({}, { get: (_, name) => void (typeof name === "string" && early.add(name)) });

globalThis.process = {
  get env() {
    if (!isRunning()) return nothing;
    variables ??= Object.fromEntries(getEnvironment());
    return variables;
  },
  argv: [],
  platform: "wasi",
  version: "v20.0.0",
  versions: {},
  cwd: () => "/",
  exit: () => {
    throw new Error("a node does not exit: return, or throw");
  },
  nextTick: (job, ...values) => queueMicrotask(() => job(...values)),
  on: () => globalThis.process,
};

atBegin(() => {
  const names = [...early].join(", ");
  if (names !== "") log.warn(`the environment was read at the top level of a module, which runs when the node is built: ${names} had no value`);
});
