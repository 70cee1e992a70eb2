/** Bodies in records: none by default, those of the chosen classes of data otherwise, masked and bounded. */
import { expect, test } from "bun:test";
import { readObject } from "../../../src/protocol/json-view.ts";
import { clientOf, createDataPlane, type FakeServer, roleOf } from "../../support/data-plane.ts";

const longText = "x".repeat(2_000);
const answer = JSON.stringify({ content: [{ type: "text", text: "42" }], apiKey: "sk-1" });

function planeOf(
  dataClass: FakeServer["dataClass"],
  bodies?: { readonly arguments: readonly "PUBLIC"[]; readonly result: readonly "PUBLIC"[] },
) {
  const server: FakeServer = {
    name: "files",
    tools: ["read"],
    ...(dataClass === undefined ? {} : { dataClass }),
    call: () => ({ kind: "result", result: readObject(answer) }),
  };
  const state = [...clientOf("ann", { roles: ["a"] }), roleOf("a", [])];
  const policy = { decide: () => ({ allowed: true, reason: "allowed", ruleId: "r" }) as const };
  const compile = () => ({ ...policy, seesServer: () => true });
  const rules = bodies && {
    arguments: new Set(bodies.arguments),
    result: new Set(bodies.result),
    charsMax: 1_000,
  };
  return createDataPlane([server], state, undefined, {
    compile,
    ...(rules === undefined ? {} : { bodies: rules }),
  });
}

const asked = { name: "read", arguments: { path: "/a", password: "hunter2" } };

test("S08: no body is recorded where the operator did not choose so", async () => {
  const plane = planeOf("PUBLIC");
  await plane.ask("ann", "tools/call", asked, "files");
  for (const { details } of plane.records) {
    expect(details).not.toHaveProperty("arguments");
    expect(details).not.toHaveProperty("result");
  }
  expect(plane.records[1]?.details.argumentsDigest).toMatch(/^[0-9a-f]{64}$/);
});

test("bodies of a chosen class of data are kept masked, in the outcome alone", async () => {
  const plane = planeOf("PUBLIC", { arguments: ["PUBLIC"], result: ["PUBLIC"] });
  await plane.ask("ann", "tools/call", asked, "files");
  const [intent, outcome] = plane.records;
  expect(intent?.details).not.toHaveProperty("arguments");
  expect(outcome?.details.arguments).toBe('{"path":"/a","password":"[redacted]"}');
  expect(outcome?.details.result).toBe(answer.replace("sk-1", "[redacted]"));
  expect(JSON.stringify(plane.records)).not.toContain("hunter2");
});

test("each body is chosen by itself, and another class of data keeps none", async () => {
  const onlyResult = planeOf("PUBLIC", { arguments: [], result: ["PUBLIC"] });
  await onlyResult.ask("ann", "tools/call", asked, "files");
  expect(onlyResult.records[1]?.details).toHaveProperty("result");
  expect(onlyResult.records[1]?.details).not.toHaveProperty("arguments");
  const other = planeOf("PERSONAL", { arguments: ["PUBLIC"], result: ["PUBLIC"] });
  await other.ask("ann", "tools/call", asked, "files");
  expect(other.records[1]?.details).not.toHaveProperty("result");
});

test("ST-21 a body that is too long is kept as its beginning, and the digest is of all of it", async () => {
  const plane = planeOf("PUBLIC", { arguments: ["PUBLIC"], result: [] });
  await plane.ask("ann", "tools/call", { name: "read", arguments: { text: longText } }, "files");
  const { details } = plane.records[1] ?? {};
  expect(String(details?.arguments)).toHaveLength(1_000);
  expect(details?.argumentsCut).toBe(true);
  const whole = JSON.stringify({ text: longText });
  const digest = new Bun.CryptoHasher("sha256").update(whole).digest("hex");
  expect(details?.argumentsDigest).toBe(digest);
});
