/**
 * A port for programs that cannot be asked for port 0, or that start again where they were. Prefer port 0.
 *
 * It is taken from below the ports that the system gives to outgoing connections and to port 0 (from 32768 on Linux,
 * 49152 elsewhere): one of those could be anybody's again before the program has come to bind it.
 */
import { randomInt } from "node:crypto";

const lowest = 15_000;
const highest = 32_767;
const given = new Set<number>();

export function freePort(): number {
  for (;;) {
    const port = randomInt(lowest, highest + 1);
    if (given.has(port) || !canListen(port)) continue;
    given.add(port);
    return port;
  }
}

function canListen(port: number): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    return false;
  }
}
