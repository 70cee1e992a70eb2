/**
 * Do the headers that mirror a tool's arguments say what the arguments say (PR-13; revision 2026-07-28, section 2.4)?
 * Only where headers came with the message; nothing else is ever decided by them. On the way out, tools that a client
 * over HTTP would have to drop for their annotations are left out of its lists.
 */
import { createFault } from "../../errors/fault.ts";
import { type JsonObject, stringMember } from "../../protocol/json-view.ts";
import { findParamMismatch, hasInvalidParamHeaders } from "../../protocol/param-headers.ts";
import { filterList } from "../../route/merge.ts";
import type { Servers } from "../../servers/client.ts";
import type { Log } from "../../telemetry/log.ts";
import { type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import { checkRemembered, declaredBy } from "../remembered-tools.ts";
import type { Stage } from "../stage.ts";

export interface ParamHeadersDeps {
  readonly servers: Pick<Servers, "knowsTool" | "paramHeaders" | "tools">;
  readonly paramHeaders: "strict" | "lenient";
  readonly log: Log;
}

/** Tools that were warned of; once it is full, no more are. */
const warnedMax = 1_000;

export function createParamHeadersStage(deps: ParamHeadersDeps): Stage {
  const warned = new Set<string>();

  function isSound(x: Exchange, tool: JsonObject): boolean {
    if (!hasInvalidParamHeaders(tool)) return true;
    const name = `${x.incoming.scope} ${stringMember(tool, "name")}`;
    if (!warned.has(name) && warned.size < warnedMax) {
      warned.add(name);
      deps.log.warn("tool.invalid-param-headers", {
        scope: x.incoming.scope,
        tool: stringMember(tool, "name") ?? "",
      });
    }
    return false;
  }

  return {
    name: "param-headers",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      if (x.incoming.mirrored === undefined || x.resolved === undefined) return proceed;
      return checkRemembered(deps.servers, x, () => checkParamHeaders(deps, x));
    },
    leave(x: Exchange): void {
      if (x.incoming.mirrored === undefined || x.method?.listMember !== "tools") return;
      if (x.outcome?.kind !== "result") return;
      const result = filterList(x.outcome.result, "tools", (tool) => isSound(x, tool));
      if (result !== x.outcome.result) x.outcome = { kind: "result", result };
    },
  };
}

/**
 * By what is remembered of the tool; `proceed` where it was never listed: route lists it then, and asks again.
 * A wrong header is refused before anything is asked of the server.
 */
export function checkParamHeaders(
  deps: Pick<ParamHeadersDeps, "servers" | "paramHeaders">,
  x: Exchange,
): Verdict {
  const { request, method, resolved, incoming } = x;
  if (incoming.mirrored === undefined || method?.method !== "tools/call") return proceed;
  if (request?.params === undefined || resolved === undefined) return proceed;
  const known = deps.servers.paramHeaders(
    resolved.server,
    resolved.name,
    declaredBy(x),
    x.principal,
  );
  if (known.length === 0) return proceed;
  const { paramHeaders: strictness } = deps;
  const mismatch = findParamMismatch(known, request.params, incoming.mirrored, strictness);
  if (mismatch === undefined) return proceed;
  const name = mismatch.header.replace(/^mcp-param-/, "Mcp-Param-");
  const message = `Header mismatch: ${name} ${mismatch.what}`;
  return refuse(createFault("header-mismatch", message, { data: { mismatch: name } }));
}
