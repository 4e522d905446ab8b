//! Lines for the host's log: `log`, what `console` is made of in a component, and the text of a stack. Never fails.

import { describe, wellFormed } from "./errors.js";
import { host } from "./host.js";

export const LEVELS = ["trace", "debug", "info", "warn", "error"];

/** Lines of a module's top level: it runs when the component is built, and they are said when the node starts. */
const early = [];
const EARLY = 100;

/** Text and fields go to the host, which adds node and request id. */
export const log = {
  trace: (message, fields) => line("trace", message, fields),
  debug: (message, fields) => line("debug", message, fields),
  info: (message, fields) => line("info", message, fields),
  warn: (message, fields) => line("warn", message, fields),
  error: (message, fields) => line("error", message, fields),
  /** Whether lines of a level are kept: below it a text need not be made. */
  isEnabled: (level) => LEVELS.indexOf(level) >= minimum(),
};

function line(level, message, fields) {
  if (LEVELS.indexOf(level) < minimum()) return;
  try {
    const text = message instanceof Error ? describe(message) : String(message);
    const list = fields === undefined ? [] : Object.entries(fields).map(([name, value]) => [wellFormed(name), wellFormed(shown(value))]);
    write(level, wellFormed(text), list);
  } catch {
    // Something that cannot be written as text.
    write(level, "a log line that cannot be written as text", []);
  }
}

function minimum() {
  return host === undefined ? 0 : LEVELS.indexOf(host.minLevel());
}

function write(level, text, fields) {
  if (host !== undefined) host.log(level, text, fields);
  else if (early.length < EARLY) early.push([level, text, fields]);
}

/** Says what the top level said. */
export function flush() {
  for (const [level, text, fields] of early.splice(0)) write(level, text, fields);
}

/** `console`, as log lines. */
export function consoleOf() {
  const counts = new Map();
  const timers = new Map();
  const indents = [];
  const say = (level, values) => {
    if (LEVELS.indexOf(level) < minimum()) return;
    try {
      write(level, wellFormed(indents.join("") + format(values)), []);
    } catch {
      write(level, "a log line that cannot be written as text", []);
    }
  };
  const took = (label) => `${label}: ${(Date.now() - timers.get(label)).toFixed(0)} ms`;
  return {
    debug: (...values) => say("debug", values),
    log: (...values) => say("info", values),
    info: (...values) => say("info", values),
    warn: (...values) => say("warn", values),
    error: (...values) => say("error", values),
    trace: (...values) => say("trace", [format(values), ...frames(new Error().stack, 1)]),
    dir: (value) => say("info", [value]),
    table: (value) => say("info", [value]),
    assert: (holds, ...values) => holds || say("error", ["assertion failed:", ...values]),
    count: (label = "default") => {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      say("info", [`${label}: ${counts.get(label)}`]);
    },
    countReset: (label = "default") => void counts.delete(label),
    time: (label = "default") => void timers.set(label, Date.now()),
    timeLog: (label = "default", ...values) => timers.has(label) && say("info", [took(label), ...values]),
    timeEnd: (label = "default") => {
      if (timers.has(label)) say("info", [took(label)]);
      timers.delete(label);
    },
    group: (...values) => {
      if (values.length > 0) say("info", values);
      indents.push("  ");
    },
    groupCollapsed: (...values) => {
      if (values.length > 0) say("info", values);
      indents.push("  ");
    },
    groupEnd: () => void indents.pop(),
    clear: () => {},
  };
}

