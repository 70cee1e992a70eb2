/**
 * The credential of one user at one server: the grant's access token, renewed when it is about to expire or the server
 * refuses it. Where the grant no longer holds there is none, and where it reaches too little it is noted what is missing:
 * `consenting.ts` asks the user then.
 */
import type { Clock } from "../../lib/clock.ts";
import { consentRequired, errorOf } from "../faults.ts";
import { readChallenge } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import type { Grant } from "./grant-shape.ts";
import type { Grants } from "./grants.ts";
import type { IssuedToken } from "./token-request.ts";

export interface GrantCredentials extends Credentials {
  /** As it was found for the call that is about to be made. */
  use(grant: Grant): void;
  isLost(): boolean;
  /** Scopes that the server wanted and the user was never asked for; empties the note. */
  takeMissing(): readonly string[];
}

/** Tokens are replaced this long before they expire. */
const marginMs = 10_000;
const refusalsMax = 2;
const refusalWindowMs = 30_000;
const scopesMax = 64;

export function createGrantCredentials(options: {
  readonly server: string;
  readonly first: Grant;
  readonly grants: Pick<Grants, "renew">;
  readonly refresh: (refreshToken: string) => Promise<IssuedToken>;
  readonly clock: Clock;
}): GrantCredentials {
  const { server, grants, clock } = options;
  const { id } = options.first;
  let grant: Grant | undefined = options.first;
  /** A token that the server takes no longer, though it has not expired. */
  let refused: string | undefined;
  let refusals = 0;
  let refusedAtMs = Number.NEGATIVE_INFINITY;
  let missing: readonly string[] = [];

  async function renew(used: string): Promise<string> {
    grant = await grants.renew(id, used, options.refresh);
    if (grant === undefined) throw errorOf(consentRequired(server));
    return `Bearer ${grant.accessToken}`;
  }

  return {
    use(found) {
      grant = found;
    },
    isLost: () => grant === undefined,
    takeMissing() {
      const taken = missing;
      missing = [];
      return taken;
    },
    authorization() {
      if (grant === undefined) return Promise.reject(errorOf(consentRequired(server)));
      const { accessToken, expiresAtMs } = grant;
      const isUsable = accessToken !== refused && clock.nowMs() < expiresAtMs - marginMs;
      return isUsable ? `Bearer ${accessToken}` : renew(accessToken);
    },
    refused(used, status, header) {
      if (grant === undefined) return true;
      // Somebody else has replaced it already.
      if (used !== `Bearer ${grant.accessToken}`) return true;
      const challenge = readChallenge(header);
      if (status === 403 && challenge.error === "insufficient_scope") {
        const { askedScopes } = grant;
        const asked = (challenge.scopes ?? []).filter((scope) => !askedScopes.includes(scope));
        const all = [...new Set([...missing, ...asked])];
        // What the user was asked for and did not give is not asked for again.
        if (asked.length > 0 && all.length + askedScopes.length <= scopesMax) missing = all;
        return false;
      }
      if (status !== 401) return false;
      const nowMs = clock.monotonicMs();
      if (nowMs - refusedAtMs > refusalWindowMs) refusals = 0;
      if (refusals >= refusalsMax) return false;
      refusals += 1;
      refusedAtMs = nowMs;
      refused = grant.accessToken;
      return true;
    },
    accepted(used) {
      if (refusals > 0 && grant !== undefined && used === `Bearer ${grant.accessToken}`) {
        refusals = 0;
      }
    },
  };
}
