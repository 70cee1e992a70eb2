/**
 * Host names that come and go for one process alone: it runs in a mount namespace where /etc/hosts is a file of the
 * test's and /etc/resolv.conf names a resolver that is not there. This machine's own files are not touched.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./temporary-folder.ts";

export interface OwnNames extends AsyncDisposable {
  /** Put before the process's command. */
  readonly prefix: readonly string[];
  /** The names of 127.0.0.1 from now on; no other name is found. */
  set(names: readonly string[]): void;
}

const script =
  'mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/resolv.conf && shift 2 && exec "$@"';

export function createOwnNames(): OwnNames {
  const folder = temporaryFolder("names");
  const hosts = join(folder.path, "hosts");
  const resolver = join(folder.path, "resolv.conf");
  // Written in place: what is mounted is the file and not its name.
  const set = (names: readonly string[]) =>
    writeFileSync(hosts, `127.0.0.1 ${["localhost", ...names].join(" ")}\n`);
  set([]);
  writeFileSync(resolver, "nameserver 127.0.0.1\n");
  return {
    prefix: ["unshare", "--mount", "sh", "-c", script, "sh", hosts, resolver],
    set,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

/** Whether names of its own can be had here; where not, says which tests that leaves out. */
export function canNameHosts(ids: string): boolean {
  const names = createOwnNames();
  const tried = Bun.spawnSync([...names.prefix, "true"]);
  void names[Symbol.asyncDispose]();
  if (tried.exitCode !== 0) console.warn(`SKIPPED: unshare --mount is not permitted here (${ids})`);
  return tried.exitCode === 0;
}
