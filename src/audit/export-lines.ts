/**
 * The lines of an export of records as JSON lines, written for strangers: each record's bytes as they were hashed, and
 * what it takes to believe them. First the export itself, then checkpoints, certificates and supporting records, then the records,
 * and last the manifest, whose hash is over all lines before it. docs/audit.md has the same in words.
 */
export interface ExportRecordLine {
  readonly kind: "record";
  readonly log: string;
  readonly seq: number;
  /** Hex. */
  readonly leaf: string;
  /** Exactly the text that was hashed; null once retention deleted the record. */
  readonly envelope: string | null;
  /** The sealed part; null once it was erased. */
  readonly sealed: string | null;
  /** Base64 hashes of the proof that the record is in the tree of the log's checkpoint, where it is not a whole log. */
  readonly proof?: readonly string[];
  /** The values in clear, for readers who may see them. Not part of what is verified. */
  readonly opened?: Readonly<Record<string, string | number | boolean | null>>;
}

export type ExportLine =
  | {
      readonly kind: "export";
      readonly v: 1;
      /** Whether whole logs follow, from their first records on. */
      readonly contiguous: boolean;
      /** Sealed parts are left out of all records, for a reader who may not see whose they are. */
      readonly hidden?: true;
    }
  | { readonly kind: "checkpoint"; readonly log: string; readonly note: string }
  | { readonly kind: "certificate"; readonly log: string; readonly note: string }
  /** A record from outside the selection that speaks for what is in it: an order, or a hand-over of the node's key. */
  | {
      readonly kind: "support";
      readonly log: string;
      readonly seq: number;
      readonly envelope: string;
      readonly proof?: readonly string[];
    }
  | ExportRecordLine
  | { readonly kind: "manifest"; readonly count: number; readonly sha256: string };

const kinds = ["export", "checkpoint", "certificate", "support", "record", "manifest"];

export function renderExportLine(line: ExportLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** The line in a text; undefined where it is none. Members are what they claim to be, or the line is none. */
export function parseExportLine(text: string): ExportLine | undefined {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isLine(line) ? line : undefined;
}

function isLine(line: unknown): line is ExportLine {
  if (typeof line !== "object" || line === null) return false;
  const some = line as Readonly<Record<string, unknown>>;
  if (!kinds.some((kind) => kind === some.kind)) return false;
  const isText = (value: unknown) => typeof value === "string";
  const isTextOrGone = (value: unknown) => value === null || isText(value);
  switch (some.kind) {
    case "export":
      return (
        some.v === 1 &&
        typeof some.contiguous === "boolean" &&
        (some.hidden === undefined || some.hidden === true)
      );
    case "checkpoint":
    case "certificate":
      return isText(some.log) && isText(some.note);
    case "support":
      return isText(some.log) && isText(some.envelope) && isProof(some.proof);
    case "record":
      return (
        isText(some.log) &&
        Number.isSafeInteger(some.seq) &&
        isText(some.leaf) &&
        isTextOrGone(some.envelope) &&
        isTextOrGone(some.sealed) &&
        isProof(some.proof)
      );
    default:
      return Number.isSafeInteger(some.count) && isText(some.sha256);
  }
}

function isProof(value: unknown): boolean {
  return (
    value === undefined || (Array.isArray(value) && value.every((hash) => typeof hash === "string"))
  );
}
