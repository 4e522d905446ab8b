//! TextEncoder and TextDecoder for an engine without them. QuickJS runs a loop over characters at some 0.3 µs each, so the
//! work is left to what it has in C: base64 both ways, and a regular expression that looks whether all is ASCII.

import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";

/** Characters a step of the expression: one by one costs three times as much. */
const STEP = 64;
const ASCII = new RegExp(`^(?:${"[\\0-\\x7f]".repeat(STEP)})*[\\0-\\x7f]{0,${STEP - 1}}$`);
/** Texts up to this length are cheaper by a loop: what it has in C has a price of its own. */
const SHORT = 6;
const NOT_ASCII = /[^\0-\x7f]/;
/** Without these a decoder would make something else of what comes in. */
const UTF8 = new Set(["utf-8", "utf8", "unicode-1-1-utf-8"]);

function isAscii(text) {
  return text.length < STEP ? !NOT_ASCII.test(text) : ASCII.test(text);
}

/** UTF-8 as a string with one character a byte. */
function binary(text) {
  // `unescape` turns what `encodeURIComponent` made into bytes; lone surrogates would make the latter throw.
  return isAscii(text) ? text : unescape(encodeURIComponent(text.toWellFormed()));
}

class TextEncoder {
  get encoding() {
    return "utf-8";
  }

  encode(text = "") {
    return Uint8Array.fromBase64(btoa(binary(String(text))));
  }

  encodeInto(text, target) {
    const source = String(text);
    const encoded = binary(source);
    if (encoded.length <= target.length) {
      target.setFromBase64(btoa(encoded));
      return { read: source.length, written: encoded.length };
    }
    // As much as fits, whole characters only.
    let read = 0;
    let written = 0;
    for (const character of source) {
      const code = character.codePointAt(0);
      const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (written + size > target.length) break;
      read += character.length;
      written += size;
    }
    target.setFromBase64(btoa(encoded.slice(0, written)));
    return { read, written };
  }
}

class TextDecoder {
  #fatal;
  #ignoreBom;
  #held = "";

  constructor(label = "utf-8", options = {}) {
    if (!UTF8.has(String(label).trim().toLowerCase())) throw new RangeError(`the encoding ${JSON.stringify(label)} is not supported: utf-8 is`);
    this.#fatal = Boolean(options.fatal);
    this.#ignoreBom = Boolean(options.ignoreBOM);
  }

  get encoding() {
    return "utf-8";
  }

  get fatal() {
    return this.#fatal;
  }

  get ignoreBOM() {
    return this.#ignoreBom;
  }

  decode(input = new Uint8Array(0), options = undefined) {
    let bytes = this.#held + atob(asBytes(input).toBase64());
    this.#held = "";
    if (options?.stream) {
      const whole = completeLength(bytes);
      this.#held = bytes.slice(whole);
      bytes = bytes.slice(0, whole);
    }
    if (isAscii(bytes)) return bytes;
    let text;
    try {
      text = decodeURIComponent(escape(bytes));
    } catch {
      if (this.#fatal) throw new TypeError("the bytes are not valid UTF-8");
      text = replaced(bytes);
    }
    return !this.#ignoreBom && text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }
}

function asBytes(input) {
  if (input instanceof Uint8Array) return input;
  if (ArrayBuffer.isView(input)) return new Uint8Array(input.buffer, input.byteOffset, input.byteLength);
  return new Uint8Array(input);
}

/** How many bytes a character that begins with this byte has; 0 when none does. */
function sizeOf(first) {
  return first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
}

/** Whether a byte may be the `at`-th of a character that begins with `first`. */
function continues(first, at, byte) {
  if (at > 1) return byte >= 0x80 && byte < 0xc0;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  return byte >= low && byte <= high;
}

/** Without the beginning of a character at the end that the next bytes may complete. */
function completeLength(bytes) {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const start = bytes.length - back;
    const first = bytes.charCodeAt(start);
    if (first >= 0x80 && first < 0xc0) continue;
    if (sizeOf(first) <= back) return bytes.length;
    for (let at = 1; at < back; at++) if (!continues(first, at, bytes.charCodeAt(start + at))) return bytes.length;
    return start;
  }
  return bytes.length;
}

/** One U+FFFD for each longest beginning of a character that is not one, as the standard says. */
function replaced(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; ) {
    const first = bytes.charCodeAt(i);
    const size = sizeOf(first);
    let have = 1;
    while (have < size && i + have < bytes.length && continues(first, have, bytes.charCodeAt(i + have))) have++;
    text += size !== 0 && have === size ? decodeURIComponent(escape(bytes.slice(i, i + size))) : "\ufffd";
    i += have;
  }
  return text;
}

const STRICT = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const LENIENT = new TextDecoder("utf-8", { ignoreBOM: true });

/** Strings of protobuf messages: the library reads and writes those of up to some tens of characters by a loop of its own. */
function readString(strict) {
  const length = this.uint32();
  const start = this.pos;
  this.pos += length;
  this.assertBounds();
  const { buf } = this;
  if (length <= SHORT) {
    let text = "";
    let at = start;
    const end = start + length;
    while (at < end && buf[at] < 0x80) text += String.fromCharCode(buf[at++]);
    if (at === end) return text;
  }
  const view = buf.subarray(start, start + length);
  const bytes = atob(view.toBase64());
  return isAscii(bytes) ? bytes : (strict ? STRICT : LENIENT).decode(view);
}

function writeString(value) {
  const encoded = binary(typeof value === "string" ? value : String(value));
  const { length } = encoded;
  // The length before it has five bytes at most.
  this.ensureCapacity(length + 5);
  this.uint32(length);
  const { buffer, pos } = this;
  if (length <= SHORT) for (let i = 0; i < length; i++) buffer[pos + i] = encoded.charCodeAt(i);
  else buffer.subarray(pos).setFromBase64(btoa(encoded));
  this.pos = pos + length;
  return this;
}

/** Where the engine has none. */
export function install() {
  globalThis.TextEncoder ??= TextEncoder;
  globalThis.TextDecoder ??= TextDecoder;
  BinaryReader.prototype.string = readString;
  BinaryWriter.prototype.string = writeString;
}

export { TextDecoder, TextEncoder };
