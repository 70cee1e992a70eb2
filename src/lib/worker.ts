/**
 * Starts a worker thread from a source file, both from the source tree and inside the compiled executable, where
 * each worker is an extra entry point (see `scripts/build.ts`) found under the embedded root by its source path.
 */
const embeddedRoot = "/$bunfs/root";

/** Starts the worker in `src/<path>.ts`, for example `audit/spool/worker`. */
export function startWorker(path: string): Worker {
  const isCompiled = import.meta.url.includes(embeddedRoot);
  return new Worker(
    isCompiled ? `${embeddedRoot}/${path}.js` : new URL(`../${path}.ts`, import.meta.url).href,
  );
}
