//! `node:process`: what a node has of a process, its environment above all.

const { process } = globalThis;

/** Read when it is used: there is none when the component is built. */
export const env = new Proxy(
  {},
  {
    get: (_, name) => process.env[name],
    has: (_, name) => name in process.env,
    ownKeys: () => Reflect.ownKeys(process.env),
    getOwnPropertyDescriptor: (_, name) => Object.getOwnPropertyDescriptor(process.env, name),
  },
);
export const { argv, cwd, exit, nextTick, platform } = process;
export default process;
