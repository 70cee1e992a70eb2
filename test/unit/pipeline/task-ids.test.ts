/** Ids of tasks: the same for the same task, worth nothing to anybody else (AZ-07). */
import { expect, test } from "bun:test";
import { createTaskIds, taskIdBytesMax } from "../../../src/pipeline/task-ids.ts";

const tokenKey = Buffer.alloc(32, 1);
const ids = createTaskIds({ tokenKey });
const alice = { tenant: "t", principalId: "alice" };
const task = { server: "files", tool: "index", taskId: "7d8f-ü \ud800" };

function needSealed(owner = alice, one = task): string {
  const sealed = ids.seal(owner, one);
  if (sealed === undefined) throw new Error("not sealed");
  return sealed;
}

test("the same task has the same id, over a restart and on another node with the key", () => {
  const sealed = needSealed();
  const restarted = createTaskIds({ tokenKey: Buffer.from(tokenKey) });
  expect(restarted.seal(alice, { ...task })).toBe(sealed);
  expect(restarted.open(alice, sealed)).toEqual(task);
  expect(createTaskIds({ tokenKey: Buffer.alloc(32, 2) }).open(alice, sealed)).toBeUndefined();
});

test("an id fits into a header and says nothing of its task", () => {
  expect(needSealed()).toMatch(/^[A-Za-z0-9_-]{40,200}$/);
  expect(Buffer.from(needSealed(), "base64url").toString("latin1")).not.toContain("files");
});

test.each([
  ["another principal", { ...alice, principalId: "bob" }],
  ["the same name in another tenant", { ...alice, tenant: "u" }],
  ["no tenant", { ...alice, tenant: undefined }],
  ["parts that join to the same text", { tenant: "ta", principalId: "lice" }],
])("%s opens nothing", (_who, owner) => {
  expect(ids.open(owner, needSealed())).toBeUndefined();
});

test("other tasks, tools and servers have other ids", () => {
  const others = [
    { ...task, taskId: "8" },
    { ...task, tool: "other" },
    { ...task, server: "other" },
  ].map((one) => needSealed(alice, one));
  expect(new Set([needSealed(), ...others]).size).toBe(4);
});

test("every changed, cut, longer or made-up id opens nothing, and nothing throws", () => {
  const sealed = needSealed();
  const made = [
    "",
    "x",
    "7d8f",
    "AQ",
    sealed.slice(0, -1),
    `${sealed}A`,
    `${sealed}=`,
    "A".repeat(9_000),
  ];
  for (const one of made) expect(ids.open(alice, one)).toBeUndefined();
  for (let at = 0; at < sealed.length; at += 1) {
    const other = sealed[at] === "A" ? "B" : "A";
    const edited = sealed.slice(0, at) + other + sealed.slice(at + 1);
    expect(ids.open(alice, edited)).toBeUndefined();
  }
});

test("a server's id that would not fit into a header is not carried", () => {
  expect(ids.seal(alice, { ...task, taskId: "x".repeat(taskIdBytesMax) })).toBeDefined();
  expect(ids.seal(alice, { ...task, taskId: "x".repeat(taskIdBytesMax + 1) })).toBeUndefined();
});
