/**
 * CacheService: what the reply cache holds, in numbers, and throwing parts of it away. Entries are never shown.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { CacheService } from "../../gen/types.ts";
import type { Caller } from "../caller.ts";
import { orUndefined } from "../convert/common.ts";
import { needTenant } from "../tenants.ts";

export interface CacheStatistics {
  readonly entries: number;
  readonly bytes: number;
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly hits: number;
  readonly misses: number;
  readonly bindingFailures: number;
}

/** All members given must match; none given means everything. A tenant's entries are its principals'. */
export interface PurgeFilter {
  readonly server: string | undefined;
  readonly tool: string | undefined;
  readonly principal: string | undefined;
  readonly tenant: string | undefined;
}

export interface CacheServiceDeps {
  readonly cacheStatistics: () => Promise<CacheStatistics> | CacheStatistics;
  /** Resolves with how many entries went. */
  readonly purgeCache: (filter: PurgeFilter) => Promise<number> | number;
}

export function createCacheService(deps: CacheServiceDeps): CacheService<Caller> {
  return {
    async getStatistics() {
      const { entriesMax, bytesMax, bindingFailures, ...same } = await deps.cacheStatistics();
      return {
        ...same,
        entries_max: entriesMax,
        bytes_max: bytesMax,
        binding_failures: bindingFailures,
      };
    },
    async purge(request, caller) {
      const filter = {
        server: orUndefined(request.server),
        tool: orUndefined(request.tool),
        principal: orUndefined(request.principal),
      };
      const tenant = needTenant(caller, request.tenant);
      const isNarrowed = Object.values(filter).some((value) => value !== undefined);
      // An empty request must not mean everything by accident.
      if (isNarrowed === request.all) {
        throw new GatewayError(
          "invalid-params",
          "set either all, or one or more of server, tool and principal",
        );
      }
      const purged = await deps.purgeCache({ ...filter, tenant });
      caller.note(tenant === undefined ? { purged } : { purged, tenant });
      return { purged };
    },
  };
}
