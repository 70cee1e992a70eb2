/**
 * A user's grant as `grants.ts` knows it, and out of its sealed form. What is sealed names its owner, server and
 * authorization server, so that a row put under another id, or a server that moved, gets nobody's token.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { StoredGrant } from "../../storage/store.ts";
import type { OAuthClient } from "../spec.ts";
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

/** Throws GatewayError internal where the row was changed, moved or sealed under another key. */
export function openGrant(stored: StoredGrant, sealer: SecretSealer): Grant {
  const { id, tenant, server, version, updatedAtMs } = stored;
  const inner = readJson(sealer.open(grantPlace(id), stored.body));
  // Sealed by us, so its shape is ours; the clear columns are not.
  const grant = { ...inner, id, version, updatedAtMs } as Grant;
  if (grant.tenant === tenant && grant.server === server) return grant;
  throw new GatewayError("internal", `grant ${id}: the stored row was changed`);
}

/** Whether the grant was given for this very server, at this authorization server, to this client of ours. */
export function isGrantFor(grant: Grant, serverUrl: string, client: OAuthClient): boolean {
  return (
    grant.serverUrl === serverUrl &&
    grant.issuer === client.issuer &&
    grant.oauthClientId === client.clientId
  );
}
