//! Queries over the documents of a test host: what every database of the host's understands, and no more.

import { DatabaseError } from "../errors.js";

export function checkCollection(name) {
  if (name.startsWith("system.") || name.split(".").includes("") || !/^[\w.-]+$/.test(name)) {
    throw new DatabaseError("invalid", `${JSON.stringify(name)} is not a collection: letters, digits and -_. only`);
  }
}

export function objectOf(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DatabaseError("invalid", `${text} is not JSON: ${error.message}`);
  }
  if (!isObject(value)) throw new DatabaseError("invalid", `${text} is not a JSON object`);
  return value;
}

/** Whether `document` is what `query` asks for. */
export function matches(query, document) {
  return Object.entries(query)
    .map(([key, value]) => {
      if (key === "$and") return several(value).every((part) => matches(part, document));
      if (key === "$or") return several(value).some((part) => matches(part, document));
      if (key.startsWith("$")) throw unknown(key);
      return holds(lookup(document, key.split(".")), value);
    })
    .every(Boolean);
}

function several(queries) {
  if (Array.isArray(queries) && queries.length > 0 && queries.every(isObject)) return queries;
  throw new DatabaseError("invalid", "$and and $or take a list of queries");
}

/** Whether what was found passes a value's test, or those of its operators. */
function holds(found, value) {
  if (!isObject(value) || !Object.keys(value).some((key) => key.startsWith("$"))) return is(found, value);
  return Object.entries(value)
    .map(([operator, operand]) => {
      const ordered = (test) => each(found).some((candidate) => typeof candidate === typeof operand && test(candidate, operand));
      switch (operator) {
        case "$eq":
          return is(found, operand);
        case "$ne":
          return !is(found, operand);
        case "$gt":
          return ordered((one, other) => one > other);
        case "$gte":
          return ordered((one, other) => one >= other);
        case "$lt":
          return ordered((one, other) => one < other);
        case "$lte":
          return ordered((one, other) => one <= other);
        case "$in":
          if (Array.isArray(operand)) return operand.some((one) => is(found, one));
          break;
        case "$exists":
          if (typeof operand === "boolean") return (found.length > 0) === operand;
          break;
      }
      throw unknown(operator);
    })
    .every(Boolean);
}

/** What is not there is `null`; a list is each of its values, too. */
function is(found, value) {
  const text = JSON.stringify(value);
  return (found.length === 0 && value === null) || each(found).some((candidate) => JSON.stringify(candidate) === text);
}

function each(found) {
  return found.flatMap((value) => (Array.isArray(value) ? [value, ...value] : [value]));
}

/** Where a path leads: into fields, and into each document of a list. */
function lookup(value, path) {
  if (Array.isArray(value)) return value.flatMap((item) => lookup(item, path));
  if (!isObject(value) || !Object.hasOwn(value, path[0])) return [];
  return path.length === 1 ? [value[path[0]]] : lookup(value[path[0]], path.slice(1));
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unknown(operator) {
  return new DatabaseError("invalid", `a test host does not know ${JSON.stringify(operator)}, or not with this value`);
}
