/**
 * What can be erased: a person, or a data class of one month; and how the records of either are found. Pure; used by
 * `erasure.ts` and by `KeyService`.
 */
import { GatewayError } from "../errors/fault.ts";
import type { Sweep } from "../vault/sweeps.ts";

export type ErasureTarget =
  /** `principal` as records name it: `client:<id>` or `user:<issuer>#<subject>`. An empty tenant is none. */
  | { readonly kind: "subject"; readonly tenant: string; readonly principal: string }
  | {
      readonly kind: "class";
      readonly tenant: string;
      readonly dataClass: string;
      /** Of UTC, such as `2026-11`. */
      readonly month: string;
    };

const monthPattern = /^(\d{4})-(0[1-9]|1[0-2])$/;

/**
 * Throws unless the month is over. A key in use is not destroyed, whoever asks: records of the month go on coming, and
 * would be sealed under another key that nobody meant.
 */
export function needPastMonth(month: string, nowMs: number): void {
  const until = monthRange(month)?.untilMs;
  if (until === undefined) {
    throw new GatewayError(
      "invalid-params",
      "class.month: must be a month of UTC, such as 2026-11",
    );
  }
  if (until <= nowMs) return;
  const at = new Date(until).toISOString();
  throw new GatewayError(
    "invalid-params",
    `class.month: ${month} is not over; its key can be destroyed from ${at} on`,
    { reason: "month-not-over" },
  );
}

/** From (inclusive) until (exclusive), in ms; undefined where it is no month. */
function monthRange(
  month: string,
): { readonly fromMs: number; readonly untilMs: number } | undefined {
  const [, year = "", number = ""] = monthPattern.exec(month) ?? [];
  if (year === "") return undefined;
  const at = Number(number) - 1;
  return { fromMs: Date.UTC(Number(year), at), untilMs: Date.UTC(Number(year), at + 1) };
}

/** Where a target's records are looked for. */
export function searchOf(
  target: ErasureTarget,
  tokens: readonly string[],
): Pick<Sweep, "purpose" | "tenant" | "label" | "principals" | "fromMs" | "untilMs"> {
  const { tenant } = target;
  if (target.kind === "subject") {
    return {
      purpose: "subject",
      tenant,
      label: "",
      principals: tokens,
      fromMs: null,
      untilMs: null,
    };
  }
  const { fromMs = null, untilMs = null } = monthRange(target.month) ?? {};
  const label = labelOf(target);
  return { purpose: "class", tenant, label, principals: null, fromMs, untilMs };
}

/** How a class's key of a month is called, in the vault and to operators. */
export function labelOf(target: { readonly dataClass: string; readonly month: string }): string {
  return `${target.dataClass} ${target.month}`;
}
