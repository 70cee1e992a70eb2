/** Finding claims (J08) and the shapes they may have (fault AN-10). */
import { expect, test } from "bun:test";
import { claimAt, firstClaimAt, readScopes } from "../../../src/identity/claim-values.ts";

test("J08 nested paths, and names that hold dots themselves", () => {
  const payload = {
    roles: ["a"],
    realm_access: { roles: ["b"] },
    resource_access: { "my.client": { roles: ["c"] } },
    "https://app.example/roles": ["d"],
    list: [{ roles: 1 }],
  };
  const at = (path: string) => claimAt(payload, path);
  expect(at("roles")).toEqual(["a"]);
  expect(at("realm_access.roles")).toEqual(["b"]);
  expect(at("resource_access.my.client.roles")).toEqual(["c"]);
  expect(at("https://app.example/roles")).toEqual(["d"]);
  for (const path of ["nothing", "roles.length", "list.0.roles", "toString", "__proto__", ""]) {
    expect(at(path)).toBeUndefined();
  }
  expect(firstClaimAt(payload, ["none", "roles"])).toEqual(["a"]);
});

test.each<[unknown, readonly string[] | undefined]>([
  [undefined, []],
  ["", []],
  ["a b  c", ["a", "b", "c"]],
  [
    ["a", "b"],
    ["a", "b"],
  ],
  [["a b"], undefined],
  [["a", 1], undefined],
  [7, undefined],
  [{ a: 1 }, undefined],
  ["a\u0000", undefined],
  [Array(300).fill("a"), undefined],
])("scopes %p", (value, want) => {
  expect(readScopes(value)).toEqual(want as never);
});
