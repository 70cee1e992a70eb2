/** K-05: one key never serves two purposes. */
import { expect, test } from "bun:test";
import { deriveKey, labels } from "../../../src/vault/labels.ts";

test("K-05 no label stands twice, and each makes a key of its own", () => {
  const all = Object.values(labels);
  expect(new Set(all).size).toBe(all.length);
  const root = Buffer.alloc(32, 1);
  const keys = (Object.keys(labels) as (keyof typeof labels)[]).map((label) =>
    deriveKey(root, label, Buffer.alloc(0)).toString("hex"),
  );
  expect(new Set(keys).size).toBe(all.length);
});
