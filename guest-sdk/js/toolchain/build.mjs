//! What `krt build` runs for a folder of JavaScript or TypeScript: messages from the protos, one bundle, one component.
//! Reads its task from the JSON file that it is given; says what is wrong on standard error and exits 1.

import { mkdir, readFile, readdir, rm, writeFile, cp } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/**
 * @typedef {object} Task
 * @property {string} source the node's folder
 * @property {string} entry its entry file, relative
 * @property {string} engine `quickjs` or `spidermonkey`
 * @property {string} tools `node_modules` of the toolchain
 * @property {string} [componentizer] `node_modules` with SpiderMonkey's
 * @property {string} contract the folder with krt-node.wit
 * @property {string} scratch where to work
 * @property {string[]} protos paths that messages are made of, relative to the version's folder
 * @property {string[]} descriptors files with encoded descriptor sets
 * @property {string} output where the component goes
 * @property {boolean} colour
 */

const sdk = resolve(dirname(fileURLToPath(import.meta.url)), "..");
/** What a component has of Node's own modules. */
const MODULES = { fs: "fs.js", "fs/promises": "fs-promises.js", process: "process.js" };

/** Something the author can do something about: said as it is, without a stack. */
class Told extends Error {}

/** @param {Task} task */
async function main(task) {
  await messages(task);
  const bundled = await bundle(task);
  const wit = join(task.scratch, "wit");
  await rm(wit, { recursive: true, force: true });
  await cp(join(sdk, "wit"), wit, { recursive: true });
  await cp(join(task.contract, "krt-node.wit"), join(wit, "deps", "krt-node.wit"));
  const component = await (task.engine === "spidermonkey" ? spidermonkey : quickjs)(task, bundled, wit);
  await writeFile(task.output, component);
}

