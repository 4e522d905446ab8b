//! Promises with a queue of their own, for an engine that runs none: QuickJS's bindings call a function and never look at
//! its jobs again. `krt build` makes async functions into generators over these, so that `drive` can run them to their end.

import { log } from "../log.js";
import { judge } from "../errors.js";

const PENDING = 0;
const FULFILLED = 1;
const REJECTED = 2;

/** Jobs in order, and the first that has not run. An array that is shifted would copy itself. */
let jobs = [];
let next = 0;
/** Rejected, and nobody has asked yet. */
const unasked = new Set();

function enqueue(job) {
  jobs.push(job);
}

function runJobs() {
  while (next < jobs.length) {
    const job = jobs[next];
    jobs[next++] = undefined;
    job();
  }
  jobs = [];
  next = 0;
}

class Promise {
  #state = PENDING;
  #value = undefined;
  #reactions = undefined;

  constructor(executor) {
    if (typeof executor !== "function") throw new TypeError("a Promise is made of a function");
    const [fulfil, reject] = this.#settlers();
    try {
      executor(fulfil, reject);
    } catch (thrown) {
      reject(thrown);
    }
  }

  #settlers() {
    let called = false;
    return [
      (value) => {
        if (called) return;
        called = true;
        this.#resolve(value);
      },
      (reason) => {
        if (called) return;
        called = true;
        this.#settle(REJECTED, reason);
      },
    ];
  }

  #resolve(value) {
    if (value === this) return this.#settle(REJECTED, new TypeError("a promise cannot be resolved with itself"));
    if (value === null || (typeof value !== "object" && typeof value !== "function")) return this.#settle(FULFILLED, value);
    let then;
    try {
      then = value.then;
    } catch (thrown) {
      return this.#settle(REJECTED, thrown);
    }
    if (typeof then !== "function") return this.#settle(FULFILLED, value);
    enqueue(() => {
      const [fulfil, reject] = this.#settlers();
      try {
        then.call(value, fulfil, reject);
      } catch (thrown) {
        reject(thrown);
      }
    });
  }

  #settle(state, value) {
    this.#state = state;
    this.#value = value;
    const reactions = this.#reactions;
    this.#reactions = undefined;
    if (reactions !== undefined) for (const reaction of reactions) enqueue(reaction);
    else if (state === REJECTED) unasked.add(this);
  }

  then(onFulfilled, onRejected) {
    const constructor = this.constructor?.[Symbol.species] ?? Promise;
    return new constructor((fulfil, reject) => {
      const reaction = () => {
        const handler = this.#state === FULFILLED ? onFulfilled : onRejected;
        if (typeof handler !== "function") {
          if (this.#state === FULFILLED) fulfil(this.#value);
          else reject(this.#value);
          return;
        }
        try {
          fulfil(handler(this.#value));
        } catch (thrown) {
          reject(thrown);
        }
      };
      if (this.#state === PENDING) (this.#reactions ??= []).push(reaction);
      else {
        unasked.delete(this);
        enqueue(reaction);
      }
    });
  }

  catch(onRejected) {
    return this.then(undefined, onRejected);
  }

  finally(work) {
    if (typeof work !== "function") return this.then(work, work);
    return this.then(
      (value) => Promise.resolve(work()).then(() => value),
      (reason) =>
        Promise.resolve(work()).then(() => {
          throw reason;
        }),
    );
  }

  get [Symbol.toStringTag]() {
    return "Promise";
  }

  static get [Symbol.species]() {
    return this;
  }

  static resolve(value) {
    if (value instanceof Promise && value.constructor === this) return value;
    return new this((fulfil) => fulfil(value));
  }

  static reject(reason) {
    return new this((_, reject) => reject(reason));
  }

  static try(work, ...values) {
    return new this((fulfil) => fulfil(work(...values)));
  }

  static withResolvers() {
    let resolve;
    let reject;
    const promise = new this((fulfil, refuse) => {
      resolve = fulfil;
      reject = refuse;
    });
    return { promise, resolve, reject };
  }

  static all(items) {
    return collected(this, items, (promise, index, values, done, reject) => {
      promise.then((value) => done(values, index, value), reject);
    });
  }

  static allSettled(items) {
    return collected(this, items, (promise, index, values, done) => {
      promise.then(
        (value) => done(values, index, { status: "fulfilled", value }),
        (reason) => done(values, index, { status: "rejected", reason }),
      );
    });
  }

  static any(items) {
    return new this((fulfil, reject) => {
      collected(this, items, (promise, index, errors, done) => {
        promise.then(fulfil, (reason) => done(errors, index, reason));
      }).then((errors) => reject(new AggregateError(errors, "all promises were rejected")), reject);
    });
  }

  static race(items) {
    return new this((fulfil, reject) => {
      for (const item of items) this.resolve(item).then(fulfil, reject);
    });
  }

  /** Runs jobs until none is left, and tells what became of a promise: settled or not, and its value. */
  static look(promise) {
    unasked.delete(promise);
    return { settled: promise.#state !== PENDING, rejected: promise.#state === REJECTED, value: promise.#value };
  }
}

function collected(constructor, items, follow) {
  return new constructor((fulfil, reject) => {
    const values = [];
    let open = 1;
    const close = () => {
      if (--open === 0) fulfil(values);
    };
    const done = (list, index, value) => {
      list[index] = value;
      close();
    };
    let index = 0;
    for (const item of items) {
      open++;
      follow(constructor.resolve(item), index++, values, done, reject);
    }
    close();
  });
}

/**
 * Runs everything that `value`, a promise or whatever has a `then`, waits for; its value, or what it was rejected with as
 * an exception.
 *
 * @param {any} value
 * @param {() => boolean} wait waits for the next timer and runs it; false when there is none
 */
export function drive(value, wait) {
  const promise = Promise.resolve(value);
  const look = Promise.look;
  for (;;) {
    runJobs();
    const { settled, rejected, value: result } = look(promise);
    if (settled) {
      if (rejected) throw result;
      return result;
    }
    if (!wait()) throw new Error("the handler's promise never settles: nothing is left that could settle it");
  }
}

/** Runs what was begun and not awaited, and says what of it was rejected. */
export function rest() {
  runJobs();
  for (const promise of unasked) {
    const { text } = judge(Promise.look(promise).value);
    log.error(`a promise was rejected and nobody awaited it: ${text}`);
  }
  unasked.clear();
}

/** Takes the place of the engine's. */
export function install() {
  globalThis.Promise = Promise;
  globalThis.queueMicrotask = (job) => enqueue(job);
  // The engine's own would wait for the engine's promises.
  Array.fromAsync = async (items, map = (item) => item) => {
    const made = [];
    let index = 0;
    if (items[Symbol.asyncIterator] !== undefined || items[Symbol.iterator] !== undefined) {
      for await (const item of items) made.push(await map(item, index++));
    } else {
      for (; index < items.length; index++) made.push(await map(await items[index], index));
    }
    return made;
  };
}
