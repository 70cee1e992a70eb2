import { expect, test } from "bun:test";
import { readCredential } from "../../../src/agents/credential.ts";

test("AN-17, AN-18: one bearer token, or no credential at all", () => {
  const bearer = (token: string) => ({ kind: "bearer", token });
  const unusable = (reason: string) => ({ kind: "unusable", reason });
  const rows: readonly [string | null, string, object][] = [
    [null, "", { kind: "none" }],
    ["Bearer abc.def-_~+/==", "", bearer("abc.def-_~+/==")],
    ["bearer abc", "", bearer("abc")],
    ["BEARER  abc ", "", bearer("abc")],
    ["Bearer", "", unusable("scheme")],
    ["Bearer a b", "", unusable("scheme")],
    ["Basic abc", "", unusable("scheme")],
    ["Bearer\tabc", "", unusable("scheme")],
    ["Bearer a, Bearer b", "", { name: "invalid-request" }],
    ["Bearer \u00e9", "", { name: "invalid-request" }],
    ["Bearer abc", "sessionId=1", bearer("abc")],
    ["Bearer abc", "access_token=abc", unusable("token-in-query")],
    [null, "x=1&Token=abc", unusable("token-in-query")],
    [null, "mytoken=abc", { kind: "none" }],
  ];
  for (const [header, query, expected] of rows) {
    expect(readCredential(header, query)).toMatchObject(expected);
  }
});
