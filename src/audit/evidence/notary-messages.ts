/**
 * What is said to the notary's thread and what it says: numbers, hashes and texts, never a record and never a private
 * key. Between `notary-thread.ts` and `notary-worker.ts`.
 */

export interface NotaryOptions {
  /** A record is under a checkpoint after this long; each costs the disk several syncs, however many records it covers. */
  readonly signAfterMs: number;
  /** What could not be read or was refused is not looked at again sooner than this. */
  readonly retryMs: number;
}

export interface NotaryPlace {
  readonly spoolDir: string;
  readonly dir: string;
  readonly logId: string;
}

export type ToNotary =
  | {
      readonly kind: "open";
      readonly place: NotaryPlace;
      readonly options: NotaryOptions;
      /** The last synced record. */
      readonly seq: number;
    }
  /** The boot key's certificate stands in record `seq`, synced: signing may begin with a tree that holds it. */
  | { readonly kind: "begin"; readonly seq: number }
  /** Everything up to `seq` is synced. */
  | { readonly kind: "synced"; readonly seq: number }
  | { readonly kind: "leaf"; readonly id: number; readonly seq: number }
  | { readonly kind: "prove"; readonly id: number; readonly wanted: Wanted }
  /** Signs what is left up to `seq` and ends. */
  | { readonly kind: "close"; readonly seq: number };

export interface Wanted {
  readonly seq: number;
  /** An older tree's size, to be shown that this one goes on from it. */
  readonly oldSize: number | undefined;
}

/** How the life before this one ended. */
export type PreviousLife = "none" | "closed" | "crashed";

/** The tree that a boot begins with: all that was synced before, read back from the disk. */
export interface Adopted {
  /** Its vkey. */
  readonly bootKey: string;
  readonly size: number;
  /** Hex. */
  readonly root: string;
  readonly previous: PreviousLife;
}

export interface Signed {
  readonly size: number;
  /** Hex. */
  readonly root: string;
  /** The signed note. */
  readonly note: string;
}

/** What keeps the notary from signing. Nothing was changed where it was found. */
export interface NotaryViolation {
  readonly kind: "missing" | "bytes" | "chain" | "foreign" | "tiles" | "checkpoint" | "rolled-back";
  /** The first record that cannot be signed over. */
  readonly seq: number;
  /** Where, in words: a segment's or tile's name. */
  readonly where: string;
}

export interface Proved {
  readonly leaf: string;
  readonly hashes: readonly string[];
  readonly consistency: readonly string[];
  readonly checkpoint: Signed;
}

export type FromNotary =
  | { readonly kind: "adopted"; readonly adopted: Adopted }
  /** Not even the last checkpoint's tree could be taken up: nothing will be signed in this life. */
  | { readonly kind: "not-adopted" }
  /** Read up to this record, as it was told to. */
  | { readonly kind: "read"; readonly seq: number }
  /** The tree of so many records is under a checkpoint that is durable. */
  | { readonly kind: "signed"; readonly size: number }
  | { readonly kind: "refused"; readonly violation: NotaryViolation }
  /** The disk did not take or give something; it is tried again with the next record. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "answer"; readonly id: number; readonly answer: NotaryAnswer }
  | { readonly kind: "closed" };

export type NotaryAnswer =
  | { readonly leaf: string }
  | { readonly proved: Proved }
  | { readonly error: string };
