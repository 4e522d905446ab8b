//! `node:fs` as far as a node has files: the package, read-only. Paths are absolute, as `ctx.path()` gives them.

import { getDirectories } from "wasi:filesystem/preopens@0.2.6";

import { u64 } from "./numbers.js";
import { mustRun } from "./start.js";

const FOLLOW = { symlinkFollow: true };
/** Bytes a call: a file passes through the guest's memory in pieces, and is put together there. */
const PIECE = 1 << 20;
/** The names that Node has for them; the rest keep theirs. */
const CODES = {
  "no-entry": "ENOENT",
  access: "EACCES",
  "not-permitted": "EPERM",
  "read-only": "EROFS",
  "is-directory": "EISDIR",
  "not-directory": "ENOTDIR",
  "name-too-long": "ENAMETOOLONG",
  loop: "ELOOP",
};
const TEXTS = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EROFS: "read-only file system",
  EISDIR: "illegal operation on a directory",
  ENOTDIR: "not a directory",
};

let roots;

/** The folder that the host gave which holds `path`, and the rest of the path. */
function place(path, call) {
  mustRun("files are read");
  roots ??= getDirectories().map(([folder, name]) => ({ folder, name: name.replace(/\/+$/, "") }));
  const text = path instanceof Uint8Array ? new TextDecoder().decode(path) : String(path?.href ?? path);
  const parts = [];
  for (const part of text.replace(/^file:\/\//, "").split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  const whole = `/${parts.join("/")}`;
  const root = roots.find(({ name }) => whole === name || whole.startsWith(`${name}/`));
  if (root === undefined) throw failed("no-entry", call, text);
  return { folder: root.folder, rest: whole.slice(root.name.length + 1) || ".", text };
}

function failed(tag, call, path) {
  const code = CODES[tag] ?? `E${String(tag).toUpperCase().replaceAll("-", "")}`;
  const error = new Error(`${code}: ${TEXTS[code] ?? tag}, ${call} '${path}'`);
  return Object.assign(error, { code, syscall: call, path });
}

function asked(call, path, work) {
  const { folder, rest, text } = place(path, call);
  try {
    return work(folder, rest);
  } catch (thrown) {
    throw typeof thrown?.payload === "string" ? failed(thrown.payload, call, text) : failed(thrown?.payload?.tag ?? String(thrown), call, text);
  }
}

function opened(folder, path, flags, work) {
  const file = folder.openAt(FOLLOW, path, flags, { read: true });
  try {
    return work(file);
  } finally {
    file[Symbol.dispose]?.();
  }
}

export function readFileSync(path, options) {
  const encoding = typeof options === "string" ? options : options?.encoding;
  const bytes = asked("open", path, (folder, rest) => {
    const kind = folder.statAt(FOLLOW, rest).type;
    if (kind === "directory") throw { payload: "is-directory" };
    return opened(folder, rest, {}, read);
  });
  if (encoding === undefined || encoding === null) return bytes;
  return new TextDecoder(encoding, { ignoreBOM: true }).decode(bytes);
}

function read(file) {
  const pieces = [];
  let length = 0;
  for (;;) {
    const [piece, ended] = file.read(u64(BigInt(PIECE)), u64(BigInt(length)));
    pieces.push(piece);
    length += piece.length;
    if (ended || piece.length === 0) break;
  }
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

export function statSync(path, options) {
  try {
    return asked("stat", path, (folder, rest) => {
      const stat = folder.statAt(FOLLOW, rest);
      const modified = stat.dataModificationTimestamp;
      const mtimeMs = modified ? Number(modified.seconds) * 1000 + modified.nanoseconds / 1e6 : 0;
      return { ...kindOf(stat.type), size: Number(stat.size), mtimeMs, mtime: new Date(mtimeMs) };
    });
  } catch (thrown) {
    if (options?.throwIfNoEntry === false && thrown.code === "ENOENT") return undefined;
    throw thrown;
  }
}

function kindOf(type) {
  return {
    isFile: () => type === "regular-file",
    isDirectory: () => type === "directory",
    isSymbolicLink: () => type === "symbolic-link",
  };
}

export function existsSync(path) {
  try {
    return asked("stat", path, (folder, rest) => folder.statAt(FOLLOW, rest) !== undefined);
  } catch (thrown) {
    if (thrown.code !== undefined) return false;
    throw thrown;
  }
}

export function accessSync(path) {
  asked("access", path, (folder, rest) => folder.statAt(FOLLOW, rest));
}

export function readdirSync(path, options) {
  return asked("scandir", path, (folder, rest) =>
    opened(folder, rest, { directory: true }, (directory) => {
      const entries = [];
      const stream = directory.readDirectory();
      for (;;) {
        const entry = stream.readDirectoryEntry();
        if (entry === undefined || entry === null) break;
        entries.push(entry);
      }
      stream[Symbol.dispose]?.();
      entries.sort((one, other) => (one.name < other.name ? -1 : 1));
      return entries.map(({ name, type }) => (options?.withFileTypes ? { name, parentPath: String(path), ...kindOf(type) } : name));
    }),
  );
}

function readOnly(call) {
  return (path) => {
    throw failed("read-only", call, String(path));
  };
}

export const writeFileSync = readOnly("open");
export const appendFileSync = readOnly("open");
export const mkdirSync = readOnly("mkdir");
export const rmSync = readOnly("rm");
export const unlinkSync = readOnly("unlink");
export const renameSync = readOnly("rename");

export const promises = {
  readFile: async (path, options) => readFileSync(path, options),
  stat: async (path) => statSync(path),
  access: async (path) => accessSync(path),
  readdir: async (path, options) => readdirSync(path, options),
  writeFile: async (path) => writeFileSync(path),
  mkdir: async (path) => mkdirSync(path),
  rm: async (path) => rmSync(path),
  unlink: async (path) => unlinkSync(path),
};

export default {
  accessSync,
  appendFileSync,
  existsSync,
  mkdirSync,
  promises,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
};
