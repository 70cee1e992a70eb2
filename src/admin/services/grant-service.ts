/**
 * GrantService: what users allowed the gateway at servers' authorization servers, and taking it back. Tokens never pass
 * through here; an operator of a tenant sees the tenant's users' grants alone.
 */
import type { Grant, GrantService } from "../../gen/types.ts";
import type { GrantSummary } from "../../servers/user-access.ts";
import type { Caller } from "../caller.ts";
import { decodePageToken, encodePageToken, readPageSize } from "../page-token.ts";
import { isOwn, needTenant, notThere } from "../tenants.ts";

export interface GrantServiceDeps {
  readonly grants: {
    list(query: {
      readonly tenant?: string | undefined;
      readonly server?: string | undefined;
      readonly after?: string | undefined;
      readonly limit: number;
    }): Promise<readonly GrantSummary[]>;
    summary(id: string): Promise<GrantSummary | undefined>;
    remove(id: string): Promise<boolean>;
  };
  /** Forgets it, and says whether the authorization server took the tokens back; never rejects. */
  readonly revokeUpstream: (grant: GrantSummary) => Promise<boolean>;
  readonly recordRevoked: (grant: GrantSummary) => Promise<void>;
}

export function createGrantService(deps: GrantServiceDeps): GrantService<Caller> {
  const { grants } = deps;
  return {
    async listGrants(request, caller) {
      const tenant = needTenant(caller, request.tenant);
      const server = request.server === "" ? undefined : request.server;
      const limit = readPageSize(request.page_size);
      const question = ["grants", tenant ?? null, server ?? null];
      const [after] = decodePageToken(question, request.page_token, ["string"]) ?? [];
      const found = await grants.list({
        ...{ tenant, server, limit: limit + 1 },
        after: after === undefined ? undefined : String(after),
      });
      const page = found.slice(0, limit);
      const last = page.at(-1);
      const hasMore = found.length > limit && last !== undefined;
      return {
        grants: page.map(toMessage),
        next_page_token: hasMore ? encodePageToken(question, [last.id]) : "",
      };
    },
    async revokeGrant({ id }, caller) {
      const grant = await grants.summary(id);
      if (grant === undefined || !isOwn(caller, grant.tenant)) {
        throw notThere("grant", id, grant !== undefined);
      }
      await deps.recordRevoked(grant);
      const revokedUpstream = await deps.revokeUpstream(grant);
      // Also where its server is no longer registered.
      await grants.remove(id);
      caller.note({ revoked: 1, revokedUpstream });
      return { revoked_upstream: revokedUpstream };
    },
  };
}

function toMessage(grant: GrantSummary): Grant {
  return {
    id: grant.id,
    principal: grant.principal,
    client: grant.client ?? "",
    tenant: grant.tenant ?? "",
    server: grant.server,
    scopes: [...grant.scopes],
    issuer: grant.issuer,
    granted_at_ms: grant.grantedAtMs,
    updated_at_ms: grant.updatedAtMs,
    renewable: grant.renewable,
  };
}
