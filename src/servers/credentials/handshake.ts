/**
 * The credential of a connection that shows it once, in its opening handshake: a WebSocket's. One that was refused is
 * dropped, and the handshake made once more with a new one.
 */
import type { Fault } from "../../errors/fault.ts";
import { GatewayError } from "../../errors/fault.ts";
import type { ChannelEvents } from "../wire.ts";
import type { Credentials } from "./credentials.ts";

type Headers = Readonly<Record<string, string>>;

export async function withHandshake<T>(
  credentials: Credentials | undefined,
  headers: Headers,
  events: ChannelEvents,
  open: (headers: Headers, events: ChannelEvents) => Promise<T>,
): Promise<T> {
  if (credentials === undefined) return open(headers, events);
  for (let isFirst = true; ; isFirst = false) {
    const authorization = await credentials.authorization();
    const attempt = onceOpen(events);
    try {
      const shown = authorization === undefined ? headers : { ...headers, authorization };
      const opened = await open(shown, attempt.events);
      credentials.accepted(authorization);
      attempt.open();
      return opened;
    } catch (error) {
      const isRefused = error instanceof GatewayError && error.fault.reason === "status-401";
      const mayRetry = isRefused && credentials.refused(authorization, 401, undefined);
      if (!mayRetry || !isFirst) throw error;
    }
  }
}

/** The end of a connection that never opened is told by the failure of its opening alone. */
function onceOpen(events: ChannelEvents) {
  let isOpen = false;
  let ended: Fault | undefined;
  const own: ChannelEvents = {
    onText: (text) => events.onText(text),
    onClose(fault) {
      if (isOpen) events.onClose(fault);
      else ended ??= fault;
    },
  };
  return {
    events: own,
    open() {
      isOpen = true;
      if (ended !== undefined) events.onClose(ended);
    },
  };
}
