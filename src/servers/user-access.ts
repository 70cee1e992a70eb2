/**
 * What servers that users allow the gateway to reach in their name, the pages on which they do so, and operators who take
 * it back agree on. Shapes alone: `credentials/` keeps grants and talks to authorization servers, `consents/` leads users.
 */
import type { Principal } from "../identity/principal.ts";

/** Whose call it is. */
export type AccessCaller = Pick<Principal, "kind" | "id" | "tenant" | "clientId" | "issuer">;

/** What a user is to be asked: whether this client may reach this server in their name. */
export interface AccessAsked {
  readonly caller: Omit<AccessCaller, "kind">;
  readonly server: string;
  /** Scopes that are needed beyond those asked for at first. */
  readonly moreScopes: readonly string[];
}

/** A page that a user is sent to. */
export interface AccessLinks {
  /** Undefined where users of the caller's issuer cannot log in here. Rejects GatewayError where too many are out. */
  make(asked: AccessAsked): Promise<string | undefined>;
}

/** A grant as operators see it. */
export interface GrantSummary {
  readonly id: string;
  readonly principal: string;
  readonly client: string | undefined;
  readonly tenant: string | undefined;
  readonly server: string;
  readonly scopes: readonly string[];
  readonly issuer: string;
  readonly grantedAtMs: number;
  readonly updatedAtMs: number;
  readonly renewable: boolean;
}

/** What a browser came back with, and what it was sent away with. */
export interface AccessReturn {
  readonly asked: AccessAsked;
  readonly params: URLSearchParams;
  readonly verifier: string;
  readonly issuer: string;
  readonly scopes: readonly string[];
  readonly redirectUri: string;
}

/** One server's authorization server, as users meet it. Every function rejects GatewayError upstream-unreachable. */
export interface UserAuthorization {
  /** What the user will be asked for, and by whom. */
  describe(
    asked: AccessAsked,
  ): Promise<{ readonly issuer: string; readonly scopes: readonly string[] }>;
  /** Where the browser goes. Refuses an authorization server without PKCE (S256). */
  begin(asked: {
    readonly redirectUri: string;
    readonly state: string;
    readonly scopes: readonly string[];
  }): Promise<{ readonly url: string; readonly verifier: string; readonly issuer: string }>;
  /** Checks who answers, and exchanges the code; nothing is kept before `save`. */
  finish(back: AccessReturn): Promise<{
    readonly scopes: readonly string[];
    readonly save: () => Promise<void>;
  }>;
  /** The user said no: calls that wait for them need not wait on. */
  deny(asked: AccessAsked): void;
  /** Forgets the grant, then RFC 7009: whether the authorization server took its tokens back. */
  revoke(grantId: string): Promise<boolean>;
}
