/**
 * Judging a call by what is remembered of its tool, which may be old: before anybody is refused for it, the server is
 * asked again. Used by the stages that hold a call against its tool's definition.
 */
import type { Servers } from "../servers/client.ts";
import { type Exchange, proceed, type Verdict } from "./exchange.ts";

/** The verdict of `check`, from memory; one that is no `proceed` is given only on a fresh list. */
export function checkRemembered(
  servers: Pick<Servers, "knowsTool" | "tools">,
  x: Exchange,
  check: () => Verdict,
): Verdict | Promise<Verdict> {
  const verdict = check();
  if (verdict === proceed || x.resolved === undefined) return verdict;
  const { server, name } = x.resolved;
  const isFresh = servers.knowsTool(server, name, declaredBy(x), x.principal) !== undefined;
  return isFresh ? verdict : checkAnew(servers, x, server, check);
}

async function checkAnew(
  servers: Pick<Servers, "tools">,
  x: Exchange,
  server: string,
  check: () => Verdict,
): Promise<Verdict> {
  try {
    const clientCapabilitiesText = declaredBy(x);
    const asked = { signal: x.signal, clientCapabilitiesText, caller: x.principal };
    await servers.tools(server, { ...asked, refresh: false });
  } catch {
    // It cannot be asked: what is remembered holds.
  }
  return check();
}

/** A server may offer tools only to clients that can be asked something. */
export function declaredBy({ request }: Exchange): string {
  return request?.envelope.clientCapabilitiesText ?? "{}";
}
