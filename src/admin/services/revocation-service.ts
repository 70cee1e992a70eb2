/**
 * RevocationService: what the gateway no longer accepts of other issuers' tokens. A revocation is a part of the state, so
 * every node knows it with the next snapshot, and open connections are looked at then.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { RevocationService } from "../../gen/types.ts";
import type { Clock } from "../../lib/clock.ts";
import { revocationShape } from "../../state/revocation-shape.ts";
import type { Caller } from "../caller.ts";
import type { StateWriter } from "../change-state.ts";
import { fromRevocation, toRevocationResources } from "../convert/revocations.ts";
import { createResourceCrud, needResource, writeAs } from "../resource-crud.ts";
import type { StateChange, StateView } from "../state-view.ts";

export interface RevocationServiceDeps {
  readonly state: StateWriter;
  readonly clock: Clock;
  /** Issuers whose tokens are believed: a revocation for another would revoke nothing. */
  readonly issuers: readonly string[];
}

const kind = "revocation";
const noun = "revocation";
const namesMax = 1_000;

export function createRevocationService(deps: RevocationServiceDeps): RevocationService<Caller> {
  const { state, clock, issuers } = deps;
  const revocations = createResourceCrud({
    state,
    kind,
    noun,
    nameOf: (one) => one.id,
    toResource: (one) => one,
    fromStored: fromRevocation,
  });
  return {
    async revokeTokens(request, caller) {
      const count = request.token_ids.length + request.subjects.length;
      if (count < 1 || count > namesMax) {
        const message = `token_ids and subjects must name 1 to ${namesMax} together`;
        throw new GatewayError("invalid-params", message);
      }
      if (!issuers.includes(request.issuer)) {
        const known = issuers.length === 0 ? "none is configured" : `one of ${issuers.join(", ")}`;
        throw new GatewayError("invalid-params", `issuer: no tokens of it are believed; ${known}`);
      }
      const revoked = toRevocationResources(request, clock.nowMs());
      const mutate = (view: StateView): readonly StateChange[] => [
        ...expired(view, clock.nowMs()),
        ...revoked.map((body) => ({ kind, name: body.id, body }) as const),
      ];
      const written = await writeAs(state, mutate, request, caller);
      caller.note({ revoked: count });
      const after = revoked.map(({ id }) => needResource(written.after, kind, noun, id));
      return { revocations: after.map(fromRevocation), state_revision: written.stateRevision };
    },
    async listRevocations(request, caller) {
      const { messages, ...page } = await revocations.list(request, caller);
      return { revocations: messages, ...page };
    },
    deleteRevocation: (request, caller) => revocations.delete(request.id, request, caller),
  };
}

/** What can revoke nothing any more goes with the next write, so the list does not grow for ever. */
function expired(view: StateView, nowMs: number): readonly StateChange[] {
  return view
    .list(kind)
    .filter(({ body }) => {
      const { expiresAtMs } = revocationShape(body, kind);
      return expiresAtMs !== undefined && expiresAtMs <= nowMs;
    })
    .map(({ name }) => ({ kind, name, delete: true }) as const);
}
