/**
 * Whether a request may come from where it says: `Host` against the names we answer to, and `Origin` against the
 * allowed browsers' origins, each on its own and both before authentication (TH-01, TH-02, TH-05, TW-01). This is
 * what stops DNS rebinding and cross-site WebSockets.
 */
import { createFault, type Fault } from "../errors/fault.ts";
import type { AgentsOptions } from "./options.ts";

const loopbackNames = ["localhost", "127.0.0.1", "[::1]"];

export interface OriginCheck {
  /** The fault to answer, or undefined where both headers are fine. */
  check(host: string | null, origin: string | null): Fault | undefined;
}

export function createOriginCheck(
  options: Pick<AgentsOptions, "host" | "publicUrl" | "allowedHosts" | "allowedOrigins">,
): OriginCheck {
  const publicHost = options.publicUrl === undefined ? [] : [new URL(options.publicUrl).host];
  const own = [options.host, ...publicHost, ...options.allowedHosts];
  const hosts = new Set([...loopbackNames, ...own.map((name) => name.toLowerCase())]);
  const origins = new Set(options.allowedOrigins);
  const isKnownHost = (host: string) =>
    hosts.has(host) || hosts.has(host.replace(/:[0-9]{1,5}$/, ""));

  return {
    check(host, origin) {
      // Repeated lines arrive joined by a comma.
      if (host === null || host === "" || host.includes(",")) {
        return createFault("invalid-request", "Invalid request: exactly one Host header is needed");
      }
      if (!isKnownHost(host.toLowerCase())) {
        return createFault("origin-refused", "Host refused: this name is not one we answer to", {
          reason: "host",
        });
      }
      if (origin === null || origins.has(origin)) return undefined;
      // The host has passed above, so a page served under it is our own.
      if (origin === `http://${host}` || origin === `https://${host}`) return undefined;
      return createFault("origin-refused", "Origin refused: it is not among the allowed origins", {
        reason: "origin",
      });
    },
  };
}
