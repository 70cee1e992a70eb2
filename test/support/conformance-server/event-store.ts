/**
 * The events of one legacy session, kept so that a client that comes back gets what it missed. Ids are
 * `<stream>_<number>`; the numbers of a session only grow. In memory, for the life of a test.
 */
import type { EventStore, JSONRPCMessage } from "@modelcontextprotocol/server";

export function createEventStore(): EventStore {
  const events: { readonly id: string; readonly stream: string; readonly message: unknown }[] = [];
  return {
    async storeEvent(stream, message) {
      const id = `${stream}_${events.length}`;
      events.push({ id, stream, message });
      return id;
    },
    async replayEventsAfter(lastId, { send }) {
      const last = events.findIndex(({ id }) => id === lastId);
      const stream = events[last]?.stream ?? "";
      for (const event of events.slice(last + 1)) {
        const isPriming = Object.keys(event.message as object).length === 0;
        if (event.stream !== stream || isPriming) continue;
        await send(event.id, event.message as JSONRPCMessage);
      }
      return stream;
    },
  };
}
