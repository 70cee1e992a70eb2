/**
 * A user's grant as `grants.ts` knows it, and out of its sealed form. What is sealed names its owner, server and
 * authorization server, so that a row put under another id, or a server that moved, gets nobody's token.
 */
import type { StoredGrant } from "../../storage/store.ts";
import type { OAuthClient } from "../spec.ts";
import type { GrantSummary } from "../user-access.ts";
import { readJson } from "./discovery.ts";
import type { SecretSealer } from "./sealing.ts";

export interface Grant {
  readonly id: string;
  /** Counts the writes. */
  readonly version: number;
  readonly updatedAtMs: number;
  readonly principal: string;
  readonly client: string | undefined;
  readonly tenant: string | undefined;
  readonly server: string;
  /** The server's URL, the authorization server and the gateway's client there: of others it is no grant. */
  readonly serverUrl: string;
  readonly issuer: string;
  readonly oauthClientId: string;
  /** As the authorization server gave them. */
  readonly scopes: readonly string[];
  /** All that the user was asked for. */
  readonly askedScopes: readonly string[];
  readonly accessToken: string;
  readonly expiresAtMs: number;
  readonly refreshToken: string | undefined;
  readonly grantedAtMs: number;
}

/** The place its sealed form belongs to. */
export function grantPlace(id: string): string {
  return `grant ${id}`;
}

/** Undefined where the row was changed, moved or sealed under another key: nobody's token is in it. */
export function openGrant(stored: StoredGrant, sealer: SecretSealer): Grant | undefined {
  const { id, tenant, server, version, updatedAtMs } = stored;
  let inner: Readonly<Record<string, unknown>> | undefined;
  try {
    inner = readJson(sealer.open(grantPlace(id), stored.body));
  } catch {
    return undefined;
  }
  // Sealed by us, so its shape is ours; the clear columns are not.
  const grant = { ...inner, id, version, updatedAtMs } as Grant;
  return grant.tenant === tenant && grant.server === server ? grant : undefined;
}

/** What operators see: no token. */
export function summaryOf(grant: Grant): GrantSummary {
  const { id, principal, client, tenant, server, scopes, issuer } = grant;
  const { grantedAtMs, updatedAtMs, refreshToken } = grant;
  const names = { id, principal, client, tenant, server, scopes, issuer };
  return { ...names, grantedAtMs, updatedAtMs, renewable: refreshToken !== undefined };
}

/** The same of a stored row; of one that does not open, the clear columns alone. */
export function summarizeGrant(stored: StoredGrant, sealer: SecretSealer): GrantSummary {
  const { id, tenant, server, updatedAtMs } = stored;
  const grant = openGrant(stored, sealer);
  if (grant !== undefined) return summaryOf(grant);
  const unknown = { principal: "", client: undefined, scopes: [], issuer: "", grantedAtMs: 0 };
  return { ...unknown, id, tenant, server, updatedAtMs, renewable: false };
}

/** Whether the grant was given for this very server, at this authorization server, to this client of ours. */
export function isGrantFor(grant: Grant, serverUrl: string, client: OAuthClient): boolean {
  return (
    grant.serverUrl === serverUrl &&
    grant.issuer === client.issuer &&
    grant.oauthClientId === client.clientId
  );
}
