/** The suite's sets are what the issue counts, and nothing of a dead endpoint passes for clean. */
import { expect, test } from "bun:test";
import { temporaryFolder } from "../support/temporary-folder.ts";
import { readRequirements, readServerSets, runServerSet } from "./official-suite.ts";
import { judge } from "./verdict.ts";

test("the sets hold what the revisions require", async () => {
  const sizes = (await readServerSets()).map(({ name, scenarios, scored }) => {
    return [name, scored.size, scenarios.length];
  });
  expect(sizes).toEqual([
    ["2025-11-25", 30, 33],
    ["2026-07-28", 37, 40],
    ["suite 0.1.16", 32, 32],
  ]);
  const plain = (revision: string) =>
    readRequirements(revision, "client").scored.filter((name) => !name.startsWith("auth/"));
  expect([plain("2025-11-25").length, plain("2026-07-28").length]).toEqual([4, 7]);
});

test("a dead endpoint leaves a result for every scenario, and none is clean", async () => {
  const dead = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response("gone", { status: 404 }),
  });
  await using folder = temporaryFolder("dead-endpoint");
  try {
    for (const set of await readServerSets()) {
      const url = `http://127.0.0.1:${dead.port}/mcp`;
      const checks = await runServerSet(set, url, `${folder.path}/${set.name}`);
      expect([...checks.keys()].sort()).toEqual([...set.scenarios].sort());
      for (const scenario of set.scenarios) {
        const cell = { set: set.name, column: "dead", scenario, isScored: true };
        const { verdict } = judge({ ...cell, checks: checks.get(scenario) }, []);
        expect(`${scenario} ${verdict}`).toBe(`${scenario} failed`);
      }
    }
  } finally {
    await dead.stop(true);
  }
}, 300_000);
