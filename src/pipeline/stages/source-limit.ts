/**
 * First look at a message, before anything is known about its sender: is this address sending too much? Relies on
 * the peer address the binding established; must not read the message.
 */
import type { SourceLimit } from "../../limits/source-limit.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import type { Stage } from "../stage.ts";

export interface SourceLimitDeps {
  readonly sourceLimit: SourceLimit;
}

export function createSourceLimitStage(deps: SourceLimitDeps): Stage {
  return {
    name: "source-limit",
    enter(x: Exchange): Verdict {
      const fault = deps.sourceLimit.take(x.incoming.peer.address, x.startedMonotonicMs);
      return fault === undefined ? proceed : refuse(fault);
    },
  };
}
