/** Shredding and looking from the calling thread: one request of each at a time, each with its own answer. */
import { expect, test } from "bun:test";
import type { ToSpool } from "../../../../src/audit/spool/messages.ts";
import { createShredding } from "../../../../src/audit/spool/shredding.ts";

const look = { afterSeq: 3, untilSeq: 9, framesMax: 5 };
const page = { found: [{ seq: 4, leaf: "aa" }], seq: 9 };

/** Told as texts, because a promise that fails is to be heard at once. */
const told = (work: Promise<unknown>) =>
  work.catch((error: { readonly fault?: { readonly reason?: string } }) => error.fault?.reason);

function open() {
  const posted: ToSpool[] = [];
  return { posted, ...createShredding((request) => posted.push(request)) };
}

test("a request to shred and one to look have an answer of their own each", async () => {
  const { posted, shred, sealedUnder, answered } = open();
  const both = Promise.all([shred(["a"]), sealedUnder(["b"], look)]);
  expect(posted).toEqual([
    { kind: "shred", keys: ["a"] },
    { kind: "look", keys: ["b"], ...look },
  ]);
  answered({ kind: "looked", ...page });
  answered({ kind: "shredded", frames: 7 });
  expect(await both).toEqual([7, page]);
});

test("a second request waits for the first, and is made though that failed", async () => {
  const { posted, shred, sealedUnder, answered } = open();
  const first = [shred(["a"]), sealedUnder(["a"], look)].map(told);
  const second = [shred(["b"]), sealedUnder(["b"], look)].map(told);
  expect(posted).toHaveLength(2);
  answered({ kind: "not-shredded", reason: "disk" });
  answered({ kind: "not-looked", reason: "removed" });
  expect(await Promise.all(first)).toEqual(["disk", "removed"]);
  await Bun.sleep(0);
  expect(posted).toHaveLength(4);
  answered({ kind: "shredded", frames: 1 });
  answered({ kind: "looked", ...page });
  expect(await Promise.all(second)).toEqual([1, page]);
});

test("at the end what is under way is rejected, and so is whatever comes later, for the first reason", async () => {
  const { posted, shred, sealedUnder, end } = open();
  const early = [shred(["a"]), sealedUnder(["a"], look), shred(["b"])].map(told);
  end("closing");
  end("thread-died");
  const late = [shred(["c"]), sealedUnder(["c"], look)].map(told);
  expect(await Promise.all([...early, ...late])).toEqual(Array(5).fill("closing"));
  expect(posted).toHaveLength(2);
});
