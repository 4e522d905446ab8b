//! `node:fs/promises`: see `fs.js`. Nothing here waits: files come from the host at once.

import { promises } from "./fs.js";

export const { access, mkdir, readFile, readdir, rm, stat, unlink, writeFile } = promises;
export default promises;
