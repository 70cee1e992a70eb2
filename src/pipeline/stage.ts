/**
 * The one shape of a stage. `enter` decides on the way in, `relay` sees each streamed message, `leave` sees the
 * outcome on the way out. Hooks may be synchronous; the runner awaits only promises.
 */
import type { RelayedMessage } from "../protocol/messages.ts";
import type { Exchange, Verdict } from "./exchange.ts";

export interface Stage {
  readonly name: string;
  enter?(x: Exchange): Verdict | Promise<Verdict>;
  /** Returns the message to pass outward (possibly another one), or undefined to drop it. */
  relay?(x: Exchange, message: RelayedMessage): RelayedMessage | undefined;
  leave?(x: Exchange): void | Promise<void>;
}
