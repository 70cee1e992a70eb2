/**
 * Opens the event streams of the HTTP bindings and keeps an eye on each: keep-alive, slow readers (cut and counted),
 * its place in the admission count. Knows nothing of what the events say.
 */
import type { Cancellation } from "../lib/cancellation.ts";
import type { Clock } from "../lib/clock.ts";
import { keepAliveComment, renderEvent } from "../protocol/event-stream.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Admission } from "./admission.ts";
import type { Arrival } from "./arrival.ts";
import type { Beat } from "./beat.ts";
import {
  createEventChannel,
  type EventChannel,
  type EventChannelOptions,
} from "./event-channel.ts";
import type { CallStream } from "./http-call.ts";
import type { AgentsOptions } from "./options.ts";

type StreamEnd = Parameters<EventChannelOptions["onClose"]>[0];

export interface Streams {
  /** `onClose` is called once, however the stream ends: `cut` is for reading too slowly. */
  open(arrival: Arrival, onClose?: (why: StreamEnd) => void): EventChannel;
  /** The stream of one call that ends with its connection; a reader that is cut takes the call along. */
  openPlain(arrival: Arrival, caller?: Cancellation): CallStream;
  size(): number;
}

export function createStreams(deps: {
  readonly options: Pick<AgentsOptions, "writeQueueBytesMax" | "slowReaderMs" | "keepAliveMs">;
  readonly clock: Clock;
  readonly beat: Beat;
  readonly admission: Admission;
  readonly metrics: Pick<Metrics, "count">;
}): Streams {
  let size = 0;

  function open(arrival: Arrival, onClose?: (why: StreamEnd) => void): EventChannel {
    const { binding, peer } = arrival.caller;
    size += 1;
    arrival.isHeld = true;
    arrival.keepOpen();
    const channel = createEventChannel({
      ...deps.options,
      clock: deps.clock,
      onClose(why) {
        size -= 1;
        leaveBeat();
        deps.admission.leave(peer.address);
        if (why === "cut") deps.metrics.count("mcp_gateway_slow_consumers_total", { binding });
        onClose?.(why);
      },
    });
    const leaveBeat = deps.beat.join(channel.tick);
    return channel;
  }

  return {
    open,
    openPlain(arrival, caller) {
      const channel = open(arrival, (why) => {
        if (why === "cut") caller?.abort();
      });
      return {
        body: channel.stream,
        touch: () => channel.push(keepAliveComment),
        send: (text) => channel.push(renderEvent({ text })),
        end: channel.end,
      };
    },
    size: () => size,
  };
}
