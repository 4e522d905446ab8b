//! Whether the component runs already. A module's top level is run when the component is built, and what it leaves is kept
//! as every instance's beginning: there is no host, no environment and no randomness then.

const waiting = [];
let running = false;

/** Runs what waits for an instance's beginning, once. */
export function begin() {
  if (running) return;
  running = true;
  for (const work of waiting.splice(0)) work();
}

/** @param {() => void} work what is done when an instance begins */
export function atBegin(work) {
  waiting.push(work);
}

/** @param {string} what cannot be had before an instance runs */
export function mustRun(what) {
  if (running) return;
  throw new Error(`${what} in init or in a handler: the top level of a module runs once, when the node is built`);
}

export function isRunning() {
  return running;
}
