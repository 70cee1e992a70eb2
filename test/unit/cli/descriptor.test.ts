/** Every RPC has a verb, and only one. */
import { describe, expect, test } from "bun:test";
import { listNouns, listRpcs } from "../../../src/cli/descriptor.ts";
import { describeFlags } from "../../../src/cli/request-fields.ts";
import { adminNouns } from "../../../src/cli/run.ts";

test("every admin service is a noun of the command line", () => {
  expect(listNouns().filter((noun) => !Object.hasOwn(adminNouns, noun))).toEqual([]);
});

describe.each([...listNouns()])("%s", (noun) => {
  const rpcs = listRpcs(noun);

  test("has verbs, and each means one RPC", () => {
    const words = rpcs.flatMap((rpc) => [...new Set([rpc.verb, rpc.longVerb])]);
    expect(rpcs.length).toBeGreaterThan(0);
    expect(new Set(words).size).toBe(words.length);
  });

  test("describes the flags of every request", () => {
    for (const rpc of rpcs) expect(() => describeFlags(rpc.requestType)).not.toThrow();
  });
});

test.each([
  ["client", "RegisterClient", "register"],
  ["client", "RotateToken", "rotate-token"],
  ["server", "ListServers", "list"],
  ["server", "ListTools", "list-tools"],
  ["policy", "CreateRule", "create-rule"],
  ["retention", "ProcessRetention", "process"],
  ["audit", "QueryRecords", "query"],
])("%s %s is %s", (noun, name, verb) => {
  expect(listRpcs(noun).find((rpc) => rpc.name === name)?.verb).toBe(verb);
});
