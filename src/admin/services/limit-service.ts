/**
 * LimitService: who is put aside for ignoring limits, and letting them out before their time.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { PenaltyKind as KindMessage, LimitService } from "../../gen/types.ts";
import type { PenaltyBox, PenaltyKind } from "../../limits/penalty-box.ts";
import type { Caller } from "../caller.ts";

export interface LimitServiceDeps {
  readonly penalties: Pick<PenaltyBox, "list" | "clear">;
}

const kinds = {
  PENALTY_KIND_PRINCIPAL: "principal",
  PENALTY_KIND_SOURCE: "source",
} as const satisfies Partial<Record<KindMessage, PenaltyKind>>;

const messages = {
  principal: "PENALTY_KIND_PRINCIPAL",
  source: "PENALTY_KIND_SOURCE",
} as const satisfies Record<PenaltyKind, KindMessage>;

export function createLimitService({ penalties }: LimitServiceDeps): LimitService<Caller> {
  return {
    async listPenalties({ kind }) {
      const listed = penalties
        .list()
        .filter((one) => kind === "PENALTY_KIND_UNSPECIFIED" || one.kind === kinds[kind]);
      return {
        penalties: listed.map((one) => ({
          kind: messages[one.kind],
          key: one.key,
          started_at_ms: one.startedAtMs,
          ends_at_ms: one.endsAtMs,
          refusals: one.refusals,
        })),
      };
    },
    async clearPenalty({ kind, key }) {
      if (kind === "PENALTY_KIND_UNSPECIFIED" || key === "") {
        throw new GatewayError("invalid-params", "kind and key: set both, as ListPenalties shows");
      }
      if (penalties.clear(kinds[kind], key)) return {};
      throw new GatewayError("resource-not-found", "Nobody of this kind and key is put aside");
    },
  };
}