/** Arguments of `console.log` as one text: `%s %d %i %f %o %O %j %c %%` in the first, the rest behind it. */
export function format(values) {
  let rest = values;
  let text = "";
  if (typeof values[0] === "string" && values.length > 1 && values[0].includes("%")) {
    let next = 1;
    text = values[0].replace(/%([sdifoOjc%])/g, (whole, kind) => {
      if (kind === "%") return "%";
      if (next >= values.length) return whole;
      const value = values[next++];
      switch (kind) {
        case "s":
          return typeof value === "object" && value !== null ? shown(value) : String(value);
        case "d":
          return typeof value === "bigint" ? `${value}n` : String(Number(value));
        case "i":
          return typeof value === "bigint" ? `${value}n` : String(Number.parseInt(value, 10));
        case "f":
          return String(Number.parseFloat(value));
        case "c":
          return "";
        default:
          return shown(value);
      }
    });
    rest = values.slice(next);
  } else if (values.length > 0) {
    text = shown(values[0]);
    rest = values.slice(1);
  }
  for (const value of rest) text += ` ${shown(value)}`;
  return text;
}

/** Deeper than this is not written: a line has a bound of its own. */
const DEPTH = 4;
const ITEMS = 100;

/** A value as text, strings as they are. */
export function shown(value) {
  return typeof value === "string" ? value : inspect(value, 0, []);
}

function inspect(value, depth, above) {
  switch (typeof value) {
    case "string":
      return JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "function":
      return `[function ${value.name || "anonymous"}]`;
    case "object":
      break;
    default:
      return String(value);
  }
  if (value === null) return "null";
  if (value instanceof Error) {
    const stack = depth === 0 ? frames(value.stack, 0) : [];
    return describe(value) + (stack.length > 0 ? ` (${stack.join(" <- ")})` : "");
  }
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  if (value instanceof RegExp) return String(value);
  if (above.includes(value)) return "[circular]";
  if (depth >= DEPTH) return Array.isArray(value) ? "[…]" : "{…}";
  const path = [...above, value];
  const inner = (item) => inspect(item, depth + 1, path);
  const some = (items, count) => (count > ITEMS ? [...items, `… ${count - ITEMS} more`] : items).join(", ");
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) {
    const items = Array.prototype.slice.call(value, 0, ITEMS).map(String);
    return `${value.constructor.name}(${value.length}) [${some(items, value.length)}]`;
  }
  if (Array.isArray(value)) return `[${some(value.slice(0, ITEMS).map(inner), value.length)}]`;
  if (value instanceof Map) {
    const items = [...value].slice(0, ITEMS).map(([key, item]) => `${inner(key)} => ${inner(item)}`);
    return `Map(${value.size}) {${some(items, value.size)}}`;
  }
  if (value instanceof Set) return `Set(${value.size}) {${some([...value].slice(0, ITEMS).map(inner), value.size)}}`;
  const name = value.constructor?.name;
  const keys = Object.keys(value);
  const items = keys.slice(0, ITEMS).map((key) => `${/^[\w$]+$/.test(key) ? key : JSON.stringify(key)}: ${inner(value[key])}`);
  return `${name && name !== "Object" ? `${name} ` : ""}{${some(items, keys.length)}}`;
}

/**
 * The frames of a stack, innermost first, as `function (file:line)`; those of the SDK are left out.
 *
 * @param {unknown} stack
 * @param {number} skip
 * @returns {string[]}
 */
export function frames(stack, skip) {
  if (typeof stack !== "string") return [];
  const found = [];
  for (const text of stack.split("\n")) {
    // QuickJS and V8: `at name (file:line:column)`; SpiderMonkey: `name@file:line:column`.
    const match = /^\s*at (?:(.*?) )?\(?([^()]*?):(\d+):\d+\)?\s*$/.exec(text) ?? /^(.*?)@(.*?):(\d+):\d+$/.exec(text);
    if (match === null) continue;
    const place = original(match[2], Number(match[3]));
    if (place !== undefined) found.push(match[1] ? `${match[1]} (${place})` : place);
  }
  return found.slice(skip);
}

/** Where a line of the bundle came from; none when it is the SDK's. `krt build` leaves the table at the bundle's end. */
function original(file, line) {
  const table = globalThis.__krtLines;
  if (table === undefined) return `${file}:${line}`;
  const [source, from] = [table.source[line], table.line[line]];
  if (source === undefined || source < 0) return undefined;
  return `${table.names[source]}:${from}`;
}
