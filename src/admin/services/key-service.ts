/**
 * KeyService: what keys there are, new ones in their place, and destroying those of a person or of a data class of one
 * month. Whether somebody may be erased is for whoever asks to decide; how it is done is `retention/erasure.ts`.
 */
import { GatewayError } from "../../errors/fault.ts";
import type { KeyService } from "../../gen/types.ts";
import type { Erasure } from "../../retention/erasure.ts";
import type { Rotation } from "../../vault/rotation.ts";
import type { KeyGroup } from "../../vault/sweeps.ts";
import type { Caller } from "../caller.ts";
import { fromKeyGroup, toErasureTarget, toPurpose } from "../convert/keys.ts";
import { needTenant } from "../tenants.ts";

export interface KeyServiceDeps {
  readonly erasure: Pick<Erasure, "destroy" | "pending">;
  readonly rotation: Pick<Rotation, "rotate">;
  /** Of the node that is asked; the hand-over is recorded by whoever does it. */
  readonly rotateNodeKey: () => Promise<{ readonly newKey: string }>;
  /** `tenant` undefined = all there are. */
  readonly listKeys: (tenant: string | undefined) => Promise<readonly KeyGroup[]>;
}

const reasonLengthMax = 512;

export function createKeyService(deps: KeyServiceDeps): KeyService<Caller> {
  return {
    async listKeys(request, caller) {
      const purpose = toPurpose(request.purpose);
      const tenant = needTenant(caller, request.tenant);
      const groups = await deps.listKeys(tenant);
      return {
        groups: groups
          // Keys that wrap everybody's, or that everybody is searched by, are of no tenant.
          .filter((group) => caller.tenant === undefined || group.tenant === caller.tenant)
          .filter((group) => purpose === undefined || group.purpose === purpose)
          .map(fromKeyGroup),
        sweeps_pending: deps.erasure.pending(),
      };
    },
    async rotateKeys(request, caller) {
      const purpose = toPurpose(request.purpose);
      if (purpose === "node") {
        const { newKey } = await deps.rotateNodeKey();
        caller.note({ purpose, newKey });
        return { epoch: 0, rewraps_pending: 0, node_key: newKey };
      }
      if (purpose !== "kek" && purpose !== "index") {
        throw new GatewayError(
          "invalid-params",
          "purpose: must be KEY_PURPOSE_KEK, KEY_PURPOSE_INDEX or KEY_PURPOSE_NODE; a class has a new key each month, " +
            "and a subject's key is destroyed with DestroyKeys",
        );
      }
      const { epoch, rewraps } = await deps.rotation.rotate(purpose);
      caller.note({ purpose, epoch });
      return { epoch, rewraps_pending: rewraps, node_key: "" };
    },
    async destroyKeys(request, caller) {
      const target = toErasureTarget(request, needTenant(caller, request.tenant) ?? "");
      if (request.reason === "" || request.reason.length > reasonLengthMax) {
        const message = `reason: must be set, and have at most ${reasonLengthMax} characters`;
        throw new GatewayError("invalid-params", message);
      }
      const { keys, records, sweepDueAtMs } = await deps.erasure.destroy({
        target,
        by: `operator:${caller.name}`,
        reason: request.reason,
        isUrgent: request.sweep_now,
        validateOnly: request.validate_only,
      });
      caller.note({ keys, records });
      return { keys, records, sweep_due_at_ms: sweepDueAtMs };
    },
  };
}
