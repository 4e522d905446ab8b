//! Integers of 64 bits as the engine's bindings want them: QuickJS's take and give floats, SpiderMonkey's bigints.

/** Set by `krt build`. */
const QUICKJS = KRT_ENGINE === "quickjs";
const MAX_SIGNED = 2n ** 63n - 1n;
const MAX_UNSIGNED = 2n ** 64n - 1n;

/** @param {bigint} value */
export function u64(value) {
  return QUICKJS ? Number(value) : value;
}

/** A time in nanoseconds: under QuickJS to some 250 ns, which is as fine as a clock of milliseconds needs. */
export function s64(value) {
  return QUICKJS ? Number(value) : value;
}

/**
 * An integer that must arrive as it is.
 *
 * @param {bigint} value
 */
export function exactly(value) {
  if (!QUICKJS) return value;
  const float = Number(value);
  // Floats end at the same place: the largest integers are what too large floats become.
  if (BigInt(float) === value || value === MAX_SIGNED || value === MAX_UNSIGNED) return float;
  throw new RangeError(`${value} does not reach the host exactly under QuickJS, as integers beyond 2^53 do not: save it as text, or build the node for SpiderMonkey`);
}
