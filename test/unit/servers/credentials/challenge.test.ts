/** What is read from a server's WWW-Authenticate, whatever it wrote there. */
import { expect, test } from "bun:test";
import { readChallenge } from "../../../../src/servers/credentials/challenge.ts";

const none = { error: undefined, scopes: undefined, metadataUrl: undefined };
const rows: readonly [string | undefined, Partial<ReturnType<typeof readChallenge>>][] = [
  [undefined, {}],
  ["", {}],
  ["Basic realm=x", {}],
  ["Bearer", {}],
  ["bearer error=invalid_token", { error: "invalid_token" }],
  [
    'Bearer error="insufficient_scope", scope="a b:c"',
    { error: "insufficient_scope", scopes: ["a", "b:c"] },
  ],
  ['Basic realm="x", Bearer scope="a"', { scopes: ["a"] }],
  [
    'Bearer resource_metadata="https://a.example/x?y=1"',
    { metadataUrl: "https://a.example/x?y=1" },
  ],
  ['Bearer SCOPE = "a", scope="b"', { scopes: ["a"] }],
  ['Bearer error_description="a \\" quoted, scope=x", error="e"', { error: "e" }],
  ['Bearer scope="\u00e4 ok"', { scopes: ["ok"] }],
  ['Bearer scope=""', {}],
  [`Bearer scope="${"x".repeat(300)}"`, {}],
  [`Bearer error="e", realm="${"x".repeat(9_000)}"`, {}],
];
test.each(rows)("%s", (header, found) => {
  expect(readChallenge(header)).toEqual({ ...none, ...found });
});

test("at most 64 scopes are taken", () => {
  const scope = Array.from({ length: 100 }, (_, at) => `s${at}`).join(" ");
  expect(readChallenge(`Bearer scope="${scope}"`).scopes).toHaveLength(64);
});
