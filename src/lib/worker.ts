/**
 * Starts a worker thread from a source file, both from the source tree and inside the compiled executable, where
 * each worker is an extra entry point (see `scripts/build.ts`) found under the embedded root by its source path.
 */
const embeddedRoot = "/$bunfs/root";

/** Those that were begun before somebody asked for them, by path. */
const begun = new Map<string, Worker[]>();

/** Begins to start a worker that `startWorker` will soon be asked for. It must say nothing before it is asked. */
export function beginWorker(path: string): void {
  begun.set(path, [...(begun.get(path) ?? []), createWorker(path)]);
}

/** Starts the worker in `src/<path>.ts`, for example `audit/spool/worker`. */
export function startWorker(path: string): Worker {
  return begun.get(path)?.pop() ?? createWorker(path);
}

function createWorker(path: string): Worker {
  const isCompiled = import.meta.url.includes(embeddedRoot);
  return new Worker(
    isCompiled ? `${embeddedRoot}/${path}.js` : new URL(`../${path}.ts`, import.meta.url).href,
  );
}
