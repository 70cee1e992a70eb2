/**
 * The revisions of the Model Context Protocol we speak, and the two eras they fall into.
 * Legacy revisions open with `initialize`; modern ones carry everything in each request.
 */
export const legacyRevisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] as const;
export const modernRevisions = ["2026-07-28"] as const;

export type LegacyRevision = (typeof legacyRevisions)[number];
export type ModernRevision = (typeof modernRevisions)[number];
export type Revision = LegacyRevision | ModernRevision;
export type Era = "legacy" | "modern";

export const newestLegacyRevision: LegacyRevision = "2025-11-25";
export const newestModernRevision: ModernRevision = "2026-07-28";

export function isLegacyRevision(value: string): value is LegacyRevision {
  return (legacyRevisions as readonly string[]).includes(value);
}

export function isModernRevision(value: string): value is ModernRevision {
  return (modernRevisions as readonly string[]).includes(value);
}
