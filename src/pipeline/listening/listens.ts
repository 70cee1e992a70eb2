/**
 * All listens that are open: ends them when their agent leaves, their credential stops holding or the gateway drains,
 * and tells them when operators changed something that they see. The forward stage opens them.
 */

import { isDeepStrictEqual } from "node:util";
import { createFault } from "../../errors/fault.ts";
import type { CancelSignal } from "../../lib/cancellation.ts";
import type { Outcome } from "../../protocol/messages.ts";
import type { CurrentSnapshot, Snapshot } from "../../state/snapshot.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { closingResult } from "./listen-messages.ts";
import { type Listen, type OpenListen, type OpenListenDeps, openListen } from "./open-listen.ts";

export interface ListensDeps extends Omit<OpenListenDeps, "current"> {
  readonly current: CurrentSnapshot;
  readonly metrics: Pick<Metrics, "gauge">;
}

export interface Listens {
  /** Listens until it ends; `signal` aborts when the agent cancels or goes away. */
  run(listen: Listen, signal: CancelSignal): Promise<Outcome>;
  /** Ends all, and takes no more: the gateway goes away. */
  endAll(): void;
}

/** How long a listen may outlive its credential. */
const recheckMs = 500;

export function createListens(deps: ListensDeps): Listens {
  const open = new Set<OpenListen>();
  let timer: ReturnType<typeof setInterval> | undefined;
  let isOver = false;

  deps.metrics.gauge("mcp_gateway_listens", () => open.size);
  deps.current.subscribe((next, previous) => {
    if (open.size === 0) return;
    const isForAll = changesForAll(next, previous);
    for (const one of open) {
      if (isForAll || changesClient(next, previous, one.clientId)) one.stateChanged(next);
      else one.recheck();
    }
  });

  function add(one: OpenListen): void {
    open.add(one);
    timer ??= setInterval(() => {
      const isFresh = deps.current.isFresh();
      for (const listening of open) {
        if (isFresh) listening.recheck();
        else listening.end();
      }
    }, recheckMs);
    timer.unref();
  }

  function remove(one: OpenListen): void {
    open.delete(one);
    if (open.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }

  return {
    async run(listen, signal) {
      if (isOver) return { kind: "fault", fault: createFault("draining", "Shutting down") };
      if (!signal.aborted) {
        const one = openListen(deps, listen);
        add(one);
        signal.addEventListener("abort", one.end, { once: true });
        await one.ended;
        signal.removeEventListener("abort", one.end);
        remove(one);
      }
      return closingResult(listen.idText);
    },
    endAll() {
      isOver = true;
      for (const one of open) one.end();
    },
  };
}

/** Whether anything changed that many may see: servers, virtual servers, policy. Not tokens, not retention. */
function changesForAll(next: Snapshot, previous: Snapshot): boolean {
  const seen = ({ servers, scopes, policyInput }: Snapshot) => {
    const { roles, bindings, rules } = policyInput;
    return { servers, scopes, roles, bindings, rules };
  };
  return !isDeepStrictEqual(seen(next), seen(previous));
}

function changesClient(next: Snapshot, previous: Snapshot, id: string | undefined): boolean {
  if (id === undefined) return false;
  return !isDeepStrictEqual(next.clients.get(id), previous.clients.get(id));
}
