/** Where an issuer's metadata are looked for, and in which order (mcp-protocol.md 3.2). */
import { expect, test } from "bun:test";
import { metadataUrls } from "../../../../src/servers/credentials/discovery.ts";

const rows: readonly [string, readonly string[]][] = [
  [
    "https://as.example",
    [
      "https://as.example/.well-known/oauth-authorization-server",
      "https://as.example/.well-known/openid-configuration",
    ],
  ],
  [
    "https://as.example/t1",
    [
      "https://as.example/.well-known/oauth-authorization-server/t1",
      "https://as.example/.well-known/openid-configuration/t1",
      "https://as.example/t1/.well-known/openid-configuration",
    ],
  ],
  [
    "https://as.example/realms/a/",
    [
      "https://as.example/.well-known/oauth-authorization-server/realms/a",
      "https://as.example/.well-known/openid-configuration/realms/a",
      "https://as.example/realms/a/.well-known/openid-configuration",
    ],
  ],
  ["https://as.example/?a=b", []],
  ["https://as.example/#a", []],
  ["no url", []],
];
test.each(rows)("%s", (issuer, urls) => {
  expect(metadataUrls(issuer)).toEqual(urls);
});
