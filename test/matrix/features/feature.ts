/** What a feature of the matrix is: a function that throws where the feature does not really work. */
import assert from "node:assert/strict";
import type { Answer, MatrixClient } from "../clients/client.ts";

export interface Feature {
  /** Its letter in the table. */
  readonly letter: string;
  readonly name: string;
  /** Throws where anything is missing, wrong, out of order, or there and should not be. */
  prove(client: MatrixClient): Promise<void>;
}

/** The text of a tool's answer, which must be its only content. */
export function textOf(answer: Answer): string {
  const [first, ...others] = answer.content as { type: string; text: string }[];
  assert.equal(first?.type, "text");
  assert.deepEqual(others, []);
  return first.text;
}

let keys = 0;

/** A word nobody else uses, so that what belongs to another client shows. */
export function newKey(): string {
  keys += 1;
  return `k${keys}`;
}

/** The error's code; fails where there is none. */
export async function codeOf(refused: Promise<unknown>): Promise<unknown> {
  const outcome = await refused.then(
    (value) => ({ value }),
    (error: { readonly code?: unknown }) => ({ code: error.code }),
  );
  assert.ok("code" in outcome, `answered: ${JSON.stringify(outcome)}`);
  return outcome.code;
}

/** The members named, of each; SDKs and revisions add others. */
export function pick<Name extends string>(
  rows: readonly { readonly [member: string]: unknown }[],
  ...names: readonly Name[]
) {
  return rows.map((row) => Object.fromEntries(names.map((name) => [name, row[name]])));
}
