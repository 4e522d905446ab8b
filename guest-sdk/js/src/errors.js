//! Why a handler fails and why the host said no; and how anything that was thrown becomes a text. Never logs.

/** The message is at fault: an ERROR message with this text goes out, and it is not tried again. Logged without a stack. */
export class Rejected extends Error {
  get name() {
    return "Rejected";
  }
}

/** The world is at fault: the message comes again after a pause; after the last attempt it counts as rejected. */
export class Transient extends Error {
  get name() {
    return "Transient";
  }
}

/** The payload is not the message that was asked for. */
export class UnpackError extends Error {
  get name() {
    return "UnpackError";
  }
}

/** The host said no. `code` is the case's name in the contract. */
export class HostError extends Error {
  /**
   * @param {string} code
   * @param {unknown} value what the case carries
   */
  constructor(code, value) {
    super();
    this.code = code;
    if (typeof value === "number" || typeof value === "bigint") this.limit = Number(value);
    else if (typeof value === "string") this.detail = value;
    // The message is an own property without showing up in a listing, as that of every Error.
    Object.defineProperty(this, "message", { value: this.text(), writable: true, configurable: true });
  }

  get name() {
    return "HostError";
  }

  text() {
    switch (this.code) {
      case "too-large":
        return `larger than the ${this.limit} bytes that are allowed`;
      case "denied":
        return `denied: ${this.detail}`;
      default:
        return this.detail ?? this.code;
    }
  }
}

/** A message was not sent. */
export class SendError extends HostError {
  get name() {
    return "SendError";
  }

  text() {
    switch (this.code) {
      case "no-message":
        return "no message is in hand";
      case "too-large":
        return `the message is larger than the ${this.limit} bytes that the bus takes`;
      case "invalid-channel":
        return `${JSON.stringify(this.detail)} is not a channel: one token, without '.', '*', '>', space or control characters`;
      case "invalid-type-url":
        return `the type URL ${JSON.stringify(this.detail)} has no message name`;
      case "too-many":
        return `this delivery already sent ${this.limit} messages, as many as it may`;
      case "unavailable":
        return `the bus cannot be reached: ${this.detail}`;
      default:
        return super.text();
    }
  }
}

/** A setting was not read or written. */
export class ConfigurationError extends HostError {
  get name() {
    return "ConfigurationError";
  }

  text() {
    switch (this.code) {
      case "invalid-key":
        return `invalid key: ${this.detail}`;
      case "too-large":
        return `the value is larger than the ${this.limit} bytes that the store takes`;
      case "unavailable":
        return `the configuration cannot be reached: ${this.detail}`;
      default:
        return super.text();
    }
  }
}

/** An object was not read or written. */
export class ObjectStoreError extends HostError {
  get name() {
    return "ObjectStoreError";
  }

  text() {
    switch (this.code) {
      case "not-declared":
        return "the manifest declares no object store for this node";
      case "not-found":
        return "there is no such object";
      case "invalid-name":
        return `invalid name or pattern: ${this.detail}`;
      case "too-large":
        return `the object is larger than the ${this.limit} bytes that are allowed`;
      case "unavailable":
        return `the object store cannot be reached: ${this.detail}`;
      default:
        return super.text();
    }
  }
}

/** A point was not taken. */
export class MeasurementError extends HostError {
  get name() {
    return "MeasurementError";
  }

  text() {
    switch (this.code) {
      case "invalid":
        return `invalid measurement: ${this.detail}`;
      case "dropped":
        return "the measurement was dropped: the host's buffer is full";
      default:
        return super.text();
    }
  }
}

/** A prediction was not saved. */
export class PredictionError extends HostError {
  get name() {
    return "PredictionError";
  }

  text() {
    switch (this.code) {
      case "invalid":
        return `invalid prediction: ${this.detail}`;
      case "unavailable":
        return `the database cannot be reached: ${this.detail}`;
      default:
        return super.text();
    }
  }
}

/** A document was not saved, or none were found. */
export class DatabaseError extends HostError {
  get name() {
    return "DatabaseError";
  }

  text() {
    switch (this.code) {
      case "invalid":
        return `invalid request to the database: ${this.detail}`;
      case "unavailable":
        return `the database cannot be reached: ${this.detail}`;
      default:
        return super.text();
    }
  }
}

/** Causes beyond this are cut: a chain may be a ring. */
const CAUSES = 16;

/**
 * What to do with whatever a handler threw.
 *
 * @param {unknown} thrown
 * @returns {{ transient: boolean, text: string, expected: boolean }} `expected`: said by the author or by the host; its
 * stack tells nothing.
 */
export function judge(thrown) {
  try {
    let text = describe(thrown);
    let transient = isTransient(thrown);
    let cause = causeOf(thrown);
    for (let depth = 0; cause !== undefined && depth < CAUSES; depth++) {
      const next = describe(cause);
      // Many errors repeat their cause in their own text.
      if (!text.endsWith(next)) text += `: ${next}`;
      transient ||= isTransient(cause);
      cause = causeOf(cause);
    }
    return { transient, text: wellFormed(text), expected: thrown instanceof Rejected || thrown instanceof Transient };
  } catch {
    // A getter that throws, a proxy that was revoked: whatever it is, it must not end the instance.
    return { transient: false, text: "something was thrown that cannot be described", expected: false };
  }
}

/** Names that say nothing beyond the message, or whose message says it all. */
const PLAIN = new Set(["Error", "Rejected", "Transient", "UnpackError"]);

/**
 * The text of one thing that was thrown, as the language says it.
 *
 * @param {unknown} thrown
 */
export function describe(thrown) {
  if (thrown instanceof Error) {
    const name = String(thrown.name);
    const message = String(thrown.message);
    if (message === "") return name;
    return PLAIN.has(name) || thrown instanceof HostError ? message : `${name}: ${message}`;
  }
  if (typeof thrown === "string") return thrown;
  if (typeof thrown === "object" && thrown !== null) {
    const json = JSON.stringify(thrown, (_, value) => (typeof value === "bigint" ? String(value) : value));
    if (json !== undefined) return json;
  }
  return `${String(thrown)} was thrown`;
}

/** Strings as they leave for the host: it takes UTF-8, which has no lone surrogates. */
export function wellFormed(text) {
  return text.toWellFormed();
}

function causeOf(thrown) {
  return thrown instanceof Error ? thrown.cause : undefined;
}

function isTransient(thrown) {
  return thrown instanceof Transient || (thrown instanceof HostError && thrown.code === "unavailable");
}
