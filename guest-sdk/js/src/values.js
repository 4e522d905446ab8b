//! Values on their way to the host: what is not what the contract takes becomes a clear error here, for an engine's
//! bindings would end the instance.

import { wellFormed } from "./errors.js";

/** @typedef {{ tag: "float" | "signed" | "unsigned" | "boolean" | "text", val: unknown }} Value */

const UNSIGNED = Symbol("unsigned");
const MIN_SIGNED = -(2n ** 63n);
const MAX_SIGNED = 2n ** 63n - 1n;
const MAX_UNSIGNED = 2n ** 64n - 1n;
const SCOPES = ["node", "workflow", "project"];

/**
 * A measurement's field as an unsigned integer: numbers are floats otherwise, and bigints signed.
 *
 * @param {number | bigint} value
 */
export function unsigned(value) {
  const integer = BigInt(value);
  if (integer < 0n || integer > MAX_UNSIGNED) throw new RangeError(`${value} is not an unsigned integer of 64 bits`);
  return { [UNSIGNED]: integer };
}

/**
 * @param {unknown} value
 * @param {string} what
 * @returns {string}
 */
export function text(value, what) {
  if (typeof value !== "string") throw new TypeError(`${what} must be a string, not ${kind(value)}`);
  return wellFormed(value);
}

/**
 * @param {unknown} value
 * @param {string} what
 * @returns {string | undefined}
 */
export function optionalText(value, what) {
  return value === undefined || value === null ? undefined : text(value, what);
}

/**
 * @param {unknown} value
 * @param {string} what
 * @returns {Uint8Array}
 */
export function bytes(value, what) {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return new TextEncoder().encode(value);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  throw new TypeError(`${what} must be a Uint8Array or a string, not ${kind(value)}`);
}

/** @param {unknown} value */
export function scope(value) {
  if (value === undefined || value === null) return undefined;
  if (!SCOPES.includes(/** @type {string} */ (value))) {
    throw new TypeError(`a scope is "node", "workflow" or "project", not ${JSON.stringify(value) ?? kind(value)}`);
  }
  return /** @type {"node" | "workflow" | "project"} */ (value);
}

/**
 * A regular expression as the host takes it: its text.
 *
 * @param {unknown} value
 */
export function pattern(value) {
  if (value instanceof RegExp) {
    const flags = value.flags.replace(/[gyu]/g, "");
    if (/[^ims]/.test(flags)) throw new TypeError(`the flags of ${value} are not all known to the host: i, m and s are`);
    return flags === "" ? value.source : `(?${flags})${value.source}`;
  }
  return optionalText(value, "a pattern");
}

/**
 * @param {unknown} value
 * @param {string} name
 * @returns {Value}
 */
export function field(value, name) {
  switch (typeof value) {
    case "number":
      return { tag: "float", val: value };
    case "bigint":
      if (value < MIN_SIGNED || value > MAX_SIGNED) {
        throw new RangeError(`field ${JSON.stringify(name)}: ${value} is not a signed integer of 64 bits; unsigned(…) has one bit more`);
      }
      return { tag: "signed", val: value };
    case "boolean":
      return { tag: "boolean", val: value };
    case "string":
      return { tag: "text", val: wellFormed(value) };
    default:
      if (value !== null && typeof value === "object" && UNSIGNED in value) {
        return { tag: "unsigned", val: value[UNSIGNED] };
      }
      throw new TypeError(`field ${JSON.stringify(name)} must be a number, bigint, boolean or string, not ${kind(value)}`);
  }
}

/**
 * @param {Record<string, unknown>} values
 * @returns {[string, Value][]}
 */
export function fields(values) {
  return Object.entries(values ?? {}).map(([name, value]) => [wellFormed(name), field(value, name)]);
}

/**
 * @param {Record<string, unknown> | undefined} values
 * @returns {[string, string][]}
 */
export function pairs(values) {
  return Object.entries(values ?? {}).map(([name, value]) => [wellFormed(name), wellFormed(String(value))]);
}

/**
 * A time as nanoseconds since the Unix epoch.
 *
 * @param {unknown} value
 * @returns {bigint | undefined}
 */
export function time(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "bigint") {
    if (value < MIN_SIGNED || value > MAX_SIGNED) throw new RangeError(`${value} ns is beyond what a time can be`);
    return value;
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw new RangeError("the time is not a valid Date");
    const nanoseconds = BigInt(value.getTime()) * 1_000_000n;
    // Nanoseconds fit until the year 2262; later or earlier is cut there.
    return nanoseconds > MAX_SIGNED ? MAX_SIGNED : nanoseconds < MIN_SIGNED ? MIN_SIGNED : nanoseconds;
  }
  throw new TypeError(`a time is a Date, or a bigint of nanoseconds since 1970, not ${kind(value)}`);
}

/**
 * JSON as text; text is taken for JSON.
 *
 * @param {unknown} value
 * @param {string} what
 */
export function json(value, what) {
  if (typeof value === "string") return wellFormed(value);
  const made = JSON.stringify(value);
  if (made === undefined) throw new TypeError(`${what} cannot be written as JSON: it is ${kind(value)}`);
  return wellFormed(made);
}

function kind(value) {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  const type = typeof value;
  return type === "object" ? (value.constructor?.name ?? "an object") : type;
}
