//! The port to whoever hosts the node: the contract's imports in a component, the test kit elsewhere.

/**
 * The one in use. Live: importers see what was set last.
 *
 * @type {any}
 */
export let host;

/** @param {any} next */
export function use(next) {
  host = next;
}
