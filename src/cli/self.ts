/**
 * How to start this program again: the compiled executable alone, or bun and the entry file when run from source.
 */
const isCompiled = import.meta.url.includes("/$bunfs/");

export const selfCommand: readonly [string, ...string[]] = isCompiled
  ? [process.execPath]
  : [process.execPath, new URL("../main.ts", import.meta.url).pathname];
