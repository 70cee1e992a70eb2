/**
 * How a schema that cannot be used is given up. Thrown wherever one is read; `argument-check.ts` makes a reason of it.
 */

export type RejectionReason =
  | "malformed"
  | "too-large"
  | "too-many-subschemas"
  | "too-deep"
  | "dialect-unsupported"
  | "external-ref"
  | "unresolvable-ref"
  | "pattern-malformed"
  | "pattern-too-large";

export class SchemaRejected extends Error {
  readonly reason: RejectionReason;

  constructor(reason: RejectionReason, detail: string) {
    super(detail);
    this.reason = reason;
  }
}
