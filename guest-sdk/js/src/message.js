//! Messages as a handler meets them, and how protobuf messages are packed and unpacked. Never touches the host.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";

import { UnpackError, describe } from "./errors.js";

/** What a type URL starts with, as every other runner writes it. */
const TYPE_URL_PREFIX = "type.googleapis.com/";

/** One received message of any kind. */
export class Incoming {
  /**
   * @param {string} messageType
   * @param {import("@bufbuild/protobuf/wkt").Any | undefined} payload
   * @param {string | undefined} error
   */
  constructor(messageType, payload, error) {
    this.messageType = messageType;
    this.payload = payload;
    // Type ERROR with an empty text is an error, too.
    this.error = error ?? (messageType === "error" ? "" : undefined);
  }

  get messageName() {
    return this.payload ? nameOf(this.payload.typeUrl) : "";
  }

  is(schema) {
    return this.payload !== undefined && nameOf(this.payload.typeUrl) === schema.typeName;
  }

  unpack(schema) {
    return unpack(schema, this.payload);
  }
}

/** `google.protobuf.Any`, without its descriptor. */
export function any(typeUrl, value) {
  return { $typeName: "google.protobuf.Any", typeUrl, value };
}

/** The full protobuf name: what follows the last `/` of the type URL. */
export function nameOf(typeUrl) {
  return typeUrl.slice(typeUrl.lastIndexOf("/") + 1);
}

export function typeUrl(schema) {
  if (typeof schema?.typeName !== "string") {
    throw new TypeError("the first argument is a message's schema, as the generated code exports it: `…Schema`");
  }
  return TYPE_URL_PREFIX + schema.typeName;
}

/**
 * The bytes of a message, or of what makes one.
 */
export function encode(schema, message) {
  // `create` would take the fields that happen to be there, without a word.
  const name = message?.$typeName;
  if (name !== undefined && name !== schema.typeName) {
    throw new TypeError(`the message is a ${JSON.stringify(name)}, not a ${JSON.stringify(schema.typeName)}`);
  }
  return toBinary(schema, name === undefined ? create(schema, message) : message);
}

/**
 * @throws {UnpackError} There is none, it is another message, or its bytes are not one.
 */
export function unpack(schema, payload) {
  const expected = JSON.stringify(schema.typeName);
  if (payload === undefined) throw new UnpackError(`the message has no payload, a ${expected} was expected`);
  const found = nameOf(payload.typeUrl);
  if (found !== schema.typeName) throw new UnpackError(`the payload is a ${JSON.stringify(found)}, not a ${expected}`);
  try {
    return fromBinary(schema, payload.value);
  } catch (cause) {
    throw new UnpackError(`the payload is not a valid ${expected}: ${describe(cause)}`);
  }
}
