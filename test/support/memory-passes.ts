/**
 * Steps of a consent in memory, with the store's promises; for suites about something else.
 */
import { createSecretSealer } from "../../src/servers/credentials/sealing.ts";
import type { PassStore } from "../../src/storage/store.ts";

export function createMemoryPasses(): PassStore & { readonly size: () => number } {
  const passes = new Map<string, { readonly body: string; readonly untilMs: number }>();
  const read = async (id: string, nowMs: number) => {
    const found = passes.get(id);
    return found !== undefined && found.untilMs > nowMs ? found.body : undefined;
  };
  return {
    size: () => passes.size,
    async put({ id, body, untilMs }) {
      passes.set(id, { body, untilMs });
    },
    read,
    async take(id, nowMs) {
      const body = await read(id, nowMs);
      passes.delete(id);
      return body;
    },
  };
}

export const testSealer = createSecretSealer(Buffer.alloc(32, 5), "secrets.key");
