/**
 * Are a call's arguments what the tool's own schema asks for (S03, PR-23)? From memory alone; a tool that was never
 * listed proceeds, and route asks again once it has listed it. A call that fails is never forwarded. A tool whose
 * schema cannot be used is in no list, and called by name it is unknown (PR-22).
 */
import { createFault } from "../../errors/fault.ts";
import type { Clock } from "../../lib/clock.ts";
import {
  arrayMember,
  type JsonObject,
  memberText,
  readObject,
  stringMember,
} from "../../protocol/json-view.ts";
import type { Revision } from "../../protocol/revisions.ts";
import { filterList } from "../../route/merge.ts";
import type { ArgumentCheck, Rejection } from "../../schemas/argument-check.ts";
import type { Servers } from "../../servers/client.ts";
import type { Log } from "../../telemetry/log.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { answerWith, type Exchange, proceed, refuse, type Verdict } from "../exchange.ts";
import { checkRemembered, declaredBy } from "../remembered-tools.ts";
import type { Stage } from "../stage.ts";
import { targetHidden } from "./authorize.ts";

export interface ValidateDeps {
  readonly servers: Pick<Servers, "knowsTool" | "inputSchema" | "tools">;
  /** Undefined where the operator switched it off. */
  readonly argumentCheck: ArgumentCheck | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Tools that were warned of; once it is full, no more are. */
const warnedMax = 1_000;
/** Longest that schemas are compiled in one go; a single one takes at most some ten milliseconds more. */
const turnMs = 10;

export function createValidateStage(deps: ValidateDeps): Stage {
  const { argumentCheck } = deps;
  if (argumentCheck === undefined) return { name: "validate" };
  const warned = new Set<string>();

  function isUsable(x: Exchange, tool: JsonObject): boolean {
    const schemaText = memberText(tool, "inputSchema");
    const rejection = schemaText && argumentCheck?.rejectionOf(schemaText);
    if (!rejection) return true;
    warn(x, stringMember(tool, "name") ?? "", rejection);
    return false;
  }

  function warn(x: Exchange, tool: string, { reason, detail }: Rejection): void {
    const { scope } = x.incoming;
    const key = `${scope} ${tool} ${reason}`;
    if (warned.has(key) || warned.size >= warnedMax) return;
    warned.add(key);
    deps.log.warn("tool.schema-rejected", { scope, tool, reason, detail });
    deps.metrics.count("mcp_gateway_schema_rejected_total", { reason });
  }

  return {
    name: "validate",
    enter(x: Exchange): Verdict | Promise<Verdict> {
      return checkRemembered(deps.servers, x, () => checkArguments(deps, x));
    },
    leave(x: Exchange): void | Promise<void> {
      if (x.method?.listMember !== "tools" || x.outcome?.kind !== "result") return;
      const listed = x.outcome.result;
      const keepUsable = () => {
        const result = filterList(listed, "tools", (tool) => isUsable(x, tool));
        if (result !== listed) x.outcome = { kind: "result", result };
      };
      const judging = x.cached ? undefined : judgeInTurns(argumentCheck, deps.clock, listed);
      return judging === undefined ? keepUsable() : judging.then(keepUsable);
    },
  };
}

/**
 * Compiles the schemas that are new, so that they are remembered; gives the event loop away when a list has many.
 * Undefined where that took one turn.
 */
function judgeInTurns(
  check: ArgumentCheck,
  clock: Clock,
  list: JsonObject,
): Promise<void> | undefined {
  const tools = arrayMember(list, "tools") ?? [];
  const judgeFrom = (from: number): Promise<void> | undefined => {
    const untilMs = clock.monotonicMs() + turnMs;
    for (let at = from; at < tools.length; at += 1) {
      if (clock.monotonicMs() > untilMs) {
        return new Promise((resolve) => setImmediate(resolve)).then(() => judgeFrom(at));
      }
      const { start = 0 } = tools[at] ?? {};
      if (list.text[start] !== "{") continue;
      const schemaText = memberText(readObject(list.text, start), "inputSchema");
      if (schemaText !== undefined) check.rejectionOf(schemaText);
    }
    return undefined;
  };
  return judgeFrom(0);
}

/** By what is remembered of the tool; `proceed` where it was never listed, or where there is nothing to hold it to. */
export function checkArguments(
  { servers, argumentCheck }: Pick<ValidateDeps, "servers" | "argumentCheck">,
  x: Exchange,
): Verdict {
  const { request, method, resolved } = x;
  x.argumentsInvalid = false;
  if (argumentCheck === undefined || method?.method !== "tools/call") return proceed;
  if (request?.params === undefined || resolved === undefined) return proceed;
  const schemaText = servers.inputSchema(
    resolved.server,
    resolved.name,
    declaredBy(x),
    x.principal,
  );
  if (schemaText === undefined) return proceed;
  if (argumentCheck.rejectionOf(schemaText) !== undefined) {
    const given = stringMember(request.params, "name") ?? "";
    return refuse(targetHidden("tool", given, "schema-rejected"));
  }
  const argumentsText = memberText(request.params, "arguments");
  const violations = argumentCheck.violationsOf(schemaText, argumentsText);
  x.argumentsInvalid = violations.length > 0;
  if (!x.argumentsInvalid) return proceed;
  const listed = violations.map(({ path, expected }) => `${path || "arguments"} ${expected}`);
  return invalidArguments(x.incoming.revision, listed.join("; "));
}

/** Revisions since 2025-11-25 want the model to read it and try again; before, it was an error of the protocol. */
function invalidArguments(revision: Revision, what: string): Verdict {
  if (revision < "2025-11-25") {
    const reason = "arguments-invalid";
    return refuse(createFault("invalid-params", `Invalid params: ${what}`, { reason }));
  }
  const text = `Invalid arguments: ${what}`;
  return answerWith(
    readObject(JSON.stringify({ content: [{ type: "text", text }], isError: true })),
  );
}
