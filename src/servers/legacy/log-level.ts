/**
 * Legacy servers have one log level a session, modern calls one each. The session is set to the most verbose level
 * any call asked for; `relayed.ts` then gives each call only what it wanted.
 */
import { objectMember, readObject } from "../../protocol/json-view.ts";
import type { Link } from "../connection.ts";
import { renderRequest } from "../outgoing.ts";
import { severityOf } from "../relayed.ts";
import { legacyHeaders } from "./session.ts";

const setTimeoutMs = 2_000;

export interface LogLevels {
  /** Resolves once the server was told; undefined where there is nothing to tell. Failures are ignored. */
  need(link: Link, level: string | undefined): Promise<unknown> | undefined;
}

export function createLogLevels(): LogLevels {
  const lowest = new WeakMap<Link, number>();
  return {
    need(link, level) {
      const { wire, facts } = link;
      const wanted = severityOf(level);
      if (facts.era !== "legacy" || wanted === undefined) return undefined;
      if (wanted >= (lowest.get(link) ?? Number.POSITIVE_INFINITY)) return undefined;
      const hasLogging = objectMember(readObject(facts.capabilitiesText), "logging") !== undefined;
      lowest.set(link, hasLogging ? wanted : 0);
      if (!hasLogging) return undefined;
      const id = wire.nextId();
      return wire.request({
        id,
        method: "logging/setLevel",
        text: renderRequest(id, "logging/setLevel", `{"level":"${level}"}`),
        headers: legacyHeaders(facts.revision),
        cancellation: undefined,
        signal: undefined,
        timeoutMs: setTimeoutMs,
        onNotification: () => {},
      });
    },
  };
}