/** `messages/<name>_pb.js` and `.d.ts`, by the generator of @bufbuild/protobuf. Files that did not change are left alone. */
async function messages(task) {
  const { create, fromBinary } = await tool(task.tools, "@bufbuild/protobuf");
  const wkt = await tool(task.tools, "@bufbuild/protobuf", "wkt");
  const plugin = join(task.tools, "@bufbuild", "protoc-gen-es", "dist", "cjs", "src", "protoc-gen-es-plugin.js");
  const { protocGenEs } = await import(pathToFileURL(plugin));
  const files = new Map();
  for (const path of task.descriptors) {
    const set = fromBinary(wkt.FileDescriptorSetSchema, await readFile(path));
    for (const file of set.file) files.set(file.name, file);
  }
  const { CodeGeneratorRequestSchema } = wkt;
  const request = create(CodeGeneratorRequestSchema, {
    fileToGenerate: task.protos,
    parameter: "target=js+dts,import_extension=js",
    protoFile: inOrder(files),
  });
  const answer = protocGenEs.run(request);
  if (answer.error) throw new Told(answer.error);
  const folder = join(task.source, "messages");
  const made = new Set();
  for (const { name, content } of answer.file) {
    const path = join(folder, name);
    made.add(path);
    if ((await readFile(path, "utf8").catch(() => undefined)) === content) continue;
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
  // What a proto that is gone left behind would still be found.
  const there = await readdir(folder, { recursive: true }).catch(() => []);
  for (const name of there) {
    const path = join(folder, name);
    if (/_pb\.(js|d\.ts)$/.test(name) && !made.has(path)) await rm(path);
  }
}

/** Imported files before those that import them, as the generator wants it. */
function inOrder(files) {
  const ordered = new Set();
  const add = (name) => {
    const file = files.get(name);
    if (file === undefined || ordered.has(file)) return;
    file.dependency.forEach(add);
    ordered.add(file);
  };
  [...files.keys()].forEach(add);
  return [...ordered];
}

/** One module of everything, and where its lines came from. */
async function bundle(task) {
  const esbuild = await tool(task.tools, "esbuild");
  const entry = `./${task.entry.split(sep).join("/")}`;
  const quickjs = task.engine === "quickjs";
  let result;
  try {
    result = await esbuild.build({
      stdin: {
        contents: `import "krt-node/component/globals";\nimport { serve } from "krt-node/component/serve";\nimport node from ${JSON.stringify(entry)};\nexport const handler = serve(node);\n`,
        resolveDir: task.source,
        sourcefile: "krt-entry.js",
        loader: "js",
      },
      absWorkingDir: task.source,
      bundle: true,
      format: "esm",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["module", "import", "default"],
      target: "es2022",
      // QuickJS's bindings run no jobs: async functions become generators over promises of the SDK's own.
      supported: quickjs
        ? { "async-await": false, "async-generator": false, "for-await": false, using: false }
        : { using: false },
      define: { KRT_ENGINE: JSON.stringify(task.engine), "process.env.NODE_ENV": JSON.stringify("production"), "process.env.BUF_BIGINT_DISABLE": "undefined" },
      external: ["krt:*", "wasi:*"],
      legalComments: "none",
      // Names are what a stack is read by.
      keepNames: false,
      minifySyntax: true,
      sourcemap: "external",
      sourcesContent: false,
      outdir: task.scratch,
      write: false,
      logLevel: "silent",
      plugins: [resolver(task)],
    });
  } catch (error) {
    const formatted = await esbuild.formatMessages(error.errors ?? [], { kind: "error", color: task.colour });
    throw formatted.length > 0 ? new Told(formatted.join("").trimEnd()) : error;
  }
  for (const warning of await esbuild.formatMessages(result.warnings, { kind: "warning", color: task.colour })) {
    console.error(warning.trimEnd());
  }
  const [map, code] = ["map", "js"].map((kind) => result.outputFiles.find(({ path }) => path.endsWith(`.${kind}`)).text);
  // At the end: lines before it keep their numbers.
  return `${code}\nglobalThis.__krtLines = ${JSON.stringify(lines(JSON.parse(map), task))};\n`;
}

/** The SDK from where this file is, Node's modules from the SDK. */
function resolver(task) {
  return {
    name: "krt",
    setup(build) {
      const names = Object.keys(MODULES).join("|");
      build.onResolve({ filter: new RegExp(`^(node:)?(${names})$`) }, ({ path }) => ({
        path: join(sdk, "src", "component", MODULES[path.replace(/^node:/, "")]),
      }));
      build.onResolve({ filter: /^node:/ }, ({ path }) => ({
        errors: [{ text: `a component has no ${path}: node:fs, node:fs/promises and node:process are all there is of Node's modules` }],
      }));
      build.onResolve({ filter: /^krt-node(\/|$)/ }, ({ path }) => {
        const part = path.slice("krt-node/".length);
        const file = part === "" ? "index.js" : part.startsWith("component/") ? `${part}.js` : undefined;
        if (file === undefined) return { errors: [{ text: `${path} is for tests, and not part of a component` }] };
        return { path: join(sdk, "src", file) };
      });
      build.onResolve({ filter: /^@bufbuild\/protobuf(\/|$)/ }, async ({ path, kind, pluginData }) => {
        if (pluginData === "krt") return undefined;
        // One copy of it, whatever lies beside the node: messages of two copies do not know each other.
        return build.resolve(path, { kind, resolveDir: dirname(task.tools), pluginData: "krt" });
      });
    },
  };
}

/**
 * A source map as the SDK reads it when something is thrown: of each line of the bundle, the file and line that it came
 * from. The SDK's own files are -1.
 */
function lines(map, task) {
  const names = [];
  const index = map.sources.map((source) => {
    const path = resolve(task.scratch, source);
    if (path.startsWith(sdk + sep) || source.endsWith("krt-entry.js")) return -1;
    if (path.startsWith(task.tools + sep)) return names.push(relative(task.tools, path)) - 1;
    return names.push(relative(task.source, path)) - 1;
  });
  const source = [undefined];
  const line = [undefined];
  let [file, from] = [0, 0];
  for (const group of map.mappings.split(";")) {
    let first;
    for (const segment of group.split(",")) {
      const [, sourceDelta, lineDelta] = numbers(segment);
      if (sourceDelta === undefined) continue;
      file += sourceDelta;
      from += lineDelta;
      first ??= [index[file], from + 1];
    }
    source.push(first?.[0] ?? null);
    line.push(first?.[1] ?? 0);
  }
  return { names, source: source.map((value) => value ?? -1), line: line.map((value) => value ?? 0) };
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** The numbers of one segment: base 64, five bits a digit, the sign in the lowest bit. */
function numbers(segment) {
  const found = [];
  let [value, shift] = [0, 0];
  for (const digit of segment) {
    const bits = DIGITS.indexOf(digit);
    value |= (bits & 31) << shift;
    shift += 5;
    if ((bits & 32) === 0) {
      found.push(value & 1 ? -(value >>> 1) : value >>> 1);
      [value, shift] = [0, 0];
    }
  }
  return found;
}

async function quickjs(task, jsSource, witPath) {
  const { componentize } = await tool(task.tools, "componentize-qjs");
  const jsPath = join(task.scratch, "node.js");
  await writeFile(jsPath, jsSource);
  const { component } = await componentize({ witPath, world: "guest", jsSource, jsPath, moduleRoot: task.scratch, sync: true });
  return component;
}

async function spidermonkey(task, source, witPath) {
  const { componentize } = await tool(task.componentizer, "@bytecodealliance/componentize-js");
  const sourcePath = join(task.scratch, "node.js");
  await writeFile(sourcePath, source);
  const { component } = await componentize({ sourcePath, witPath, worldName: "guest", disableFeatures: ["http", "fetch-event"] });
  return component;
}

/** A module of a toolchain, wherever this file lies. */
async function tool(modules, name, part = "") {
  const folder = join(modules, name);
  const { exports, main, module } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
  const found = exports?.[part === "" ? "." : `./${part}`] ?? exports ?? module ?? main ?? "index.js";
  const path = typeof found === "string" ? found : (found.import?.default ?? found.import ?? found.node ?? found.default);
  const loaded = await import(pathToFileURL(join(folder, path)));
  return loaded.default !== undefined && Object.keys(loaded).length <= 2 ? loaded.default : loaded;
}

try {
  if (Number.parseInt(process.versions.node, 10) < 20) {
    throw new Told(`Node.js 20 or newer is needed; this is ${process.versions.node}`);
  }
  await main(JSON.parse(await readFile(process.argv[2], "utf8")));
} catch (error) {
  console.error(error instanceof Told ? error.message : (error?.stack ?? String(error)));
  process.exitCode = 1;
}
