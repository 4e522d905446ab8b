//! Lets Node run a node's TypeScript as it stands: `node --import krt-node/register --test`. Types are removed, not checked.

import { register } from "node:module";

register("./types.js", import.meta.url);
